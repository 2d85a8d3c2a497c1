"""The checks of tutorial 02 tell the exact meta-gradient from everything that looks like it."""

import numpy as np
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks, functional
from tfmeta.checks.problems import squared_error


def exact_quadratic(theta, A, b, inner_lr):
    adapted = theta - inner_lr * (A @ theta - b)
    return (np.eye(len(theta)) - inner_lr * A) @ (A @ adapted - b)


def by_tapes(theta, A, b, inner_lr, watch=True):
    """The same by automatic differentiation, with a tensor as the answer."""
    theta, A, b = (tf.convert_to_tensor(part) for part in (theta, A, b))

    def loss(t):
        return tf.tensordot(t, tf.linalg.matvec(A, t), 1) / 2 - tf.tensordot(b, t, 1)

    with tf.GradientTape() as outer:
        outer.watch(theta)
        with tf.GradientTape() as inner:
            if watch:
                inner.watch(theta)
            value = loss(theta)
        value = loss(theta - inner_lr * inner.gradient(value, theta))
    return outer.gradient(value, theta)


def on_quadratic(
    outer=lambda adapted, A, b: A @ adapted - b, factor=lambda eye, A, a: eye - a * A, sign=1.0, rate=None
):
    """The exact answer with one thing changed."""

    def answer(theta, A, b, a):
        adapted = theta - sign * (a if rate is None else rate) * (A @ theta - b)
        return factor(np.eye(len(theta)), A, a) @ outer(adapted, A, b)

    return answer


def by_hand(theta, A, b, inner_lr):
    """Written out: A theta' - b - alpha A (A theta' - b), as a list."""
    adapted = theta - inner_lr * (A @ theta - b)
    at_adapted = A.dot(adapted) - b
    return (at_adapted - inner_lr * A.dot(at_adapted)).tolist()


def finite_differences(theta, A, b, inner_lr, h=1e-4):
    def loss(t):
        adapted = t - inner_lr * (A @ t - b)
        return adapted @ A @ adapted / 2 - b @ adapted

    return [(loss(theta + h * e) - loss(theta - h * e)) / (2 * h) for e in np.eye(len(theta))]


RIGHT_QUADRATIC = [
    ("as on the page", exact_quadratic),
    ("tapes", by_tapes),
    ("a graph", tf.function(by_tapes)),
    ("multiplied out", by_hand),
    ("finite differences", finite_differences),
    ("single precision", lambda *args: exact_quadratic(*args).astype(np.float32)),
    ("a tuple", lambda *args: tuple(exact_quadratic(*args))),
]


@rows(RIGHT_QUADRATIC)
def test_quadratic_right(words, answer):
    assert_right(checks.quadratic_meta_gradient, answer)


def in_place(theta, A, b, inner_lr):
    theta -= inner_lr * (A @ theta - b)
    return (np.eye(len(theta)) - inner_lr * A) @ (A @ theta - b)


def matrix_in_place(theta, A, b, inner_lr):
    found = exact_quadratic(theta, A, b, inner_lr)
    A *= inner_lr
    return found


WRONG_QUADRATIC = [
    ("first-order gradient", on_quadratic(factor=lambda eye, A, a: eye)),
    ("nothing has been adapted", lambda t, A, b, a: A @ t - b),
    ("the same thing", lambda t, A, b, a: (np.eye(len(t)) - a * A) @ (A @ t - b)),
    ("sign inside the factor", on_quadratic(factor=lambda eye, A, a: eye + a * A)),
    ("taken twice", on_quadratic(factor=lambda eye, A, a: (eye - a * A) @ (eye - a * A))),
    ("alpha is missing in the factor", on_quadratic(factor=lambda eye, A, a: eye - A)),
    ("the identity is missing", on_quadratic(factor=lambda eye, A, a: a * A)),
    ("moves with theta itself", on_quadratic(factor=lambda eye, A, a: -a * A)),
    ("a matrix full of ones", on_quadratic(factor=lambda eye, A, a: 1 - a * A)),
    ("b is missing in the gradient at theta'", on_quadratic(outer=lambda adapted, A, b: A @ adapted)),
    ("b is missing in the inner step", lambda t, A, b, a: exact_quadratic(t, A, 0 * b, a) - (b - a * A @ b)),
    ("or the inner step climbs", on_quadratic(sign=-1.0)),
    ("or in the inner step", on_quadratic(rate=1.0)),
    ("multiplied theta' itself", on_quadratic(outer=lambda adapted, A, b: adapted)),
    ("not a gradient", lambda t, A, b, a: t - a * (A @ t - b)),
    ("theta after an outer step", lambda t, A, b, a: t - a * exact_quadratic(t, A, b, a)),
    ("descent direction", lambda *args: -exact_quadratic(*args)),
    ("relative error is 1.0e+00", lambda *args: 2 * exact_quadratic(*args)),
    ("one number for each parameter", lambda *args: exact_quadratic(*args).sum()),
    ("must have theta's shape", lambda *args: exact_quadratic(*args)[None]),
    ("changed `theta` itself", in_place),
    ("from this task's values: a leak", in_place),
    ("changed `A` itself", matrix_in_place),
    ("tape.watch(params) before the loss", lambda *args: by_tapes(*args, watch=False)),
]


