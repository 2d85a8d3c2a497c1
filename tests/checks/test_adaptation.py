"""The check of `adapt` tells several exact steps on the support set from everything else."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks, functional
from tfmeta.checks.problems import squared_error


def at(learner, params, x, y, loss=squared_error):
    """The gradient of the loss at `params`."""
    with tf.GradientTape() as tape:
        tape.watch(params)
        value = loss(y, functional.forward(learner, params, x))
    return tape.gradient(value, params)


def moved(params, gradients, rate):
    return [w - rate * g for w, g in zip(params, gradients, strict=True)]


def steps(on=slice(0, 2), loss=squared_error, count=lambda n: n, rate=lambda r, k: r, change=lambda g: g, begin=None):
    """An inner loop with one thing changed."""

    def answer(learner, params, episode, inner_lr, inner_steps):
        fast = list(params) if begin is None else begin(learner, params)
        for k in range(count(inner_steps)):
            gradients = [change(g) for g in at(learner, fast, *episode[on], loss)]
            fast = moved(fast, gradients, rate(inner_lr, k))
        return fast

    return answer


right = steps()


def recursive(learner, params, episode, inner_lr, inner_steps):
    if inner_steps == 0:
        return params
    fast = moved(params, at(learner, params, *episode[:2]), inner_lr)
    return recursive(learner, fast, episode, inner_lr, inner_steps - 1)


def with_keras(learner, params, episode, inner_lr, inner_steps):
    loss_function = keras.losses.MeanSquaredError()
    for _ in range(inner_steps):
        with tf.GradientTape() as tape:
            tape.watch(params)
            outputs, _ = learner.stateless_call(params, learner.non_trainable_variables, episode.support_x)
            loss = loss_function(episode.support_y, outputs)
        params = [keras.ops.subtract(w, inner_lr * g) for w, g in zip(params, tape.gradient(loss, params), strict=True)]
    return tuple(params)


def in_float64(learner, params, episode, inner_lr, inner_steps):
    rate = tf.constant(inner_lr, tf.float64)
    return steps(rate=lambda r, k: rate)(learner, params, episode, inner_lr, inner_steps)


def in_float32(learner, params, episode, inner_lr, inner_steps):
    return right(learner, params, episode, tf.constant(inner_lr), inner_steps)


def by_the_library(learner, params, episode, inner_lr, inner_steps):
    sizes = {"inner_lr": inner_lr, "inner_steps": inner_steps}
    return functional.adapt(learner, params, *episode[:2], **sizes, loss=squared_error)


def watching(learner, params, episode, inner_lr, inner_steps, persistent):
    for _ in range(inner_steps):
        with tf.GradientTape(watch_accessed_variables=False, persistent=persistent) as tape:
            for w in params:
                tape.watch(w)
            loss = tf.reduce_mean(tf.square(episode.support_y - functional.forward(learner, params, episode.support_x)))
        params = [w - inner_lr * tape.gradient(loss, w) for w in params]
    return params


RIGHT = [
    ("as on the page", right),
    ("recursion", recursive),
    ("keras", with_keras),
    ("a constant of double precision", in_float64),
    ("a constant of single precision", in_float32),
    ("the library", by_the_library),
    ("a partial", functools.partial(watching, persistent=True)),
    ("a graph", tf.function(right, autograph=False)),
    ("a generator", lambda *args: (w for w in right(*args))),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.adapt, answer)


def always_at_theta(learner, params, episode, inner_lr, inner_steps):
    return moved(params, at(learner, params, *episode[:2]), inner_steps * inner_lr)


def last_from_theta(learner, params, episode, inner_lr, inner_steps):
    before = right(learner, params, episode, inner_lr, inner_steps - 1)
    return moved(params, at(learner, before, *episode[:2]), inner_lr)


def with_momentum(learner, params, episode, inner_lr, inner_steps):
    velocity = [tf.zeros_like(w) for w in params]
    for _ in range(inner_steps):
        gradients = at(learner, params, *episode[:2])
        velocity = [0.9 * v + g for v, g in zip(velocity, gradients, strict=True)]
        params = moved(params, velocity, inner_lr)
    return params


def own(learner, params):
    return functional.values(learner.trainable_variables)


def without_watch(learner, params, episode, inner_lr, inner_steps):
    for _ in range(inner_steps):
        with tf.GradientTape() as tape:
            loss = squared_error(episode.support_y, functional.forward(learner, params, episode.support_x))
        params = [w - inner_lr * g for w, g in zip(params, tape.gradient(loss, params), strict=True)]
    return params


def called_directly(learner, params, episode, inner_lr, inner_steps):
    for _ in range(inner_steps):
        with tf.GradientTape() as tape:
            loss = squared_error(episode.support_y, learner(episode.support_x))
        params = moved(params, tape.gradient(loss, learner.trainable_variables), inner_lr)
    return params


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


def in_place(learner, params, episode, inner_lr, inner_steps):
    for _ in range(inner_steps):
        for i, g in enumerate(at(learner, list(params), *episode[:2])):
            params[i] -= inner_lr * g
    return params


def leaking_elsewhere():
    """Nothing is written to the learner, but the last task's step is carried into the next task."""
    memory = []

    def answer(learner, params, episode, inner_lr, inner_steps):
        found = right(learner, params, episode, inner_lr, inner_steps)
        carried = [w + 1e-3 * m for w, m in zip(found, memory[-1], strict=True)] if memory and inner_steps else found
        memory.append(found)
        return carried

    return answer


