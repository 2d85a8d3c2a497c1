"""The checks of Reptile's, Meta-SGD's and ANIL's steps reject the known wrong ways."""

import pytest
import tensorflow as tf

import tfmeta
from tfmeta import checks


def every(function):
    return lambda *lists: [function(*parts) for parts in zip(*lists, strict=True)]


def reptile(p, f, lr):
    return [w + lr * tf.reduce_mean(g - w, axis=0) for w, g in zip(p, f, strict=True)]


WRONG_REPTILE = [
    (lambda p, f, lr: [2 * w - n for w, n in zip(p, reptile(p, f, lr), strict=True)], "moves away"),
    (lambda p, f, lr: [w + lr * tf.reduce_sum(g - w, axis=0) for w, g in zip(p, f, strict=True)], "added up"),
    (lambda p, f, lr: [tf.reduce_mean(g, axis=0) for g in f], "mean adapted weights"),
    (lambda p, f, lr: [n - w for w, n in zip(p, reptile(p, f, lr), strict=True)], "Add it to the parameters"),
    (lambda p, f, lr: [w + lr * (g[0] - w) for w, g in zip(p, f, strict=True)], "only the first task"),
    (lambda p, f, lr: [w + lr * (g[-1] - w) for w, g in zip(p, f, strict=True)], "only the last task"),
    (lambda p, f, lr: reptile(p, f, lr)[0], "list of 2 tensors"),
    (lambda p, f, lr: [g for g in f], "parameter's shape"),
    (lambda p, f, lr: reptile(p, f, 2 * lr), "this is not theta"),
]


def meta_sgd(p, g, a):
    return every(lambda w, d, r: w - r * d)(p, g, a)


WRONG_META_SGD = [
    (every(lambda w, d, r: w + r * d), "this climbs"),
    (every(lambda w, d, r: w - tf.reduce_mean(r) * d), "one mean rate"),
    (every(lambda w, d, r: w - tf.exp(r) * d), "exponential of the rates"),
    (every(lambda w, d, r: r * d), "this is the step"),
    (every(lambda w, d, r: w - tf.constant(r.numpy()) * d), "no gradient reaches the rates"),
    (every(lambda w, d, r: w), "this is not theta - alpha"),
    (lambda p, g, a: meta_sgd(p, g, a)[:1], "list of 2 tensors"),
]


def masked(p, g, lr, on):
    return [w - lr * d if o else w for w, d, o in zip(p, g, on, strict=True)]


def changes_the_list(p, g, lr, on):
    for i, new in enumerate(masked(p, g, lr, on)):
        p[i] = new
    return p


WRONG_MASK = [
    (lambda p, g, lr, on: masked(p, g, lr, [True, True]), "everything adapts"),
    (lambda p, g, lr, on: masked(p, g, lr, [not o for o in on]), "turned round"),
    (lambda p, g, lr, on: [w - lr * d if o else 0 * w for w, d, o in zip(p, g, on, strict=True)], "became zero"),
    (
        lambda p, g, lr, on: [new for new, o in zip(masked(p, g, lr, on), on, strict=True) if o],
        "only the tensors that adapt",
    ),
    (changes_the_list, "changed the list"),
    (lambda p, g, lr, on: masked(p, g, 2 * lr, on), "an adapted tensor must be"),
]

CASES = [
    (checks.reptile_update, (reptile, tfmeta.reptile_update), WRONG_REPTILE),
    (checks.meta_sgd_update, (meta_sgd,), WRONG_META_SGD),
    (checks.masked_update, (masked,), WRONG_MASK),
]


@pytest.mark.parametrize(("check", "answer"), [(check, good) for check, rights, _ in CASES for good in rights])
def test_right(check, answer):
    assert check(answer).passed


@pytest.mark.parametrize(
    ("check", "answer", "words"), [(check, *wrong) for check, _, wrongs in CASES for wrong in wrongs]
)
def test_wrong(check, answer, words):
    found = check(answer)
    assert found.status == "not right yet"
    assert words in found.message


@pytest.mark.parametrize("check", [check for check, _, _ in CASES])
def test_unfilled(check):
    assert check(lambda *_: ...).status == "not filled in yet"
