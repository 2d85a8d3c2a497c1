"""Intervals of means over episodes."""

from __future__ import annotations

import numpy as np

# Two-sided 95 % quantile of the normal distribution; the papers use it for their 600 to 1000 episodes.
Z_95 = 1.959964


def confidence_interval(values: np.ndarray) -> float:
    """Half the width of the 95 % confidence interval of a mean.

    Args:
        values: `[n, ...]`, one row an episode; the interval is over episodes.

    Raises:
        ValueError: if they are no numbers, or one alone without an axis.

    Returns:
        1.96 standard errors, `[...]`; not-a-number for one value, which says nothing about its spread.

    References:
        Snell et al. (2017), section 3: accuracies with 95 % intervals over test episodes.
        https://arxiv.org/abs/1703.05175
    """
    try:
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"values must be numbers. Received: values={values!r}") from error
    if not values.ndim:
        raise ValueError(f"values must be [n, ...], one row an episode. Received: values={values!r}")
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)[()]
    # A loss that has run to infinity, or nearly, has no spread: not-a-number or infinite, too.
    with np.errstate(invalid="ignore", over="ignore"):
        return Z_95 * values.std(axis=0, ddof=1) / np.sqrt(len(values))
