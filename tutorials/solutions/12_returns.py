# Notebook 12, exercise 2: what follows from a step in its trial, whichever episode it falls in.
import tensorflow as tf
from tfmeta import checks


def returns_solution(rewards, dones, discount):
    found, later = [], tf.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        later = rewards[:, t] + discount * later
        found.append(later)
    return tf.stack(found[::-1], axis=1)


checks.returns(returns_solution)
