"""The check of tutorial 14: the difference of two methods on the same episodes, with its interval."""

from __future__ import annotations

import numpy as np

from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.values import as_array, as_list

SIZES = (40, 400) * 6  # several data sets, so that the noise of a bootstrap averages out


def paired_difference(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the mean difference of two methods' accuracies on the same episodes, and half its 95 % interval.

    Args:
        answer: `answer(a, b)` with two arrays `[n]` of accuracies, entry i of both on the same episode; returns the
            mean of `a - b` and half the width of its interval, by the normal's quantile, by Student's, or by a
            bootstrap of the differences.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: the wrong direction, the median, variances added up as if the
        episodes differed, the spread of single episodes, one standard error, the whole width, the ends of the interval,
        90 and 99 % intervals, a division by n, a variance for a standard deviation, percent, arrays changed in place.

    References:
        Snell et al. (2017), section 3: 95 % intervals over test episodes. https://arxiv.org/abs/1703.05175
        Efron, Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13. https://doi.org/10.1201/9780429246593
    """
    return judge("paired_difference", answer, _examine, quiet=quiet, seconds=seconds)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    rows = []
    for n in SIZES:
        hard = rng.normal(0.9, 0.05, n)  # what both find hard, so that pairing matters
        a, b = hard + rng.normal(0.02, 0.01, n), hard + rng.normal(0.0, 0.01, n)
        rows.append((a, b, *_one(call, a, b)))
    _examine_means(rows)
    method = _examine_widths(rows)
    return f"the mean of a - b with {method}, which is all that pairing is."


def _one(call, a, b):
    given = a.copy(), b.copy()
    found = call(*given)
    require(
        np.array_equal(given[0], a) and np.array_equal(given[1], b),
        "your function changed the arrays that it was given (a -= b writes into a). Whoever called it goes on with "
        "other accuracies: compute a new array.",
    )
    pair = as_list(found, 2, "return two numbers: the mean difference and half the width of its interval.")
    mean, half = (as_array(value) for value in pair)
    require(mean.shape == half.shape == (), f"return two numbers; yours have shapes {mean.shape} and {half.shape}.")
    return float(mean), float(half)


def _errors(rows) -> np.ndarray:
    return np.array([(a - b).std(ddof=1) / np.sqrt(len(a)) for a, b, _, _ in rows])


def _examine_means(rows) -> None:
    found, errors = np.array([mean for _, _, mean, _ in rows]), _errors(rows)
    differences = [a - b for a, b, _, _ in rows]

    def equal(values):  # a bootstrap's mean is known up to a small part of the standard error
        return np.all(np.abs(found - values) < 0.3 * errors)

    exact = np.array([d.mean() for d in differences])
    if equal(exact):
        return
    require(not equal(-exact), "the sign is turned round: the difference is a - b.")
    require(
        not np.allclose(found, 100 * exact, rtol=0.02),
        "the first number is in percent. The accuracies are parts of 1: leave the difference in their unit.",
    )
    halves = np.array([half for *_, half in rows])
    require(
        not np.allclose((found + halves) / 2, exact, atol=3e-4),
        "these are the ends of the interval. Return its middle, the mean, and half its width.",
    )
    require(
        not equal([np.median(d) for d in differences]),
        "this is the median of the differences. Accuracies are reported as means, and the interval is the mean's.",
    )
    require(
        not equal([np.abs(d).mean() for d in differences]),
        "these are absolute differences. Keep the sign: it tells which of the two is better.",
    )
    require(False, "the first number is not the mean of a - b.")


def _examine_widths(rows) -> str:
    found, errors = np.array([half for *_, half in rows]), _errors(rows)
    n = np.array(SIZES)
    require(np.all(found >= 0), "half a width is not negative. Which of two numbers did you subtract from which?")

    def near(values, within=0.06):  # on average over the data sets: so a bootstrap is recognised, too
        ratios = found / values
        return abs(np.mean(ratios) - 1) < within and np.all(np.abs(ratios - 1) < 0.4)

    half = 1.96 * errors
    if near(half, within=0.08):
        exact = np.allclose(found, half, rtol=0.016)  # ddof 0 or 1, and 1.96 or more digits, are both in use
        return "1.96 standard errors of the differences" if exact else "95 % of their mean inside the interval"
    apart = 1.96 * np.array([np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a)) for a, b, _, _ in rows])
    for value, message in (
        (apart, "you added the variances of a and b, which holds for different episodes. Subtract episode by "
         "episode first: what both find hard cancels."),
        (half * np.sqrt(n),
         "this is the spread of single episodes. The mean is known better, by the root of n."),
        (errors * np.sqrt(n), "this is the standard deviation of single episodes. The mean's is smaller by the root "
                              "of n, and the interval has 1.96 of those."),
        (errors, "this is one standard error. The 95 % interval is 1.96 of them to each side."),
        (2 * half, "this is the whole width of the interval. Return half of it."),
        (half / np.sqrt(n), "divide by the root of n, not by n."),
        (1.645 * errors, "this is a 90 % interval (1.645 standard errors): 5 % are left out on each side. The 95 % "
                         "interval leaves out 2.5 % on each side, 1.96 standard errors."),
        (2.576 * errors, "this is a 99 % interval, 2.576 standard errors. Take 1.96 for 95 %."),
        (1.96 * errors**2 * np.sqrt(n), "this has the variance where the standard deviation belongs."),
        (1.96 * errors**2, "this is the variance of the mean. Take its root, the standard error."),
        (100 * half, "the second number is in percent. Leave it in the unit of the accuracies."),
    ):  # fmt: skip
        require(not near(value), message)
    require(False, "the second number is not 1.96 s / sqrt(n) of a - b, nor what a bootstrap of a - b gives.")
    return ""