@rows(WRONG_QUADRATIC)
def test_quadratic_wrong(words, answer):
    assert_wrong(checks.quadratic_meta_gradient, answer, words)


def through_the_model(write=None, on=0, judge=2, restore=False, loss=squared_error, change=lambda g: g, sign=1.0,
                      rate=None, of_theta=True):  # fmt: skip
    """A MAML gradient on a Keras model; `write(learner, fast)` may put the fast weights into its variables."""

    def answer(learner, episode, inner_lr):
        (x, y), (judge_x, judge_y) = episode[on : on + 2], episode[judge : judge + 2]
        old = learner.get_weights()
        params = learner.trainable_variables if write else functional.values(learner.trainable_variables)
        watched = [p.value for p in params] if write else params
        with tf.GradientTape() as outer:
            outer.watch(watched)
            with tf.GradientTape() as inner:
                inner.watch(watched)
                outputs = learner(x) if write else functional.forward(learner, params, x)
                value = loss(y, outputs)
            gradients = [change(g) for g in inner.gradient(value, watched)]
            step = inner_lr if rate is None else rate
            fast = [w - sign * step * g for w, g in zip(params, gradients, strict=True)]
            if write:
                write(learner, fast)
            outputs = learner(judge_x) if write else functional.forward(learner, fast, judge_x)
            value = loss(judge_y, outputs)
        found = outer.gradient(value, watched if of_theta else fast)
        if restore:
            learner.set_weights(old)
        return found

    return answer


exact = through_the_model()


def library(inner_steps=1, inner_lr=None):
    def answer(learner, episode, rate):
        theta = functional.values(learner.trainable_variables)
        sizes = {"inner_steps": inner_steps, "inner_lr": rate if inner_lr is None else inner_lr}
        return functional.meta_gradient(learner, theta, episode, **sizes, loss=squared_error).gradients

    return answer


