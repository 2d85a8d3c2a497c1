"""The check of paired differences rejects the known wrong ways, and accepts other intervals of the same thing."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks
from tfmeta.evaluation import confidence_interval

T_QUANTILES = {40: 2.0227, 400: 1.9659}  # Student's, for n - 1 degrees of freedom


def error(d, ddof=1):
    return np.std(d, ddof=ddof) / np.sqrt(len(d))


def with_half(half):
    """An answer with the right mean, and `half(a - b)`."""
    return lambda a, b: (np.mean(a - b), half(a - b))


def bootstrap(d, resamples=1000, seed=None):
    rng = np.random.default_rng(seed)
    means = rng.choice(d, (resamples, len(d))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return (high - low) / 2


def bootstrapped_error(d):
    means = np.random.default_rng(0).choice(d, (500, len(d))).mean(axis=1)
    return 1.96 * means.std()


def all_of_a_bootstrap(a, b):
    rows_drawn = np.random.default_rng(1).integers(len(a), size=(400, len(a)))
    means = (a[rows_drawn] - b[rows_drawn]).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return means.mean(), (high - low) / 2


def with_factor(a, b, factor):
    return np.mean(a - b), factor * error(a - b)


RIGHT = [
    ("(1.96 standard errors", with_half(lambda d: 1.96 * error(d))),
    ("two means", lambda a, b: [np.mean(a) - np.mean(b), 1.959964 * error(a - b, ddof=0)]),
    ("the library", with_half(confidence_interval)),
    ("an array", lambda a, b: np.array([np.mean(a - b), 1.96 * error(a - b)])),
    ("a tensor", lambda a, b: tf.stack([tf.reduce_mean(a - b), 1.96 * error(a - b)])),
    ("single precision", lambda a, b: (np.float32(np.mean(a - b)), np.float32(1.96 * error(a - b)))),
    ("a partial", functools.partial(with_factor, factor=1.96)),
    ("two standard errors", with_half(lambda d: 2 * error(d))),
    ("Student's quantile", with_half(lambda d: T_QUANTILES[len(d)] * error(d))),
    ("(95 % of their mean", with_half(bootstrap)),
    ("a bootstrap of few", with_half(lambda d: bootstrap(d, resamples=200, seed=3))),
    ("a bootstrap of many", with_half(lambda d: bootstrap(d, resamples=5000, seed=0))),
    ("a bootstrap's standard error", with_half(bootstrapped_error)),
    ("all of a bootstrap", all_of_a_bootstrap),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.paired_difference, answer, words)


def in_place(a, b):
    a -= b
    return a.mean(), 1.96 * error(a)


def unpaired_bootstrap(a, b):
    rng = np.random.default_rng(0)
    means = [rng.choice(x, (500, len(x))).mean(axis=1) for x in (a, b)]
    low, high = np.percentile(means[0] - means[1], [2.5, 97.5])
    return np.mean(a - b), (high - low) / 2


WRONG = [
    ("sign is turned round", lambda a, b: (np.mean(b - a), 1.96 * error(a - b))),
    ("the first number is not the mean of a - b", lambda a, b: (np.mean(a), 1.96 * error(a - b))),
    ("the first number is in percent", lambda a, b: (100 * np.mean(a - b), 196 * error(a - b))),
    ("the median of the differences", lambda a, b: (np.median(a - b), 1.96 * error(a - b))),
    ("absolute differences", lambda a, b: (np.mean(np.abs(a - b)), 1.96 * error(a - b))),
    (
        "the ends of the interval",
        lambda a, b: (np.mean(a - b) - 1.96 * error(a - b), np.mean(a - b) + 1.96 * error(a - b)),
    ),
    ("added the variances", lambda a, b: (np.mean(a - b), 1.96 * np.hypot(error(a), error(b)))),
    ("which holds for different episodes", unpaired_bootstrap),
    ("spread of single episodes", with_half(lambda d: 1.96 * np.std(d, ddof=1))),
    ("the standard deviation of single episodes", with_half(lambda d: np.std(d, ddof=1))),
    ("one standard error", with_half(error)),
    ("whole width", with_half(lambda d: 3.92 * error(d))),
    ("whole width of the interval", with_half(lambda d: 2 * bootstrap(d))),
    ("root of n", with_half(lambda d: 1.96 * np.std(d, ddof=1) / len(d))),
    ("a 90 % interval", with_half(lambda d: 1.645 * error(d))),
    ("a 99 % interval", with_half(lambda d: 2.576 * error(d))),
    ("the variance where", with_half(lambda d: 1.96 * np.var(d, ddof=1) / np.sqrt(len(d)))),
    ("the variance of the mean", with_half(lambda d: 1.96 * np.var(d, ddof=1) / len(d))),
    ("the second number is in percent", with_half(lambda d: 196 * error(d))),
    ("not negative", with_half(lambda d: -1.96 * error(d))),
    ("is not 1.96 s", lambda a, b: (np.mean(a - b), 1.96 * error(a + b))),
    ("changed the arrays", in_place),
    ("return two numbers: the mean", lambda a, b: np.mean(a - b)),
    ("yours have shapes", lambda a, b: (a - b, a - b)),
    ("stopped with NameError", lambda a, b: (np.mean(a - c), 0.0)),  # noqa: F821
    ("cannot be compared", lambda a, b: ("x", "y")),
]


@rows(WRONG)
def test_wrong(words, answer, capsys):
    assert_wrong(checks.paired_difference, answer, words)
    assert capsys.readouterr().out.startswith("[x] ")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("resamples", [200, 1000])
def test_luck_does_not_refuse_a_bootstrap(seed, resamples):
    rng = np.random.default_rng(seed)
    answer = with_half(lambda d: bootstrap(d, resamples=resamples, seed=rng.integers(2**30)))
    assert_right(checks.paired_difference, answer)


def test_a_stub_is_no_mistake():
    assert checks.paired_difference(lambda a, b: ...).status == "not filled in yet"
