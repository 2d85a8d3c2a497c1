# Notebook 12, exercise 1: the loop in which the agent plays trials.
import numpy as np
from tfmeta import checks


def rollout_solution(act, pull, n_trials, n_pulls):
    rewards = np.zeros((n_trials, n_pulls))
    for trial in range(n_trials):
        # A new task: nothing of the last one is known.
        x, h = np.zeros(5), np.zeros(4)
        for t in range(n_pulls):
            arm, h = act(x, h)
            rewards[trial, t] = pull(arm)
            # What is told before the next pull. Every pull ends an episode, and the state goes on.
            x = np.array([*np.eye(3)[arm], rewards[trial, t], 1.0])
    return rewards


checks.rollout(rollout_solution)
