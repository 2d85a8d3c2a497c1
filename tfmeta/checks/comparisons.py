"""The check of tutorial 14: the difference of two methods on the same episodes, with its interval."""

from __future__ import annotations

import numpy as np

from tfmeta.checks.report import Result, judge, require


def paired_difference(answer) -> Result:
    """Check the mean difference of two methods' accuracies on the same episodes, and half its 95 % interval.

    Args:
        answer: `answer(a, b)` with two arrays `[n]` of accuracies, entry i of both on the same episode; returns the
            mean of `a - b` and half the width of its interval.

    Returns:
        A `Result`. Rejected with words of their own: the wrong direction, variances added up as if the episodes
        differed, the spread of single episodes, one standard error, the whole width, a division by n.

    References:
        Snell et al. (2017), section 3: 95 % intervals over test episodes. https://arxiv.org/abs/1703.05175
    """
    return judge("paired_difference", answer, _examine)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    for n in (40, 400):
        hard = rng.normal(0.9, 0.05, n)  # what both find hard, so that pairing matters
        a, b = hard + rng.normal(0.01, 0.01, n), hard + rng.normal(0.0, 0.01, n)
        found = call(a.copy(), b.copy())
        require(
            isinstance(found, tuple | list) and len(found) == 2,
            "return two numbers: the mean difference and half the width of its interval.",
        )
        mean, half = (np.asarray(value, dtype=np.float64) for value in found)
        require(mean.shape == half.shape == (), f"return two numbers; yours have shapes {mean.shape} and {half.shape}.")
        error = (a - b).std(ddof=1) / np.sqrt(n)
        require(not np.isclose(mean, (b - a).mean()), "the sign is turned round: the difference is a - b.")
        require(np.isclose(mean, (a - b).mean()), "the first number is not the mean of a - b.")
        apart = 1.96 * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / n)
        for value, message in (
            (apart, "you added the variances of a and b, which holds for different episodes. Subtract episode by "
             "episode first: what both find hard cancels."),
            (1.96 * error * np.sqrt(n),
             "this is the spread of single episodes. The mean is known better, by the root of n."),
            (error, "this is one standard error. The 95 % interval is 1.96 of them to each side."),
            (2 * 1.96 * error, "this is the whole width of the interval. Return half of it."),
            (1.96 * error / np.sqrt(n), "divide by the root of n, not by n."),
        ):  # fmt: skip
            require(not np.isclose(half, value, rtol=4e-3), message)
        # ddof 0 or 1, and 1.96 or more digits, are both in use.
        require(np.isclose(half, 1.96 * error, rtol=0.015), "the second number is not 1.96 s / sqrt(n) of a - b.")
    return "the mean of a - b with 1.96 standard errors of the differences, which is all that pairing is."
