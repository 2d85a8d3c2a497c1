"""Pictures of adaptation: accuracy or loss against inner steps, of one method or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.core.validation import check_flags
from tfmeta.evaluation.curves import AdaptationCurve
from tfmeta.evaluation.scores import Score
from tfmeta.plotting.palette import BEFORE, axes_or_new, colours_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_adaptation_curve(
    curve: AdaptationCurve | Sequence[AdaptationCurve | Score],
    ax: Axes | None = None,
    *,
    quantity: str = "accuracy",
    show_support: bool = True,
) -> Axes:
    """Draw accuracy or loss against inner steps, with 95 % intervals.

    Args:
        curve: one `AdaptationCurve`, or several to compare. Among several, the `Score` of a method without an inner
            loop is drawn as a horizontal band.
        ax: axes to draw on; a new figure by default.
        quantity: `"accuracy"` (in %) or `"loss"`; curves of regression have a loss only and fall back to it.
        show_support: draw the support set, too, and the first curve's start as a line. Without it a method has one
            line and one entry in the legend.

    Returns:
        The axes.

    Raises:
        TypeError: if `curve` holds anything else.
        ValueError: if `quantity` is neither, there is no curve, or a `Score` without a loss is given where the loss is
            drawn.

    References:
        Finn et al. (2017), figure 3. https://arxiv.org/abs/1703.03400
    """
    given = list(curve) if isinstance(curve, list | tuple) else [curve]
    curves = [one for one in given if not isinstance(one, Score)]
    scores = [one for one in given if isinstance(one, Score)]
    if not curves:
        received = "scores alone" if scores else "an empty sequence"
        raise ValueError(f"curve must hold at least one AdaptationCurve. Received: {received}")
    check_flags(show_support=show_support)
    for one in curves:
        if not isinstance(one, AdaptationCurve):
            raise TypeError(
                f"curve must be an AdaptationCurve or several. Received: curve of type {type(one).__name__}"
            )
    if quantity not in ("accuracy", "loss"):
        raise ValueError(f"quantity must be 'accuracy' or 'loss'. Received: quantity={quantity!r}")
    if any("query_accuracy" not in one.mean for one in curves):
        quantity = "loss"
    if quantity == "loss" and (without := [one.method for one in scores if one.loss is None]):
        raise ValueError(
            "a Score must have a loss to be drawn beside curves of losses. "
            f"Received: quantity='loss' with a Score without one, of {without[0]}"
        )
    scale = 100.0 if quantity == "accuracy" else 1.0
    # The legend of several curves stands beside the axes: within, it would lie on one of them.
    several = len(given) > 1
    ax = axes_or_new(ax, figsize=(7.0 if several else 5.0, 3.4))
    colours = colours_of([one.label for one in curves] + [one.method for one in scores])
    for one, colour in zip(curves, colours, strict=False):
        steps = np.arange(one.inner_steps + 1)
        prefix = f"{one.label}, " if several else ""
        for part, style, filled in (("query", "-", "white"), ("support", ":", colour))[: 1 + show_support]:
            mean = scale * one.mean[f"{part}_{quantity}"]
            half = scale * np.nan_to_num(one.interval[f"{part}_{quantity}"])
            ax.plot(steps, mean, style, color=colour, marker="o", markersize=5, markerfacecolor=filled,
                    label=f"{prefix}{part}" if show_support or not several else one.label)  # fmt: skip
            ax.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
    for one, colour in zip(scores, colours[len(curves) :], strict=True):
        mean, half = (one.accuracy, one.interval) if quantity == "accuracy" else (one.loss, one.loss_interval)
        ax.axhline(scale * mean, color=colour, linestyle="-.", linewidth=1.5, label=one.method)
        if half is not None and np.isfinite(half):
            low, high = (scale * (mean + sign * half) for sign in (-1, 1))
            ax.axhspan(low, high, color=colour, alpha=0.2, linewidth=0)
    if show_support:
        start = scale * curves[0].mean[f"query_{quantity}"][0]
        whose = f"{curves[0].label}, " if several else ""
        ax.axhline(start, color=BEFORE, linestyle="--", linewidth=1, label=f"{whose}query, before adaptation")
    ax.set_xlabel("inner steps")
    ax.set_ylabel("accuracy (%)" if quantity == "accuracy" else "loss")
    if quantity == "accuracy":
        ax.set_ylim(0, 103)
    ax.xaxis.get_major_locator().set_params(integer=True)
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if several else {}
    ax.legend(frameon=False, fontsize="small", **beside)
    ax.set_title(f"mean and 95 % interval over {_samples(curves)}", fontsize="medium")
    return ax


def _samples(curves: list[AdaptationCurve]) -> str:
    others = sorted({one.over for one in curves if one.over is not None})
    counts = " and ".join(str(n) for n in sorted({one.episodes for one in curves if one.over is None}))
    noun = "episode" if counts == "1" else "episodes"
    return " and ".join([*others, *([f"n = {counts} {noun}"] if counts else [])])
