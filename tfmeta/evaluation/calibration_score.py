"""How well calibrated a classifier is on a set of episodes, with intervals: `evaluate(..., calibration=True)`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfmeta.evaluation.calibration import BINS, Reliability, binned, error_of_bins, in_bins, of_queries
from tfmeta.evaluation.intervals import Z_95, confidence_interval

REPLICATES, BOOTSTRAP_SEED = 1000, 0


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """How sure a classifier is of its answers on a set of episodes. `print` it for one line.

    Intervals are half widths of 95 % intervals over episodes: 1.96 standard errors of a mean of episodes; for the
    calibration error and the accuracies of bins 1.96 standard deviations over 1000 bootstrap samples of the episodes
    (seed 0), since they are no means of episodes. All are not-a-number for one episode.

    Args:
        nll: mean negative log-likelihood of the true class, in nats.
        nll_interval: half its interval.
        brier: mean Brier score, from 0 to 2.
        brier_interval: half its interval.
        ece: expected calibration error of all queries, from 0 to 1.
        ece_interval: half its interval, by bootstrap. The error of few queries is too large, which the interval does
            not show.
        episodes: number of episodes.
        queries: number of queries in all of them.
        method: what a score calls the method.
        reliability: confidence, accuracy and count of bins of the largest probability, each `[bins]`.
        accuracy_intervals: half intervals of the accuracies of the bins, by bootstrap, `[bins]`; not-a-number where
            hardly any query lies.

    References:
        Guo et al. (2017), section 2, for the error and the diagram https://arxiv.org/abs/1706.04599; Efron, Tibshirani
        (1986), "Bootstrap Methods for Standard Errors", section 2 https://doi.org/10.1214/ss/1177013815
    """

    nll: float
    nll_interval: float
    brier: float
    brier_interval: float
    ece: float
    ece_interval: float
    episodes: int
    queries: int
    method: str
    reliability: Reliability
    accuracy_intervals: np.ndarray

    def __str__(self):
        return (
            f"calibration: NLL {self.nll:.4f} +- {self.nll_interval:.4f}, Brier score {self.brier:.4f} +- "
            f"{self.brier_interval:.4f}, ECE {100 * self.ece:.2f} % +- {100 * self.ece_interval:.2f} (95 % intervals "
            f"over {self.episodes} episodes, that of the ECE by bootstrap with seed {BOOTSTRAP_SEED}, {self.queries} "
            f"queries, {len(self.accuracy_intervals)} bins, {self.method})"
        )

    def __repr__(self):
        return f"Calibration(nll={self.nll:.4g}, brier={self.brier:.4g}, ece={self.ece:.4g}, {self.method!r})"

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON; `None` for what an empty bin does not have."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        bins = {name: _listed(array) for name, array in self.reliability._asdict().items()}
        return fields | {"reliability": bins, "accuracy_intervals": _listed(self.accuracy_intervals)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Calibration:
        """Read what `to_dict` gave."""
        bins = fields["reliability"]
        kept = Reliability(
            np.asarray(bins["confidence"], np.float64),
            np.asarray(bins["accuracy"], np.float64),
            np.asarray(bins["count"], np.int64),
        )
        intervals = np.asarray(fields["accuracy_intervals"], np.float64)
        return cls(**(fields | {"reliability": kept, "accuracy_intervals": intervals}))


class CalibrationTally:
    """Gathers what is asked of the queries, episode by episode.

    Args:
        bins: bins of the largest probability.
    """

    def __init__(self, bins: int = BINS):
        self._bins = bins
        self._means: list[tuple[float, float]] = []
        self._sums: list[np.ndarray] = []
        self._queries = 0

    def add(self, labels: np.ndarray, log_probabilities: np.ndarray) -> None:
        """Look at the queries of an episode.

        Args:
            labels: integers `[n]`.
            log_probabilities: `[n, n_way]`; not-a-number where an output was.
        """
        queries = of_queries(labels, log_probabilities)
        self._means.append((float(queries.nll.mean()), float(queries.brier.mean())))
        self._sums.append(binned(queries, self._bins))
        self._queries += len(labels)

    def calibration(self, method: str) -> Calibration:
        """What was gathered, under the name of the method.

        Where an output was no number, the likelihood, the Brier score and the error are none, either; the bins are
        those of the other queries.
        """
        (nll, brier), sums = np.array(self._means).T, np.stack(self._sums)
        total = sums.sum(axis=0)
        known = total[0].sum() == self._queries
        errors, accuracies = _bootstrap(sums)
        return Calibration(
            nll=float(nll.mean()),
            nll_interval=float(confidence_interval(nll)),
            brier=float(brier.mean()),
            brier_interval=float(confidence_interval(brier)),
            ece=float(error_of_bins(total)) if known else float("nan"),
            ece_interval=float(errors) if known else float("nan"),
            episodes=len(sums),
            queries=self._queries,
            method=method,
            reliability=in_bins(total),
            accuracy_intervals=accuracies,
        )


def _listed(array: np.ndarray) -> list:
    return [None if np.isnan(number) else number for number in array.tolist()]


def _bootstrap(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half intervals of the calibration error and of the accuracies `[bins]`, from sums of episodes `[n, 3, bins]`.

    Episodes are drawn anew with replacement, never their queries one by one, which have a support set in common.
    """
    n, _, bins = sums.shape
    if n < 2:
        return np.array(np.nan), np.full(bins, np.nan)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = []
    for _ in range(REPLICATES):  # one after the other: memory for one, however many episodes there are
        times = np.bincount(rng.integers(n, size=n), minlength=n)
        drawn.append(np.tensordot(times, sums, axes=1))
    drawn = np.stack(drawn)  # [REPLICATES, 3, bins]
    errors = Z_95 * error_of_bins(drawn).std(ddof=1)
    with np.errstate(invalid="ignore"):
        accuracies = drawn[:, 2] / drawn[:, 0]  # not-a-number where a bin is empty in a replicate, and then at all
        return errors, Z_95 * accuracies.std(axis=0, ddof=1)
