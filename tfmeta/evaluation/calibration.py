"""Whether a classifier is as sure as it is right: likelihood, Brier score and calibration error, on arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfmeta.core.validation import check_sizes

BINS = 15


class Reliability(NamedTuple):
    """Queries in bins of equal width of their largest probability.

    Args:
        confidence: mean of the largest probability in each bin, float64 `[bins]`; not-a-number where a bin is empty.
        accuracy: share that was right, likewise.
        count: queries in each bin, int64 `[bins]`.

    References:
        Guo et al. (2017), "On Calibration of Modern Neural Networks", section 2. https://arxiv.org/abs/1706.04599
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def negative_log_likelihood(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative logarithm of the probability of the true class.

    Args:
        labels: integers `[n]`.
        probabilities: `[n, n_way]`, rows that sum to 1.

    Returns:
        In nats: 0 is perfect, log(n_way) is guessing, infinite where a true class was given none.

    Raises:
        ValueError: if they do not fit together or are no labels and probabilities.

    References:
        Lakshminarayanan et al. (2017), "Deep Ensembles", section 2.2. https://arxiv.org/abs/1612.01474
    """
    return float(of_queries(*_checked(labels, probabilities)).nll.mean())


def brier_score(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared distance between probabilities and the true class as a one-hot row.

    Args:
        labels: integers `[n]`.
        probabilities: `[n, n_way]`, rows that sum to 1.

    Returns:
        0 is perfect, 1 - 1 / n_way is guessing, 2 is sure and wrong: the sum over classes, as Brier had it. Of two
        classes some report half of it.

    Raises:
        ValueError: as `negative_log_likelihood`.

    References:
        Brier (1950), "Verification of Forecasts Expressed in Terms of Probability", equation 2.
        https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    return float(of_queries(*_checked(labels, probabilities)).brier.mean())


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> Reliability:
    """Confidence and accuracy in bins of equal width of the largest probability.

    Args:
        labels: integers `[n]`.
        probabilities: `[n, n_way]`, rows that sum to 1.
        bins: number of bins between 0 and 1; a bin holds its upper end and not its lower one.

    Returns:
        `Reliability`.

    Raises:
        ValueError: as `negative_log_likelihood`, or if there is no bin.

    References:
        Guo et al. (2017), section 2, equations of acc and conf. https://arxiv.org/abs/1706.04599
    """
    check_sizes(bins=bins)
    return in_bins(binned(of_queries(*_checked(labels, probabilities)), bins))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy over bins of the largest probability, weighted by their queries.

    Args:
        labels: integers `[n]`.
        probabilities: `[n, n_way]`, rows that sum to 1.
        bins: number of bins of equal width between 0 and 1.

    Returns:
        From 0 to 1: always sure and right is 0, always sure and wrong 1. Of few queries it is too large, since chance
        alone parts confidence and accuracy in each bin: two values are compared at the same number of queries.

    Raises:
        ValueError: as `reliability`.

    References:
        Naeini, Cooper, Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning"
        https://ojs.aaai.org/index.php/AAAI/article/view/9602; Guo et al. (2017), equation 3
        https://arxiv.org/abs/1706.04599
    """
    check_sizes(bins=bins)
    return float(error_of_bins(binned(of_queries(*_checked(labels, probabilities)), bins)))


# -- parts that a score is made of, too -----------------------------------------------------------------------------
class Queries(NamedTuple):
    """What is asked of each query's probabilities, each `[n]`; not-a-number where an output was.

    Args:
        nll: negative logarithm of the probability of the true class.
        brier: squared distance to the one-hot row.
        confidence: largest probability.
        right: whether that is the true class's, 0 or 1.
    """

    nll: np.ndarray
    brier: np.ndarray
    confidence: np.ndarray
    right: np.ndarray


def of_queries(labels: np.ndarray, log_probabilities: np.ndarray) -> Queries:
    """Look at each query.

    Args:
        labels: integers `[n]`.
        log_probabilities: `[n, n_way]`.

    Returns:
        `Queries`.
    """
    probabilities = np.exp(log_probabilities)
    own = np.arange(len(labels)), labels
    brier = np.sum(probabilities**2, axis=1) - probabilities[own] ** 2 + (1.0 - probabilities[own]) ** 2
    right = (np.argmax(log_probabilities, axis=1) == labels).astype(np.float64)
    return Queries(-log_probabilities[own] + 0.0, brier, probabilities.max(axis=1), right)


def binned(queries: Queries, bins: int) -> np.ndarray:
    """Put queries into bins of their confidence.

    Args:
        queries: of `of_queries`.
        bins: number of bins.

    Returns:
        Number of queries, sum of confidences and sum of hits, float64 `[3, bins]`.
    """
    known = np.isfinite(queries.confidence)
    confidence, right = queries.confidence[known], queries.right[known]
    edges = np.linspace(0.0, 1.0, bins + 1)
    which = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    return np.stack([np.bincount(which, weights, bins) for weights in (np.ones_like(right), confidence, right)])


def error_of_bins(sums: np.ndarray) -> np.ndarray:
    """The expected calibration error.

    Args:
        sums: of `binned`, `[..., 3, bins]`.

    Returns:
        `[...]`; not-a-number where no query is in any bin.
    """
    count, confidence, right = (sums[..., i, :] for i in range(3))
    with np.errstate(invalid="ignore"):
        return np.abs(right - confidence).sum(axis=-1) / count.sum(axis=-1)


def in_bins(sums: np.ndarray) -> Reliability:
    """Means in the bins.

    Args:
        sums: of `binned`, `[3, bins]`.

    Returns:
        `Reliability`.
    """
    count, confidence, right = sums
    with np.errstate(invalid="ignore"):
        return Reliability(confidence / count, right / count, count.astype(np.int64))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax's probabilities.

    Args:
        logits: `[..., n_way]`.

    Returns:
        float64 `[..., n_way]`; not-a-number in rows that hold one or are infinite upwards.
    """
    logits = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _checked(labels, probabilities) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logarithms of probabilities."""
    rows = as_rows("probabilities", probabilities)
    sums = rows.sum(axis=1)
    if rows.min() < 0 or np.abs(sums - 1.0).max() > 1e-3:
        raise ValueError(
            "probabilities must be at least 0 and sum to 1 in each row; temperature_scaled(logits, 1.0) makes them of "
            f"logits. Received: probabilities from {rows.min():.4g} to {rows.max():.4g}, rows that sum to "
            f"{sums.min():.4g} to {sums.max():.4g}"
        )
    with np.errstate(divide="ignore"):
        return as_labels(labels, rows, "probabilities"), np.log(rows)


def as_rows(name: str, given) -> np.ndarray:
    """Numbers of queries and classes.

    Args:
        name: the argument's name, for the message.
        given: `[n, n_way]`.

    Returns:
        float64 `[n, n_way]`.

    Raises:
        ValueError: naming the argument, if it is something else, empty or not finite.
    """
    try:
        rows = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers [n, n_way]. Received: {name}={given!r}") from error
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        missing = "" if np.isfinite(rows).all() else f", {np.sum(~np.isfinite(rows))} of them not finite"
        raise ValueError(f"{name} must be finite numbers [n, n_way]. Received: {name} with shape={rows.shape}{missing}")
    return rows


def as_labels(labels, rows: np.ndarray, name: str) -> np.ndarray:
    """Labels of queries.

    Args:
        labels: integers `[n]`.
        rows: `[n, n_way]`.
        name: what the rows are called, for the message.

    Returns:
        Integers `[n]`.

    Raises:
        ValueError: if they are something else, or no columns of the rows.
    """
    found = np.asarray(labels)
    if found.shape != rows.shape[:1] or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(
            f"labels must be integers [n], one a row of {name}. Received: labels with shape={found.shape}, "
            f"dtype={found.dtype}, {name} with shape={rows.shape}"
        )
    if found.min() < 0 or found.max() >= rows.shape[1]:
        raise ValueError(
            f"labels must be from 0 to {rows.shape[1] - 1}, the columns of {name}. Received: labels from "
            f"{found.min()} to {found.max()}"
        )
    return found
