"""The checks of Reptile's, Meta-SGD's and ANIL's steps reject the known wrong ways."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.checks.table import assert_right, assert_wrong
from tfmeta import checks


def every(function):
    return lambda *lists: [function(*parts) for parts in zip(*lists, strict=True)]


def reptile(change):
    """An answer from `change(theta, adapted, outer_lr)` of one tensor."""
    return lambda p, f, lr: [change(w, g, lr) for w, g in zip(p, f, strict=True)]


def one_reptile(w, g, lr):
    return w + lr * tf.reduce_mean(g - w, axis=0)


def serial(w, g, lr):
    for one in g:
        w = w + lr * (one - w)
    return w


def in_place(update):
    """An answer that writes its result into the list that it was given."""

    def answer(p, *rest):
        for i, new in enumerate(update(list(p), *rest)):
            p[i] = new
        return p

    return answer


def averaged_in_place(p, f, lr):
    for i in range(len(f)):
        f[i] = tf.reduce_mean(f[i], axis=0)
    return [w + lr * (g - w) for w, g in zip(p, f, strict=True)]


REPTILE = reptile(one_reptile)
RIGHT_REPTILE = [
    ("as on the page", REPTILE),
    ("the library", tfmeta.reptile_update),
    ("a weighted mean", reptile(lambda w, g, lr: (1 - lr) * w + lr * tf.reduce_mean(g, axis=0))),
    ("NumPy", reptile(lambda w, g, lr: w.numpy() + lr * (g.numpy() - w.numpy()).mean(axis=0))),
    ("a tuple", lambda *args: tuple(REPTILE(*args))),
    ("a generator", lambda p, f, lr: (one_reptile(w, g, lr) for w, g in zip(p, f, strict=True))),
    ("an array of arrays", lambda *args: np.array([t.numpy() for t in REPTILE(*args)] + [None], dtype=object)[:-1]),
    ("lists of numbers", lambda *args: [t.numpy().tolist() for t in REPTILE(*args)]),
    ("a loop over tasks", reptile(lambda w, g, lr: w + lr * sum(one - w for one in g) / len(g))),
    ("a partial", functools.partial(lambda sign, *args: REPTILE(*args), 1)),
    ("a graph", tf.function(REPTILE)),
    ("a nested map", lambda p, f, lr: tf.nest.map_structure(lambda w, g: one_reptile(w, g, lr), p, f)),
]
WRONG_REPTILE = [
    ("moves away", reptile(lambda w, g, lr: w - lr * tf.reduce_mean(g - w, axis=0))),
    ("added up", reptile(lambda w, g, lr: w + lr * tf.reduce_sum(g - w, axis=0))),
    ("without axis=0 averages", reptile(lambda w, g, lr: w + lr * tf.reduce_mean(g - w))),
    ("reduce_mean without axis=0", reptile(lambda w, g, lr: w + lr * (tf.reduce_mean(g) - w))),
    ("reduce_sum without axis=0", reptile(lambda w, g, lr: w + lr * tf.reduce_sum(g - w))),
    ("the serial version", reptile(serial)),
    ("a part of the way each time", reptile(lambda w, g, lr: serial(w, g, lr / len(g)))),
    ("mean adapted weights", reptile(lambda w, g, lr: tf.reduce_mean(g, axis=0))),
    ("lacks the rest of theta", reptile(lambda w, g, lr: lr * tf.reduce_mean(g, axis=0))),
    ("you added theta'", reptile(lambda w, g, lr: w + lr * tf.reduce_mean(g, axis=0))),
    ("the weights are exchanged", reptile(lambda w, g, lr: lr * w + (1 - lr) * tf.reduce_mean(g, axis=0))),
    ("Add it to the parameters", reptile(lambda w, g, lr: lr * tf.reduce_mean(g - w, axis=0))),
    ("and left out outer_lr", reptile(lambda w, g, lr: w + tf.reduce_mean(g - w, axis=0) / len(g))),
    ("twice: once is the mean", reptile(lambda w, g, lr: w + lr * tf.reduce_mean(g - w, axis=0) / len(g))),
    ("the median over tasks", reptile(lambda w, g, lr: w + lr * np.median(g - w, axis=0))),
    ("only the first task", reptile(lambda w, g, lr: w + lr * (g[0] - w))),
    ("only the last task", reptile(lambda w, g, lr: w + lr * (g[-1] - w))),
    ("wrote into the list `params`", in_place(REPTILE)),
    ("wrote into the list `fast_weights`", averaged_in_place),
    ("list of 2 tensors", lambda *args: REPTILE(*args)[0]),
    ("parameter's shape", reptile(lambda w, g, lr: w + lr * (g - w))),
    ("this is not theta", reptile(lambda w, g, lr: one_reptile(w, g, 2 * lr))),
]


def meta_sgd(rate):
    return every(lambda w, d, r: w - rate(r) * d)


META_SGD = meta_sgd(tf.identity)
RIGHT_META_SGD = [
    ("as on the page", META_SGD),
    ("a tuple", lambda *args: tuple(META_SGD(*args))),
    ("subtract and multiply", every(lambda w, d, r: tf.subtract(w, tf.multiply(r, d)))),
    ("a nested map", lambda *args: tf.nest.map_structure(lambda w, d, r: w - r * d, *args)),
    ("a graph", tf.function(META_SGD)),
    ("add minus", every(lambda w, d, r: tf.add_n([w, -r * d]))),
    ("a generator", lambda *args: (w - r * d for w, d, r in zip(*args, strict=True))),
]
WRONG_META_SGD = [
    ("this climbs", every(lambda w, d, r: w + r * d)),
    ("one mean rate", meta_sgd(tf.reduce_mean)),
    ("exponential of the rates", meta_sgd(tf.exp)),
    ("absolute value", meta_sgd(tf.abs)),
    ("negative rates were cut off", meta_sgd(tf.nn.relu)),
    ("never comes back", meta_sgd(lambda r: tf.maximum(r, 0.0))),
    ("softplus", meta_sgd(tf.nn.softplus)),
    ("sigmoid", meta_sgd(tf.nn.sigmoid)),
    ("squared", meta_sgd(tf.square)),
    ("the gradient's sign alone", every(lambda w, d, r: w - r * tf.sign(d))),
    ("the rates are missing", every(lambda w, d, r: w - d)),
    ("the gradients are missing", every(lambda w, d, r: w - r)),
    ("this is the step. Subtract", every(lambda w, d, r: r * d)),
    ("this is the step. Add", every(lambda w, d, r: -r * d)),
    ("theta came back unchanged", every(lambda w, d, r: w)),
    ("this is not theta - alpha", meta_sgd(lambda r: 2 * r)),
    ("list of 2 tensors", lambda *args: META_SGD(*args)[:1]),
    ("wrote into the list `params`", in_place(META_SGD)),
    ("no gradient reaches the rates", meta_sgd(lambda r: tf.constant(r.numpy()))),
    ("they cannot be learned", meta_sgd(tf.stop_gradient)),
    ("cannot be learned. Use TensorFlow", lambda *args: [t.numpy() for t in META_SGD(*args)]),
    ("no gradient reaches theta", every(lambda w, d, r: tf.stop_gradient(w) - r * d)),
    ("first-order variant", every(lambda w, d, r: w - r * tf.stop_gradient(d))),
    ("a part of the way is cut", every(lambda w, d, r: w - r * (d + tf.stop_gradient(d)) / 2)),
]


def masked(p, g, lr, on):
    return [w - lr * d if o else w for w, d, o in zip(p, g, on, strict=True)]


def mask(adapted, kept=lambda w, d, lr: w):
    """An answer from what an adapted tensor and a frozen one become."""
    return lambda p, g, lr, on: [
        adapted(w, d, lr) if o else kept(w, d, lr) for w, d, o in zip(p, g, on, strict=True)
    ]  # fmt: skip


def step(w, d, lr):
    return w - lr * d


def with_a_list(p, g, lr, on):
    fast = list(p)
    for i in [i for i, o in enumerate(on) if o]:
        fast[i] = fast[i] - lr * g[i]
    return fast


RIGHT_MASK = [
    ("as on the page", masked),
    ("a copied list", with_a_list),
    ("times the mask", lambda p, g, lr, on: [w - lr * float(o) * d for w, d, o in zip(p, g, on, strict=True)]),
    ("where", lambda p, g, lr, on: [tf.where(o, w - lr * d, w) for w, d, o in zip(p, g, on, strict=True)]),
    ("a tuple", lambda *args: tuple(masked(*args))),
    ("a new tensor", mask(step, lambda w, d, lr: tf.identity(w))),
    ("a graph", tf.function(masked, autograph=False)),
    ("a generator", lambda *args: iter(masked(*args))),
]
WRONG_MASK = [
    ("everything adapts", lambda p, g, lr, on: masked(p, g, lr, [True, True])),
    ("nothing adapts", lambda p, g, lr, on: list(p)),
    ("turned round", lambda p, g, lr, on: masked(p, g, lr, [not o for o in on])),
    ("became zero", mask(step, lambda w, d, lr: 0 * w)),
    ("what adapts became zero", mask(lambda w, d, lr: tf.zeros_like(w))),
    ("holds the step alone", mask(lambda w, d, lr: lr * d)),
    ("Add it to theta", mask(lambda w, d, lr: -lr * d, lambda w, d, lr: 0 * d)),
    ("this climbs", mask(lambda w, d, lr: w + lr * d)),
    ("inner_lr is missing", mask(lambda w, d, lr: w - d)),
    ("became its gradient", mask(step, lambda w, d, lr: d)),
    (
        "only the tensors that adapt",
        lambda p, g, lr, on: [n for n, o in zip(masked(p, g, lr, on), on, strict=True) if o],
    ),
    ("in another order", lambda *args: masked(*args)[::-1]),
    ("wrote into the list `params`", in_place(masked)),
    ("an adapted tensor must be", lambda p, g, lr, on: masked(p, g, 2 * lr, on)),
    ("ANIL's body *does learn*", mask(step, lambda w, d, lr: tf.stop_gradient(w))),
    ("only not *adapted*", mask(step, lambda w, d, lr: tf.constant(w.numpy()))),
    ("no gradient reaches the parameters that adapt", mask(lambda w, d, lr: tf.stop_gradient(w) - lr * d)),
    ("first-order variant", mask(lambda w, d, lr: w - lr * tf.stop_gradient(d))),
    ("is not", mask(lambda w, d, lr: w - lr * (d + tf.stop_gradient(d)) / 2)),
    ("list of 2 tensors", lambda *args: 3),
]

CASES = [
    (checks.reptile_update, RIGHT_REPTILE, WRONG_REPTILE),
    (checks.meta_sgd_update, RIGHT_META_SGD, WRONG_META_SGD),
    (checks.masked_update, RIGHT_MASK, WRONG_MASK),
]


def parameters(column):
    return [
        pytest.param(case[0], *row, id=f"{case[0].__name__}-{row[0]}") for case in CASES for row in case[column]
    ]  # fmt: skip


@pytest.mark.parametrize(("check", "words", "answer"), parameters(1))
def test_right(check, words, answer):
    assert_right(check, answer)


@pytest.mark.parametrize(("check", "words", "answer"), parameters(2))
def test_wrong(check, words, answer):
    assert_wrong(check, answer, words)


@pytest.mark.parametrize("check", [check for check, _, _ in CASES])
def test_unfilled(check):
    assert check(lambda *_: ...).status == "not filled in yet"