def by_variables(learner, episode, inner_lr):
    """Theta stays in the variables, which tapes watch by themselves; only theta' is tensors."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = squared_error(episode.support_y, learner(episode.support_x))
        gradients = inner.gradient(loss, learner.trainable_variables)
        fast = [v - inner_lr * g for v, g in zip(learner.trainable_variables, gradients, strict=True)]
        outputs, _ = learner.stateless_call(fast, learner.non_trainable_variables, episode.query_x)
        loss = squared_error(episode.query_y, outputs)
    return outer.gradient(loss, learner.trainable_variables)


def with_rate(dtype):
    return lambda learner, episode, rate: by_variables(learner, episode, tf.constant(rate, dtype))


RIGHT = [
    ("as on the page", exact),
    ("the library", library()),
    ("variables", by_variables),
    ("a constant of single precision", with_rate(tf.float32)),
    ("a constant of double precision", with_rate(tf.float64)),
    ("arrays", lambda *args: [g.numpy() for g in exact(*args)]),
    ("a tuple", lambda *args: tuple(exact(*args))),
    ("written and put back", lambda m, e, a: (exact(m, e, a), m.set_weights(m.get_weights()))[0]),
]


@rows(RIGHT)
def test_meta_gradient_right(words, answer):
    assert_right(checks.detect_assign, answer)


def by_assign(learner, fast):
    for variable, value in zip(learner.trainable_variables, fast, strict=True):
        variable.assign(value)


def by_set_weights(learner, fast):
    learner.set_weights([value.numpy() for value in fast])


def exact_but_leaking(learner, episode, inner_lr):
    found = exact(learner, episode, inner_lr)
    learner.trainable_variables[0].assign_add(np.ones(learner.trainable_variables[0].shape))
    return found


def inner_outside(learner, episode, inner_lr):
    """The inner gradient is taken before the outer tape begins."""
    theta = functional.values(learner.trainable_variables)
    with tf.GradientTape() as inner:
        inner.watch(theta)
        loss = squared_error(episode.support_y, functional.forward(learner, theta, episode.support_x))
    gradients = inner.gradient(loss, theta)
    with tf.GradientTape() as outer:
        outer.watch(theta)
        fast = [w - inner_lr * g for w, g in zip(theta, gradients, strict=True)]
        loss = squared_error(episode.query_y, functional.forward(learner, fast, episode.query_x))
    return outer.gradient(loss, theta)


def without_watch(outer_too):
    def answer(learner, episode, inner_lr):
        theta = functional.values(learner.trainable_variables)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                if outer_too:
                    inner.watch(theta)
                loss = squared_error(episode.support_y, functional.forward(learner, theta, episode.support_x))
            gradients = inner.gradient(loss, theta)
            fast = [w - inner_lr * g for w, g in zip(theta, gradients, strict=True)]
            loss = squared_error(episode.query_y, functional.forward(learner, fast, episode.query_x))
        return outer.gradient(loss, theta)

    return answer


def sums(targets, outputs):
    return tf.reduce_sum((targets - outputs) ** 2)


def fast_weights(learner, episode, inner_lr):
    theta = functional.values(learner.trainable_variables)
    return functional.adapt(learner, theta, *episode[:2], inner_lr=inner_lr, inner_steps=1, loss=squared_error)


def after_a_step(learner, episode, inner_lr):
    theta = functional.values(learner.trainable_variables)
    return [w - inner_lr * g for w, g in zip(theta, exact(learner, episode, inner_lr), strict=True)]


WRONG = [
    ("writes theta' into the variables", through_the_model(by_assign)),
    ("(assign_sub, assign or set_weights)", through_the_model(by_set_weights)),
    ("the old values put back", through_the_model(by_assign, restore=True)),
    ("and the old values put back", through_the_model(by_set_weights, restore=True)),
    ("this is the first-order gradient", through_the_model(change=tf.stop_gradient)),
    ("came out of tf.stop_gradient or .numpy()", through_the_model(change=lambda g: tf.constant(g.numpy()))),
    ("with respect to theta' instead of theta", through_the_model(of_theta=False)),
    ("the inner step lies outside the outer tape", inner_outside),
    ("a gradient is None", lambda learner, *_: [None] * len(learner.trainable_variables)),
    ("outer.watch(params), before the inner step", without_watch(outer_too=True)),
    ("tape.watch(params) before the loss", without_watch(outer_too=False)),
    ("nothing was adapted", library(inner_lr=0.0)),
    ("two inner steps", library(inner_steps=2)),
    ("the inner step was taken on the query set", through_the_model(on=2)),
    ("the outer loss was taken on the support set", through_the_model(judge=0)),
    ("are exchanged", through_the_model(on=2, judge=0)),
    ("the inner step climbs", through_the_model(sign=-1.0)),
    ("inner_lr is missing", through_the_model(rate=1.0)),
    ("descent direction", lambda *args: [-g for g in exact(*args)]),
    ("this is theta', the fast weights", fast_weights),
    ("the model's weights. Return", lambda learner, *_: functional.values(learner.trainable_variables)),
    ("this is a new theta", after_a_step),
    ("both losses are sums", through_the_model(loss=sums)),
    ("the next task would start from", exact_but_leaking),
    ("relative error against the exact gradient", through_the_model(loss=lambda y, f: 0.5 * squared_error(y, f))),
    ("one gradient per trainable variable", lambda *_: [tf.zeros(3)]),
    ("must have the shapes", lambda learner, *_: [tf.zeros(3)] * len(learner.trainable_variables)),
]


@rows(WRONG)
def test_meta_gradient_wrong(words, answer):
    assert_wrong(checks.detect_assign, answer, words)
