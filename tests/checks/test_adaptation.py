"""The check of `adapt` tells several exact steps on the support set from everything else."""

import pytest
import tensorflow as tf

from tfmeta import checks, functional
from tfmeta.checks.problems import squared_error
from tfmeta.core.episode import Episode


def steps(on="support", always_at_theta=False, stop=False, returned_early=False, sign=1.0, own=False, scale=1.0):
    def answer(learner, params, episode, inner_lr, inner_steps):
        x, y = episode[:2] if on == "support" else episode[2:]
        theta = functional.values(learner.trainable_variables) if own else params
        fast = list(theta)
        for _ in range(inner_steps):
            at = theta if always_at_theta else fast
            with tf.GradientTape() as tape:
                tape.watch(at)
                loss = scale * squared_error(y, functional.forward(learner, at, x))
            gradients = tape.gradient(loss, at)
            if stop:
                gradients = [tf.stop_gradient(g) for g in gradients]
            fast = [w - sign * inner_lr * g for w, g in zip(fast, gradients, strict=True)]
            if returned_early:
                return fast
        return fast

    return answer


right = steps()


def assigned(learner, params, episode, inner_lr, inner_steps):
    for variable, value in zip(learner.trainable_variables, params, strict=True):
        variable.assign(value)
    for _ in range(inner_steps):
        with tf.GradientTape() as tape:
            loss = squared_error(episode.support_y, learner(episode.support_x))
        gradients = tape.gradient(loss, learner.trainable_variables)
        for variable, gradient in zip(learner.trainable_variables, gradients, strict=True):
            variable.assign_sub(inner_lr * gradient)
    return functional.values(learner.trainable_variables)


def set_and_put_back(learner, params, episode, inner_lr, inner_steps):
    old = learner.get_weights()
    found = assigned(learner, params, episode, inner_lr, inner_steps)
    learner.set_weights(old)
    return found


def leaking_elsewhere():
    """Nothing is written to the learner, but the last task's step is carried into the next task."""
    memory = []

    def answer(learner, params, episode, inner_lr, inner_steps):
        found = right(learner, params, episode, inner_lr, inner_steps)
        carried = [w + 1e-3 * m for w, m in zip(found, memory[-1], strict=True)] if memory and inner_steps else found
        memory.append(found)
        return carried

    return answer


def one_tensor(learner, params, episode, inner_lr, inner_steps):
    return right(learner, params, episode, inner_lr, inner_steps)[:1]


def never_zero_steps(learner, params, episode, inner_lr, inner_steps):
    return right(learner, params, episode, inner_lr, max(inner_steps, 1))


def test_right():
    assert checks.adapt(right).passed
    swapped = steps(on="query")
    assert checks.adapt(lambda m, p, e, a, n: swapped(m, p, Episode(*e[2:], *e[:2]), a, n)).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (steps(on="query"), "taken on the query set"),
        (steps(always_at_theta=True), "every step took the gradient at theta"),
        (steps(stop=True), "its gradient is first order"),
        (steps(returned_early=True), "theta after one step"),
        (steps(sign=-1.0), "the loss went up"),
        (steps(own=True), "the learner's own weights"),
        (steps(scale=0.5), "relative error of theta'"),
        (lambda m, p, *_: p, "theta came back unchanged"),
        (assigned, "were written to"),
        (set_and_put_back, "no gradient reaches theta"),
        (leaking_elsewhere(), "leaks between tasks"),
        (one_tensor, "return theta'"),
        (never_zero_steps, "inner_steps=0"),
    ],
)
def test_wrong(answer, words):
    result = checks.adapt(answer)
    assert result.status == "not right yet"
    assert words in result.message
