"""The checks of tutorial 02 tell the exact meta-gradient from everything that looks like it."""

import numpy as np
import pytest
import tensorflow as tf

from tfmeta import checks, functional
from tfmeta.checks.problems import squared_error
from tfmeta.core.episode import Episode


def exact_quadratic(theta, A, b, inner_lr):
    adapted = theta - inner_lr * (A @ theta - b)
    return (np.eye(len(theta)) - inner_lr * A) @ (A @ adapted - b)


def by_tapes(theta, A, b, inner_lr):
    """The same by automatic differentiation, with a tensor as the answer."""
    theta, A, b = tf.constant(theta), tf.constant(A), tf.constant(b)

    def loss(t):
        return tf.tensordot(t, tf.linalg.matvec(A, t), 1) / 2 - tf.tensordot(b, t, 1)

    with tf.GradientTape() as outer:
        outer.watch(theta)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            value = loss(theta)
        value = loss(theta - inner_lr * inner.gradient(value, theta))
    return outer.gradient(value, theta)


@pytest.mark.parametrize("answer", [exact_quadratic, by_tapes])
def test_quadratic_right(answer):
    assert checks.quadratic_meta_gradient(answer).passed


def in_place(theta, A, b, inner_lr):
    theta -= inner_lr * (A @ theta - b)
    return (np.eye(len(theta)) - inner_lr * A) @ (A @ theta - b)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda t, A, b, a: A @ (t - a * (A @ t - b)) - b, "first-order gradient"),
        (lambda t, A, b, a: A @ t - b, "nothing has been adapted"),
        (lambda t, A, b, a: (np.eye(len(t)) - a * A) @ (A @ t - b), "the same thing"),
        (lambda t, A, b, a: (np.eye(len(t)) + a * A) @ (A @ (t - a * (A @ t - b)) - b), "sign inside the factor"),
        (lambda t, A, b, a: (np.eye(len(t)) - a * A) @ (t - a * (A @ t - b)), "multiplied theta' itself"),
        (lambda t, A, b, a: t - a * (A @ t - b), "not a gradient"),
        (lambda t, A, b, a: -exact_quadratic(t, A, b, a), "descent direction"),
        (lambda t, A, b, a: 2 * exact_quadratic(t, A, b, a), "relative error is 1.0e+00"),
        (lambda t, A, b, a: exact_quadratic(t, A, b, a)[None], "shape"),
        (in_place, "changed `theta` itself"),
    ],
)
def test_quadratic_wrong(answer, words):
    result = checks.quadratic_meta_gradient(answer)
    assert result.status == "not right yet"
    assert words in result.message


def through_the_model(write, first_order=False, adapt_on="support", judge_on="query", restore=False, factor=1.0):
    """A MAML gradient on a Keras model; `write(learner, fast)` may put the fast weights into its variables."""

    def answer(learner, episode, inner_lr):
        parts = {"support": episode[:2], "query": episode[2:]}
        (x, y), (judge_x, judge_y) = parts[adapt_on], parts[judge_on]
        old = learner.get_weights()
        params = learner.trainable_variables if write else functional.values(learner.trainable_variables)
        with tf.GradientTape() as outer:
            outer.watch([p.value for p in params] if write else params)
            with tf.GradientTape() as inner:
                inner.watch([p.value for p in params] if write else params)
                outputs = learner(x) if write else functional.forward(learner, params, x)
                loss = factor * squared_error(y, outputs)
            gradients = inner.gradient(loss, [p.value for p in params] if write else params)
            if first_order:
                gradients = [tf.stop_gradient(g) for g in gradients]
            fast = [w - inner_lr * g for w, g in zip(params, gradients, strict=True)]
            if write:
                write(learner, fast)
            outputs = learner(judge_x) if write else functional.forward(learner, fast, judge_x)
            loss = squared_error(judge_y, outputs)
        found = outer.gradient(loss, [p.value for p in params] if write else params)
        if restore:
            learner.set_weights(old)
        return found

    return answer


def by_assign(learner, fast):
    for variable, value in zip(learner.trainable_variables, fast, strict=True):
        variable.assign(value)


def by_set_weights(learner, fast):
    learner.set_weights([value.numpy() for value in fast])


def no_path(learner, episode, inner_lr):
    return [None] * len(learner.trainable_variables)


def without_adaptation(learner, episode, inner_lr):
    task = Episode(*episode)
    theta = functional.values(learner.trainable_variables)
    return functional.meta_gradient(learner, theta, task, inner_lr=0.0, inner_steps=1, loss=squared_error).gradients


def exact_but_leaking(learner, episode, inner_lr):
    found = through_the_model(None)(learner, episode, inner_lr)
    learner.trainable_variables[0].assign_add(np.ones(learner.trainable_variables[0].shape))
    return found


def test_meta_gradient_right():
    assert checks.detect_assign(through_the_model(None)).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (through_the_model(by_assign), "writes theta' into the variables"),
        (through_the_model(by_set_weights), "writes theta' into the variables"),
        (through_the_model(by_assign, restore=True), "the old values put back"),
        (through_the_model(by_set_weights, restore=True), "the old values put back"),
        (through_the_model(None, first_order=True), "this is the first-order gradient"),
        (no_path, "a gradient is None"),
        (without_adaptation, "nothing was adapted"),
        (through_the_model(None, adapt_on="query"), "the inner step was taken on the query set"),
        (through_the_model(None, judge_on="support"), "the outer loss was taken on the support set"),
        (exact_but_leaking, "the next task would start from"),
        (through_the_model(None, factor=0.5), "relative error against the exact gradient"),
        (lambda *_: [tf.zeros(3)], "one gradient per trainable variable"),
        (lambda learner, *_: [tf.zeros(3)] * len(learner.trainable_variables), "must have the shapes"),
    ],
)
def test_meta_gradient_wrong(answer, words):
    result = checks.detect_assign(answer)
    assert result.status == "not right yet"
    assert words in result.message
