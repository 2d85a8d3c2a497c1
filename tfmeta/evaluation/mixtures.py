"""Predictions of numbers that are mixtures of Gaussians: likelihood of the targets, and how many intervals hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfmeta.evaluation.predictive import Predictive


def mixture_nll(targets: np.ndarray, means: np.ndarray, variances: np.ndarray) -> float:
    """Mean negative log-density of targets under mixtures of Gaussians.

    The members of a mixture have equal weights. The m outputs of an example are independent within a member; which
    member it is, they have in common.

    Args:
        targets: `[n, m]`, n examples with m outputs.
        means: of each member, `[members, n, m]`; of one Gaussian `[1, n, m]`.
        variances: likewise, noise included, above 0.

    Returns:
        In nats an example; below 0 where densities are above 1.

    Raises:
        ValueError: if the arrays do not fit together, a number is not finite, or a variance is not above 0.

    References:
        Lakshminarayanan et al. (2017), "Deep Ensembles", section 2.4. https://arxiv.org/abs/1612.01474
    """
    targets, means, variances = _checked(targets, means, variances)
    return float(Predictive(means, variances).nll(targets).mean())


def coverage(targets: np.ndarray, means: np.ndarray, variances: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """The share of targets within the central intervals of mixtures of Gaussians.

    The central interval of level 0.9 lies between the 5 % and the 95 % quantile of the mixture, gaps within it
    included. A prediction that knows what it does not know covers 90 % of the targets with it.

    Args:
        targets: `[n, m]`, n examples with m outputs, each of which has its own interval.
        means: of each member, `[members, n, m]`; of one Gaussian `[1, n, m]`.
        variances: likewise, noise included where the targets have it, above 0.
        levels: probabilities between 0 and 1, `[levels]`.

    Returns:
        Shares from 0 to 1, float64 `[levels]`.

    Raises:
        ValueError: as `mixture_nll`, or if a level is not between 0 and 1.

    References:
        Kuleshov, Fenner, Ermon (2018), "Accurate Uncertainties for Deep Learning Using Calibrated Regression",
        section 3. https://arxiv.org/abs/1807.00263
    """
    targets, means, variances = _checked(targets, means, variances)
    try:
        wanted = np.asarray(levels, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"levels must be probabilities [levels]. Received: levels={levels!r}") from error
    if wanted.ndim != 1 or not len(wanted) or not ((wanted > 0) & (wanted < 1)).all():
        raise ValueError(f"levels must be probabilities between 0 and 1, [levels]. Received: levels={levels!r}")
    believed = Predictive(means, variances)
    return np.array([believed.covered(targets, float(level)).mean() for level in wanted])


def _checked(targets, means, variances) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = {}
    for name, given, rank in (("targets", targets, 2), ("means", means, 3), ("variances", variances, 3)):
        axes = "[n, m]" if rank == 2 else "[members, n, m]"
        try:
            found = np.asarray(given, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be numbers {axes}. Received: {name}={given!r}") from error
        if found.ndim != rank or not found.size:
            raise ValueError(f"{name} must be {axes}. Received: {name} with shape={found.shape}")
        if not np.isfinite(found).all():
            raise ValueError(f"{name} must be finite. Received: {name} with {np.sum(~np.isfinite(found))} that are not")
        arrays[name] = found
    # Checked, not broadcast: targets [n, 1] minus means [members, 1, n] would be n times n, with no error.
    if arrays["means"].shape[1:] != arrays["targets"].shape or arrays["variances"].shape != arrays["means"].shape:
        raise ValueError(
            "means and variances must have a row for each target, [members, n, m]. Received: "
            + ", ".join(f"{name} with shape={array.shape}" for name, array in arrays.items())
        )
    if arrays["variances"].min() <= 0:
        raise ValueError(f"variances must be above 0. Received: variances from {arrays['variances'].min():.4g}")
    return arrays["targets"], arrays["means"], arrays["variances"]
