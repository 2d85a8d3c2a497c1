"""Two methods on the same episodes, compared in pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfmeta.core.words import counted
from tfmeta.evaluation.intervals import confidence_interval
from tfmeta.evaluation.scores import Score


class PairedDifference(NamedTuple):
    """Mean difference of two methods over the same episodes. `print` it for one line.

    Args:
        mean: of `a - b`, in the units of the values: a fraction for accuracies.
        interval: half the width of its 95 % confidence interval over episodes.
        episodes: number of pairs.

    References:
        Dietterich (1998), "Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms".
        https://doi.org/10.1162/089976698300017197
    """

    mean: float
    interval: float
    episodes: int

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 0. It is over episodes, and says nothing about another training."""
        return abs(self.mean) > self.interval

    def __str__(self):
        return (
            f"difference {100 * self.mean:+.2f} +- {100 * self.interval:.2f} points "
            f"(in pairs, 95 % interval over {counted(self.episodes, 'episode')})"
        )


def paired_difference(a: Score | np.ndarray, b: Score | np.ndarray) -> PairedDifference:
    """Compare two methods on the same episodes.

    What makes an episode hard is common to both methods and cancels in the difference, so its interval is narrower than
    those of the two means suggest.

    Args:
        a: a `Score` of `evaluate(..., details=True)`, or values `[n]`, one an episode.
        b: the same of the other method; entry i of both belongs to the same episode.

    Returns:
        A `PairedDifference` of `a - b`.

    Raises:
        TypeError: if a score has no details.
        ValueError: if the two are not of the same episodes, or there are fewer than two.

    References:
        Dietterich (1998), section 2. https://doi.org/10.1162/089976698300017197
    """
    if isinstance(a, Score) and isinstance(b, Score):
        for name in ("data", "seed", "n_way", "k_shot", "n_query", "episodes"):
            if getattr(a, name) != getattr(b, name):
                raise ValueError(
                    "scores must be of the same episodes. "
                    f"Received: a with {name}={getattr(a, name)!r}, b with {name}={getattr(b, name)!r}"
                )
    values = [_values(name, side) for name, side in (("a", a), ("b", b))]
    if values[0].shape != values[1].shape or values[0].ndim != 1 or len(values[0]) < 2:
        raise ValueError(
            "a and b must be [n], one value for each of the same n >= 2 episodes. "
            f"Received: a with shape={values[0].shape}, b with shape={values[1].shape}"
        )
    differences = values[0] - values[1]
    return PairedDifference(float(differences.mean()), float(confidence_interval(differences)), len(differences))


def _values(name: str, side: Score | np.ndarray) -> np.ndarray:
    if isinstance(side, Score):
        if side.details is None:
            raise TypeError(
                f"a score needs its episodes' accuracies: evaluate(..., details=True). Received: {name}={side}"
            )
        return np.asarray(side.details.accuracies, np.float64)
    try:
        return np.asarray(side, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a Score or values [n]. Received: {name}={side!r}") from error
