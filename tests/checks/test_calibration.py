"""The check of the expected calibration error accepts right answers in any form and rejects the known wrong ones."""

import numpy as np
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks, evaluation


def binned(weigh, confidence_of=lambda labels, p: p.max(axis=1), upper=True, keep=lambda k, bins: True):
    """An answer that adds up something of each bin."""

    def answer(labels, probabilities, bins):
        confidence = confidence_of(labels, probabilities)
        right = (probabilities.argmax(axis=1) == labels).astype(float)
        total = 0.0
        for k in range(bins):
            low, high = k / bins, (k + 1) / bins
            inside = (confidence > low) & (confidence <= high) if upper else (confidence >= low) & (confidence < high)
            if inside.any() and keep(k, bins):
                total += weigh(inside, confidence[inside].mean() - right[inside].mean(), bins)
        return total

    return answer


ERROR = binned(lambda inside, gap, bins: inside.mean() * abs(gap))


def digitised(labels, probabilities, bins):
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    sums = np.bincount(place, confidence - right, bins)
    return np.abs(sums).sum() / len(labels)


def equal_sizes(labels, probabilities, bins):
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    parts = np.array_split(np.argsort(confidence), bins)
    return sum(abs(confidence[p].mean() - right[p].mean()) * len(p) for p in parts) / len(labels)


def everything(labels, probabilities, bins):
    hits = np.eye(probabilities.shape[1])[labels].ravel()
    rows = np.column_stack([1 - probabilities.ravel(), probabilities.ravel()])
    confidence, place = rows[:, 1], np.minimum(np.ceil(rows[:, 1] * bins).astype(int) - 1, bins - 1)
    return np.abs(np.bincount(place, confidence - hits, bins)).sum() / len(hits)


def written_into(labels, probabilities, bins):
    found = ERROR(labels, probabilities, bins)
    probabilities[:] = 0
    return found


RIGHT = [
    ("as on the page", ERROR),
    ("the library", lambda labels, p, bins: evaluation.expected_calibration_error(labels, p, bins)),
    ("sums without a loop", digitised),
    ("a tensor", lambda *args: tf.constant(ERROR(*args))),
    ("an array of one", lambda *args: np.array([ERROR(*args)])),
]
WRONG = [
    ("every bin counts the same", binned(lambda inside, gap, bins: abs(gap) / bins)),
    ("added up the gaps", binned(lambda inside, gap, bins: abs(gap))),
    ("cancel in yours", binned(lambda inside, gap, bins: inside.mean() * gap)),
    ("the gaps are squared", binned(lambda inside, gap, bins: inside.mean() * gap**2)),
    ("the gaps are squared", lambda *args: np.sqrt(binned(lambda inside, gap, bins: inside.mean() * gap**2)(*args))),
    ("each query with itself", lambda y, p, bins: np.abs(p.max(axis=1) - (p.argmax(axis=1) == y)).mean()),
    ("over all queries", lambda y, p, bins: abs(p.max(axis=1).mean() - (p.argmax(axis=1) == y).mean())),
    ("not that of the true class", binned(
        lambda inside, gap, bins: inside.mean() * abs(gap), lambda y, p: p[np.arange(len(y)), y])),
    ("all probabilities went into the bins", everything),
    ("equal numbers of queries", equal_sizes),
    ("in percent", lambda *args: 100 * ERROR(*args)),
    ("one minus the error", lambda *args: 1 - ERROR(*args)),
    ("last bin", binned(lambda inside, gap, bins: inside.mean() * abs(gap), keep=lambda k, bins: k < bins - 1)),
    ("probability of 1?", binned(lambda inside, gap, bins: inside.mean() * abs(gap), upper=False)),
    ("largest gap", lambda y, p, bins: max(
        binned(lambda inside, gap, _, k=k: abs(gap), keep=lambda j, _, k=k: j == k)(y, p, bins) for k in range(bins))),
    ("one number", lambda y, p, bins: p.max(axis=1)),
    ("wrote into an array", written_into),
    ("this is not the mean over bins", lambda *args: 0.123),
]  # fmt: skip


@rows(RIGHT)
def test_right_errors(words, answer):
    assert_right(checks.expected_calibration_error, answer, words)


@rows(WRONG)
def test_wrong_errors(words, answer):
    assert_wrong(checks.expected_calibration_error, answer, words)
