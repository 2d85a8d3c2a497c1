"""Pictures of calibration: accuracy against confidence, and coverage of intervals against their level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.evaluation.calibration_score import Calibration
from tfmeta.plotting.palette import BEFORE, MARKERS, axes_or_new, colours_of, method_named, method_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The strip of queries below 0 % accuracy: from where, and how high.
_FLOOR, _STRIP = -32.0, 26.0


def plot_reliability(calibration: Calibration | Sequence[Calibration], ax: Axes | None = None) -> Axes:
    """Draw a reliability diagram: accuracy against confidence in bins, with 95 % intervals, and the queries below.

    Points below the diagonal are surer than they are right. A hollow point is a bin with so few queries that it has no
    interval.

    Args:
        calibration: `evaluate(..., calibration=True).calibration`, or several, one for each method.
        ax: axes to draw on; a new figure by default. Shares of the queries are a strip below 0 %.

    Returns:
        The axes.

    Raises:
        TypeError: if anything else is given.
        ValueError: if there is none.

    References:
        Guo et al. (2017), figure 1; intervals are ours. https://arxiv.org/abs/1706.04599
    """
    given = list(calibration) if isinstance(calibration, list | tuple) else [calibration]
    if not given:
        raise ValueError("calibration must hold at least one Calibration. Received: an empty sequence")
    for one in given:
        if not isinstance(one, Calibration):
            raise TypeError(
                "calibration must be a Calibration, evaluate(..., calibration=True).calibration, or several. "
                f"Received: calibration of type {type(one).__name__}"
            )
    ax = axes_or_new(ax, figsize=(6.6, 4.6))
    _diagonal(ax, "as sure as right")
    shares = [one.reliability.count / max(1, one.reliability.count.sum()) for one in given]
    highest = max(float(share.max()) for share in shares) or 1.0
    for one, share, style in zip(given, shares, _styles([one.method for one in given]), strict=True):
        confidence, accuracy, halves = (
            100 * part for part in (one.reliability.confidence, one.reliability.accuracy, one.accuracy_intervals)
        )
        filled, known = one.reliability.count > 0, np.isfinite(halves)
        known = known if known.any() else filled  # of one episode nothing has an interval
        label = f"{one.method}\nECE {100 * one.ece:.1f} % +- {100 * one.ece_interval:.1f}"
        ax.errorbar(
            confidence[known], accuracy[known], np.nan_to_num(halves[known]), capsize=2, linewidth=1.5, elinewidth=1,
            markersize=5, label=label, **style,
        )  # fmt: skip
        few = filled & ~known
        ax.plot(confidence[few], accuracy[few], linestyle="", markersize=5, markerfacecolor="none", alpha=0.6, **style)
        edges = np.linspace(0, 100, len(share) + 1)
        ax.stairs(
            _FLOOR + _STRIP * share / highest, edges, baseline=_FLOOR, color=style["color"], linewidth=1.2,
            fill=len(given) == 1,
        )  # fmt: skip
    ax.axhline(_FLOOR + _STRIP + 3, color="black", linewidth=0.8)
    # On the side with fewer queries, where the words lie on nothing.
    halves_of = [(share[: (len(share) + 1) // 2].sum(), share[len(share) // 2 :].sum()) for share in shares]
    left = sum(low for low, _ in halves_of) <= sum(high for _, high in halves_of)
    ax.text(
        1.5 if left else 98.5, _FLOOR + _STRIP + 1, f"queries: up to {100 * highest:.0f} % in a bin", fontsize="small",
        va="top", ha="left" if left else "right",
    )  # fmt: skip
    ax.set_xlim(0, 100)
    ax.set_ylim(_FLOOR, 102)
    ax.set_yticks(range(0, 101, 20))
    ax.set_xlabel("confidence: largest probability (%)")
    ax.set_ylabel("accuracy (%)")
    episodes = " and ".join(str(n) for n in sorted({one.episodes for one in given}))
    ax.set_title(f"95 % intervals over n = {episodes} episodes", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_coverage(covered: Mapping[str, Sequence[float]], levels: Sequence[float], ax: Axes | None = None) -> Axes:
    """Draw how many targets central intervals hold against how many they should.

    Lines below the diagonal are of intervals that are too narrow.

    Args:
        covered: for each method's label the shares that `tfmeta.evaluation.coverage` gave, from 0 to 1, `[levels]`.
        levels: the levels of the intervals, between 0 and 1, `[levels]`.
        ax: axes to draw on; a new figure by default.

    Returns:
        The axes.

    Raises:
        TypeError: if `covered` is no dictionary.
        ValueError: if it is empty, or shares and levels are not as many or not from 0 to 1.

    References:
        Kuleshov, Fenner, Ermon (2018), figure 1. https://arxiv.org/abs/1807.00263
    """
    if not isinstance(covered, Mapping):
        raise TypeError(
            f"covered must be a dictionary of labels and shares. Received: covered of type {type(covered).__name__}"
        )
    if not covered:
        raise ValueError("covered must hold at least one method. Received: an empty dictionary")
    at = _shares("levels", levels)
    lines = {label: _shares(f"covered[{label!r}]", shares) for label, shares in covered.items()}
    for label, shares in lines.items():
        if len(shares) != len(at):
            raise ValueError(
                f"there must be a share for each of the {len(at)} levels. "
                f"Received: covered[{label!r}] with {len(shares)}"
            )
    order = np.argsort(at)
    ax = axes_or_new(ax, figsize=(6.2, 3.8))
    _diagonal(ax, "as the level says")
    for (label, shares), style in zip(lines.items(), _styles([str(label) for label in lines]), strict=True):
        ax.plot(100 * at[order], 100 * shares[order], linewidth=1.5, markersize=5, label=str(label), **style)
    ax.set_xlim(0, 100)
    ax.set_ylim(-2, 102)
    ax.set_xlabel("level of the central interval (%)")
    ax.set_ylabel("targets within (%)")
    ax.set_title("coverage of central intervals", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _diagonal(ax: Axes, label: str) -> None:
    ax.plot((0, 100), (0, 100), "--", color=BEFORE, linewidth=1, label=label)


def _styles(labels: list[str]) -> list[dict[str, str]]:
    """Colours and markers of lines: a method's own, and others for what has none."""
    # "small net (MAML)" is a MAML.
    methods = [label if method_named(label) else label.rpartition("(")[2].rstrip(")") for label in labels]
    return [
        {"color": colour, "marker": method_style(name)["marker"] if method_named(name) else MARKERS[i % len(MARKERS)]}
        for i, (name, colour) in enumerate(zip(methods, colours_of(methods), strict=True))
    ]


def _shares(name: str, given) -> np.ndarray:
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be shares from 0 to 1, [levels]. Received: {name}={given!r}") from error
    if found.ndim != 1 or not len(found) or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"{name} must be shares from 0 to 1, [levels]. Received: {name}={given!r}")
    return found
