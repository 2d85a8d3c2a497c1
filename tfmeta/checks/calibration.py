"""Check of tutorial 11: how far confidence and accuracy lie apart."""

from __future__ import annotations

import numpy as np

from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.values import as_array


def expected_calibration_error(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the expected calibration error.

    Args:
        answer: `answer(labels, probabilities, bins)` with integers `[n]`, rows that sum to 1 `[n, n_way]` and a number
            of bins of equal width; returns the error, from 0 to 1.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: bins that all count the same, signed gaps, squared ones, the
        largest gap, no bins at all, the probability of the true class as confidence, bins of all probabilities, bins of
        equal size, a first or a last bin that is left out, percent.

    References:
        Guo et al. (2017), equation 3. https://arxiv.org/abs/1706.04599
    """
    return judge("expected_calibration_error", answer, _examine, quiet=quiet, seconds=seconds)


def _case(rng, n: int, n_way: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    logits = sharpness * rng.normal(size=(n, n_way))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Too sure where it is sure, and not sure enough where it is not: gaps of both signs.
    powers = np.where(probabilities.max(axis=1) > np.median(probabilities.max(axis=1)), 0.3, 5.0)
    truth = probabilities ** powers[:, None]
    labels = np.array([rng.choice(n_way, p=row / row.sum()) for row in truth])
    return labels, probabilities


def _error(confidence, right, bins: int, weigh=None) -> float:
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    total = 0.0
    for k in range(bins):
        inside = place == k
        if inside.any():
            gap = confidence[inside].mean() - right[inside].mean()
            total += inside.mean() * abs(gap) if weigh is None else weigh(inside, gap)
    return float(total)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    for n, n_way, bins, sharpness in ((200, 3, 15, 2.0), (60, 5, 4, 1.0)):
        labels, probabilities = _case(rng, n, n_way, sharpness)
        _compare(call, labels, probabilities, bins)
    sure = np.eye(3)[[0, 1, 2, 0]]
    for labels, wanted, words in (
        ([0, 1, 2, 0], 0.0, "always sure and right"), ([1, 2, 0, 1], 1.0, "always sure and wrong"),
        ([0, 1, 0, 1], 0.5, "always sure and right half of the time"),
    ):  # fmt: skip
        found = _number(call(np.array(labels), sure, 10))
        require(
            abs(found - wanted) < 1e-6,
            f"{words}, the error is {wanted:g}; yours is {found:.3g}. Does the last bin hold a probability of 1?",
        )
    return "the gap of confidence and accuracy in each bin, weighted by its queries: 0 is calibrated, 1 sure and wrong."


def _number(given) -> float:
    found = as_array(given)
    require(found.size == 1, f"the error is one number; yours has shape {found.shape}.")
    return float(found.reshape(()))


def _compare(call, labels, probabilities, bins: int) -> None:
    given = labels.copy(), probabilities.copy()
    found = _number(call(*given, bins))
    require(
        np.array_equal(given[0], labels) and np.array_equal(given[1], probabilities),
        "your function wrote into an array that it was given. Whoever called it still holds that array.",
    )
    n = len(labels)
    confidence, right = probabilities.max(axis=1), (probabilities.argmax(axis=1) == labels).astype(float)
    true = probabilities[np.arange(n), labels]
    exact = _error(confidence, right, bins)
    if np.isclose(found, exact, rtol=1e-4, atol=1e-6):
        return
    filled = len(np.unique(np.ceil(confidence * bins)))
    sized = [np.abs(confidence[part].mean() - right[part].mean()) * len(part) / n
             for part in np.array_split(np.argsort(confidence), bins)]  # fmt: skip
    everything, hits = probabilities.ravel(), np.eye(probabilities.shape[1])[labels].ravel()
    inside = confidence <= 1 - 1 / bins
    for value, message in (
        (_error(confidence, right, bins, lambda i, gap: abs(gap)) / bins,
         "every bin counts the same in yours, empty ones, too. Weight a bin by its share of the queries."),
        (_error(confidence, right, bins, lambda i, gap: abs(gap)) / filled,
         "every bin counts the same in yours. Weight a bin by its share of the queries."),
        (_error(confidence, right, bins, lambda i, gap: abs(gap)),
         "you added up the gaps. Weight each by its bin's share of the queries."),
        (_error(confidence, right, bins, lambda i, gap: i.mean() * gap), "too sure and too unsure cancel in yours, "
         "as in the means over all queries. Take the absolute value of the gap in each bin."),
        (_error(confidence, right, bins, lambda i, gap: -i.mean() * gap), "too sure and too unsure cancel in yours, "
         "as in the means over all queries. Take the absolute value of the gap in each bin."),
        (_error(confidence, right, bins, lambda i, gap: i.mean() * gap**2), "the gaps are squared in yours. Take their "
         "absolute values."),
        (np.sqrt(_error(confidence, right, bins, lambda i, gap: i.mean() * gap**2)),
         "the gaps are squared in yours. Take their absolute values."),
        (np.abs(confidence - right).mean(), "you compared each query with itself: 0.7 is no mistake if 7 of 10 such "
         "queries are right. Compare the means of a bin."),
        (_error(true, right, bins), "confidence is the *largest* probability, not that of the true class: nobody knows "
         "the true class when a prediction is made."),
        (_error(true, np.ones(n), bins), "confidence is the *largest* probability, not that of the true class."),
        (_error(everything, hits, bins), "all probabilities went into the bins. Confidence is the largest of a row."),
        (float(np.sum(sized)), "your bins hold equal numbers of queries. They have equal widths."),
        (100 * exact, "yours is in percent. Return a share from 0 to 1."),
        (1 - exact, "this is one minus the error."),
        (_error(confidence[inside], right[inside], bins) * inside.mean(), "the last bin is left out."),
        (max(abs(confidence[p].mean() - right[p].mean()) for k in range(bins)
             if (p := np.ceil(confidence * bins).astype(int) - 1 == k).any()),
         "this is the largest gap. Take the mean over bins, weighted by their queries."),
    ):  # fmt: skip
        require(not np.isclose(found, value, rtol=1e-4, atol=1e-6), message)
    require(
        False,
        "this is not the mean over bins of |confidence - accuracy|, weighted by the share of queries in each bin.",
    )