def last_step_alone(learner, params, episode, inner_lr, inner_steps):
    fast = right(learner, params, episode, inner_lr, max(inner_steps - 1, 0))
    kept = [w + tf.stop_gradient(f - w) for w, f in zip(params, fast, strict=True)]
    return right(learner, kept, episode, inner_lr, min(inner_steps, 1))


WRONG = [
    ("taken on the query set", steps(on=slice(2, 4))),
    ("theta after one step", steps(count=lambda n: min(n, 1))),
    ("one step is missing", steps(count=lambda n: n - 1)),
    ("one step too many", steps(count=lambda n: n + 1)),
    ("every step took the gradient at theta", always_at_theta),
    ("subtracted from theta", last_from_theta),
    ("the loss went up", steps(change=lambda g: -g)),
    ("inner_lr is missing", steps(rate=lambda r, k: 1.0)),
    ("the sum of squared errors", steps(loss=lambda y, f: tf.reduce_sum((y - f) ** 2))),
    ("the squared error was halved", steps(loss=lambda y, f: 0.5 * squared_error(y, f))),
    ("the rate shrinks", steps(rate=lambda r, k: r / (k + 1))),
    ("the steps have momentum", with_momentum),
    ("started at the learner's own weights", steps(begin=own)),
    ("the gradient was taken at the learner's own weights", called_directly),
    ("these are gradients", lambda learner, p, e, *_: at(learner, p, *e[:2])),
    ("this is the change", lambda m, p, *rest: [f - w for f, w in zip(right(m, p, *rest), p, strict=True)]),
    ("theta came back unchanged", lambda m, p, *_: p),
    ("relative error of theta'", steps(loss=lambda y, f: tf.reduce_mean(tf.abs(y - f)))),
    ("tape.watch(params) before the loss", without_watch),
    ("were written to", assigned),
    ("no gradient reaches theta", set_and_put_back),
    ("could not learn", lambda *args: [w.numpy() for w in right(*args)]),
    ("starts from this task's weights: information leaks", in_place),
    ("leaks between tasks", leaking_elsewhere()),
    ("its gradient is first order", steps(change=tf.stop_gradient)),
    ("only the last step is differentiated", last_step_alone),
    ("is not the exact one", lambda m, p, *rest: [2 * w - tf.stop_gradient(w) for w in right(m, p, *rest)]),
    ("return theta'", lambda *args: right(*args)[:1]),
    ("the shapes of `params`", lambda *args: [w[None] for w in right(*args)]),
    ("inner_steps=0", steps(count=lambda n: max(n, 1))),
    ("not for 1", steps(count=lambda n: 4 if n else 0)),
    ("a NaN or an infinity", lambda *args: [w * np.nan for w in right(*args)]),
]


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.adapt, answer, words)


@pytest.mark.parametrize("seed", range(3))
def test_random_answers_are_refused(seed):
    rng = np.random.default_rng(seed)
    answer = lambda m, p, *_: [tf.constant(rng.normal(size=w.shape), w.dtype) for w in p]  # noqa: E731
    assert "relative error" in checks.adapt(answer).message
