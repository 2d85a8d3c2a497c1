"""Several trainings of one method: the mean of their scores or curves, with an interval over trainings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfmeta.evaluation.curves import AdaptationCurve
from tfmeta.evaluation.intervals import Z_95
from tfmeta.evaluation.regression import RegressionScore
from tfmeta.evaluation.scores import Score

# Two-sided 95 % quantiles of Student's t distribution for 1 to 10 degrees of freedom.
_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def student_95(trainings: int) -> float:
    """The factor of a 95 % interval for a mean over few trainings.

    Args:
        trainings: number of trainings, at least 2.

    Returns:
        The quantile of Student's t distribution with one degree of freedom less; for more than eleven trainings to
        better than 1 % (Cornish and Fisher's expansion).

    References:
        Student (1908), "The Probable Error of a Mean". https://doi.org/10.1093/biomet/6.1.1
    """
    freedom = trainings - 1
    if freedom <= len(_T_95):
        return _T_95[freedom - 1]
    first, second = Z_95**3 + Z_95, 5 * Z_95**5 + 16 * Z_95**3 + 3 * Z_95
    return Z_95 + first / (4 * freedom) + second / (96 * freedom**2)


def mean_over_seeds(
    found: Sequence[Score] | Sequence[RegressionScore] | Sequence[AdaptationCurve],
) -> Score | RegressionScore | AdaptationCurve:
    """The mean of several trainings of one method that differ in their seed alone.

    Its interval is over trainings: it says what another training would give. Intervals over episodes say nothing of
    that, and are most often narrower.

    Args:
        found: scores, or adaptation curves, one for each training; at least two, measured alike.

    Returns:
        The same kind of record, its `interval` from Student's t distribution; `model` and a curve's `over` say so.

    Raises:
        TypeError: if the records are not all of one of these kinds.
        ValueError: if there are fewer than two, or they were not measured alike.

    References:
        Student (1908), "The Probable Error of a Mean". https://doi.org/10.1093/biomet/6.1.1
    """
    found = list(found)
    kinds = {type(one) for one in found}
    if len(kinds) > 1 or not kinds <= {Score, RegressionScore, AdaptationCurve}:
        raise TypeError(
            "found must be scores or adaptation curves, all of one kind. "
            f"Received: {', '.join(sorted(kind.__name__ for kind in kinds))}"
        )
    if len(found) < 2:
        raise ValueError(f"found must hold at least two trainings. Received: {len(found)}")
    first, n = found[0], len(found)
    curves = isinstance(first, AdaptationCurve)
    alike = ("label", "inner_steps") if curves else ("data", "method", "k_shot", "n_query", "episodes")
    for name in (*alike, *(("n_way",) if isinstance(first, Score) else ())):
        if len({getattr(one, name) for one in found}) > 1:
            raise ValueError(
                f"trainings must be measured alike. Received: {name} of {[getattr(one, name) for one in found]}"
            )
    if not curves:
        name = "accuracy" if isinstance(first, Score) else "loss"
        mean, half = _mean([getattr(one, name) for one in found])
        none = {"seed": None, "details": None, "calibration": None}
        own = {**none, **_loss(found)} if isinstance(first, Score) else {"losses": None}
        model = f"mean of {n} trainings and its 95 % interval over them"
        return dataclasses.replace(first, **{name: float(mean)}, interval=float(half), model=model, **own)
    if len({frozenset(one.mean) for one in found}) > 1:
        raise ValueError("trainings must be measured alike. Received: curves with accuracy and without")
    both = {name: _mean([one.mean[name] for one in found]) for name in first.mean}
    return dataclasses.replace(
        first,
        mean={name: mean for name, (mean, _) in both.items()},
        interval={name: half for name, (_, half) in both.items()},
        over=f"{n} trainings",
    )


def _loss(scores: Sequence[Score]) -> dict[str, float | None]:
    """The mean loss of trainings of which each has one."""
    losses = [score.loss for score in scores]
    if None in losses:
        return {"loss": None, "loss_interval": None}
    mean, half = _mean(losses)
    return {"loss": float(mean), "loss_interval": float(half)}


def _mean(values) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float64)
    return values.mean(axis=0), student_95(len(values)) * values.std(axis=0, ddof=1) / math.sqrt(len(values))
