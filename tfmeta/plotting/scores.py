"""Pictures of scores: methods against a size of their episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.core.words import counted
from tfmeta.evaluation.regression import RegressionScore, over_trainings
from tfmeta.evaluation.scores import Score
from tfmeta.plotting.palette import BEFORE, COLOURS, MARKERS, METHOD_COLOURS, axes_or_new, method_named, method_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = {"k_shot": "support examples a class (k_shot)", "n_way": "classes (n_way)", "n_query": "queries (n_query)"}


def plot_scores(
    scores: Sequence[Score] | Sequence[RegressionScore], ax: Axes | None = None, *, x: str = "k_shot"
) -> Axes:
    """Draw scores of several methods against a size of their episodes, one line a method, with 95 % intervals.

    Args:
        scores: all `Score`, or all `RegressionScore`; those with the same `method` are joined by a line. Several
            trainings of one method are put together by `tfmeta.evaluation.mean_over_seeds` before.
        ax: axes to draw on; a new figure by default.
        x: `"k_shot"`, `"n_way"` or `"n_query"`.

    Returns:
        The axes.

    Raises:
        TypeError: if `scores` holds anything else, or both kinds.
        ValueError: if there are none, `x` is another size or a range, or one method has two scores at the same size.

    References:
        Finn et al. (2017), table 1. https://arxiv.org/abs/1703.03400
    """
    scores = list(scores) if isinstance(scores, list | tuple) else [scores]
    if not scores:
        raise ValueError("scores must hold at least one score. Received: an empty sequence")
    kinds = {type(one) for one in scores}
    if len(kinds) > 1 or not kinds <= {Score, RegressionScore}:
        raise TypeError(
            "scores must be all Score or all RegressionScore. "
            f"Received: {', '.join(sorted(kind.__name__ for kind in kinds))}"
        )
    known = [name for name in SIZES if hasattr(scores[0], name)]
    if x not in known:
        raise ValueError(f"x must be one of {', '.join(known)}. Received: x={x!r}")
    lines: dict[str, dict[int, Score | RegressionScore]] = {}
    for one in scores:
        at, line = getattr(one, x), lines.setdefault(one.method, {})
        if not isinstance(at, int | np.integer):
            raise ValueError(f"{x} must be one number in every score. Received: {one.method} with {x}={at}")
        if at in line:
            raise ValueError(
                f"a method must have one score for each {x}; mean_over_seeds puts several trainings together. "
                f"Received: two of {one.method} with {x}={at}"
            )
        line[at] = one
    accuracy = kinds == {Score}
    ax = axes_or_new(ax, figsize=(6.4, 3.6))
    for number, (method, line) in enumerate(lines.items()):
        sizes = sorted(line)
        scale = 100.0 if accuracy else 1.0
        means = [scale * (line[at].accuracy if accuracy else line[at].loss) for at in sizes]
        halves = [scale * np.nan_to_num(line[at].interval) for at in sizes]
        style = _style(method, number)
        ax.errorbar(sizes, means, halves, capsize=3, linewidth=1.5, markersize=6, label=method, **style)
    ax.set_xticks(sorted({at for line in lines.values() for at in line}))
    ax.set_xlabel(SIZES[x])
    ax.set_ylabel("accuracy (%)" if accuracy else f"{scores[0].loss_name}")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    samples = sorted(
        {one.model if over_trainings(one.model) else f"over {counted(one.episodes, 'episode')}" for one in scores}
    )
    ax.set_title(f"95 % intervals {_short(samples)}", fontsize="medium")
    return ax


def _short(samples: list[str]) -> str:
    words = [s.replace("mean of ", "over ").replace(" and its 95 % interval over them", "") for s in samples]
    return " and ".join(words)


def _style(method: str, number: int) -> dict[str, str]:
    """A method's own colour and marker; of one that has none the next that is free."""
    named = method_named(method) or method_named(method.rpartition("(")[2].rstrip(")"))
    if named in METHOD_COLOURS and method_named(method):
        return method_style(named)
    colours = (*COLOURS, BEFORE)
    return {"color": colours[number % len(colours)], "marker": MARKERS[number % len(MARKERS)]}
