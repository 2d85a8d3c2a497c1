"""Sine or line: regression tasks that a few points do not decide, and what is really known of one after them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_flags, check_number, check_seed, check_sizes, check_steps
from tfmeta.tasks.curves import AMPLITUDES, INPUTS, PHASES, Limits, between, check_limits, tasks_from

SLOPES = INTERCEPTS = (-3.0, 3.0)
NOISE = 0.3
# Fewer effective draws than this say little of a posterior: a share would be known to 5 points at best.
LEAST_EFFECTIVE = 100


def sine_or_line_episodes(
    *,
    k_shot: int,
    n_query: int,
    meta_batch_size: int,
    seed: int,
    noise: float = NOISE,
    support_inputs: Limits = INPUTS,
    query_inputs: Limits = INPUTS,
    noisy_queries: bool = True,
    start: int = 0,
) -> tf.data.Dataset:
    """An endless stream of tasks each of which is a sine wave or a line, with equal probability, seen through noise.

    A sine is y = A sin(x - phase) with A uniform from 0.1 to 5 and the phase from 0 to pi; a line is
    y = slope x + intercept, both uniform from -3 to 3.

    Args:
        k_shot: labelled points of a task.
        n_query: points to be judged on.
        meta_batch_size: tasks in a meta-batch.
        seed: whole number; the same seed gives the same tasks in the same order, whatever the size of the
            meta-batches is.
        noise: standard deviation of the normal noise on the targets.
        support_inputs: lowest and highest x of support points; uniform between. With `(-5, 0)` sines and lines are
            told apart less well than with points on both sides.
        query_inputs: lowest and highest x of queries, likewise.
        noisy_queries: put noise on the targets of queries, too; without it these are the true curve at the same x.
        start: number of meta-batches to pass over, so that a run can be resumed.

    Returns:
        A dataset of `Episode` with float32 tensors: `support_x` and `support_y` `[meta_batch_size, k_shot, 1]`,
        `query_x` and `query_y` `[meta_batch_size, n_query, 1]`.

    Raises:
        ValueError: if a size is not positive, a range is empty, or the noise is negative.

    References:
        Finn, Xu, Levine (2018), "Probabilistic Model-Agnostic Meta-Learning", section 5 and appendix.
        https://arxiv.org/abs/1806.02817
    """
    check_sizes(k_shot=k_shot, n_query=n_query, meta_batch_size=meta_batch_size)
    check_seed(seed)
    check_steps(start=start)
    check_number("noise", noise)
    check_limits(support_inputs=support_inputs, query_inputs=query_inputs)
    check_flags(noisy_queries=noisy_queries)
    points = k_shot + n_query

    def numbers(key: tf.Tensor) -> tf.Tensor:
        # Family, two settings of a curve of each, and points of one task, uniform in [0, 1); then the points' noise.
        for_curve, for_noise = tf.unstack(tf.random.split(key, 2))
        uniform = tf.random.stateless_uniform([5 + points], for_curve)
        return tf.concat([uniform, tf.random.stateless_normal([points], for_noise)], axis=0)

    def curves(drawn: tf.Tensor) -> Episode:
        family, amplitude, phase, slope, intercept = (drawn[:, i : i + 1] for i in range(5))
        support, query = drawn[:, 5 : 5 + k_shot], drawn[:, 5 + k_shot : 5 + points]
        x = tf.concat([between(support, support_inputs), between(query, query_inputs)], axis=1)
        sine = between(amplitude, AMPLITUDES) * tf.sin(x - between(phase, PHASES))
        line = between(slope, SLOPES) * x + between(intercept, INTERCEPTS)
        true = tf.where(family < 0.5, sine, line)
        y = true + noise * drawn[:, 5 + points :]
        queries = y if noisy_queries else true
        return Episode(x[:, :k_shot], y[:, :k_shot], x[:, k_shot:], queries[:, k_shot:])

    options = {
        "k_shot": k_shot, "n_query": n_query, "meta_batch_size": meta_batch_size, "seed": seed, "noise": float(noise),
        "support_inputs": tuple(support_inputs), "query_inputs": tuple(query_inputs),
        "noisy_queries": bool(noisy_queries),
    }  # fmt: skip
    return as_stream(
        tasks_from(numbers, curves, meta_batch_size=meta_batch_size, seed=seed, start=start),
        ("sine_or_line_episodes", *options.values(), start),
        lambda n: sine_or_line_episodes(**options, start=start + n),
    )


class PosteriorCurves(NamedTuple):
    """What is known of a sine-or-line task after its support points.

    Args:
        curves: true curves, without noise, drawn from the posterior, float64 `[samples, n]`.
        is_sine: which of them are sines, bool `[samples]`.
        sine_probability: posterior probability that the task is a sine.
        effective: effective number of draws, (sum of weights)^2 / sum of squared weights.

    References:
        Kong, Liu, Wong (1994), "Sequential Imputations and Bayesian Missing Data Problems", for the effective number.
        https://doi.org/10.1080/01621459.1994.10476469
    """

    curves: np.ndarray
    is_sine: np.ndarray
    sine_probability: float
    effective: float


def posterior_curves(
    support_x: np.ndarray,
    support_y: np.ndarray,
    x: np.ndarray,
    *,
    noise: float = NOISE,
    draws: int = 200_000,
    samples: int = 100,
    seed: int = 0,
) -> PosteriorCurves:
    """Draw curves from the exact posterior of a sine-or-line task.

    Curves are drawn from the prior, half of them sines, and weighted by the likelihood of the support points; then
    `samples` of them are chosen in proportion to their weights. The more draws, the nearer to the posterior.

    Args:
        support_x: inputs `[k_shot]` or `[k_shot, 1]`; of none the posterior is the prior.
        support_y: targets, likewise.
        x: inputs at which the curves are wanted, `[n]` or `[n, 1]`.
        noise: standard deviation of the noise on the targets, above 0.
        draws: curves drawn from the prior; a chosen one can be chosen again.
        samples: curves to be given.
        seed: whole number; the same seed gives the same curves.

    Returns:
        `PosteriorCurves`. The probability of a sine has a standard error of about 0.5 / sqrt(effective), or less.

    Raises:
        ValueError: if the arrays do not fit together, a number is not positive, or fewer than 100 draws are effective:
            then more draws are needed, or the points are no sine and no line with such noise.

    References:
        Finn, Xu, Levine (2018), section 5 https://arxiv.org/abs/1806.02817; Rubin (1988), "Using the SIR algorithm to
        simulate posterior distributions", for importance resampling. https://doi.org/10.1214/ss/1177012752
    """
    at, target, x = (_as_points(*one) for one in (("support_x", support_x), ("support_y", support_y), ("x", x)))
    if len(at) != len(target):
        raise ValueError(
            "support_x and support_y must have one number a point each. "
            f"Received: support_x with shape={at.shape}, support_y with shape={target.shape}"
        )
    check_number("noise", noise, above=True)
    check_sizes(draws=draws, samples=samples)
    check_seed(seed)
    rng = np.random.default_rng(seed)
    sine = np.arange(draws) < draws / 2
    # Two settings a draw: amplitude and phase of a sine, slope and intercept of a line.
    first = between(rng.random(draws), tuple(np.where(sine, *ends) for ends in zip(AMPLITUDES, SLOPES, strict=True)))
    second = between(rng.random(draws), tuple(np.where(sine, *ends) for ends in zip(PHASES, INTERCEPTS, strict=True)))

    def values(chosen, where):
        a, b = first[chosen], second[chosen]
        return np.where(sine[chosen], a * np.sin(where - b), a * where + b)

    log_weights = np.zeros(draws)
    with np.errstate(over="ignore"):  # a curve far from a point in units of a tiny noise
        for place, y in zip(at, target, strict=True):  # one point at a time: memory for the draws alone
            log_weights -= 0.5 * ((y - values(slice(None), place)) / noise) ** 2
    highest = log_weights.max()
    weights = np.exp(log_weights - highest) if np.isfinite(highest) else np.zeros(draws)
    effective = weights.sum() ** 2 / np.sum(weights**2) if weights.any() else 0.0
    if effective < LEAST_EFFECTIVE:
        raise ValueError(
            f"only {effective:.1f} of {draws} draws are effective, and at least {LEAST_EFFECTIVE} are needed: give "
            f"more draws, or look whether the points are a sine or a line with noise {noise}. Received: draws={draws!r}"
        )
    weights /= weights.sum()
    chosen = rng.choice(draws, samples, p=weights)
    curves = values(chosen[:, None], x[None])
    return PosteriorCurves(curves, sine[chosen], float(weights[sine].sum()), float(effective))


def _as_points(name: str, given) -> np.ndarray:
    """Numbers `[n]` of an argument `[n]` or `[n, 1]`."""
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers [n] or [n, 1]. Received: {name}={given!r}") from error
    if found.ndim == 0 or found.shape[1:] not in ((), (1,)) or not np.isfinite(found).all():
        raise ValueError(
            f"{name} must be finite numbers [n] or [n, 1]. Received: {name} with shape={found.shape}"
            + ("" if np.isfinite(found).all() else ", not all finite")
        )
    return found.reshape(-1)
