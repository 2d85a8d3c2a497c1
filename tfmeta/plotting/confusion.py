"""Pictures of a score: which classes are taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmeta.core.validation import check_sizes
from tfmeta.core.words import counted
from tfmeta.evaluation.scores import Score
from tfmeta.plotting.palette import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_NAME = 28


def plot_confusion(score: Score, ax: Axes | None = None, *, max_classes: int = 12) -> Axes:
    """Draw the confusion matrix of a score: a row per true class, in per cent of its queries.

    Args:
        score: `tfmeta.evaluate(..., details=True)`.
        ax: axes to draw on; a new figure by default.
        max_classes: of more classes those with the lowest accuracies are drawn, worst first; what they are taken for
            beyond them is in the column "others".

    Returns:
        The axes. A query can only be taken for a class of its own episode, so a pair that seldom meets is seldom
        confused.

    Raises:
        TypeError: if `score` is no `Score`.
        ValueError: if it has no details, or `max_classes` is not positive.

    References:
        Chen et al. (2019), section 4, on what one mean hides. https://arxiv.org/abs/1904.04232
    """
    if not isinstance(score, Score):
        raise TypeError(
            f"score must be a Score, tfmeta.evaluate(..., details=True). Received: score of type {type(score).__name__}"
        )
    if score.details is None:
        raise ValueError("score must have details: tfmeta.evaluate(..., details=True). Received: score.details=None")
    check_sizes(max_classes=max_classes)
    details = score.details
    asked = np.flatnonzero(details.queries)
    accuracy = details.hits[asked] / details.queries[asked]
    shown = asked if len(asked) <= max_classes else asked[np.argsort(accuracy, kind="stable")[:max_classes]]
    names = [_short(details.class_names[k]) for k in shown]
    share = 100 * details.confusion[np.ix_(shown, shown)] / details.queries[shown, None]
    columns = list(names)
    if (rest := 100 - share.sum(axis=1)).max() > 1e-9:  # other classes, and outputs that were not numbers
        share, columns = np.column_stack([share, rest]), [*names, "others"]

    longest = max(map(len, columns))
    words = 0.085 * longest
    new = ax is None
    size = (max(4.2, 0.38 * len(columns) + words + 1.6), max(3.0, 0.38 * len(names) + words + 0.9))
    ax = axes_or_new(ax, figsize=size)
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    if len(columns) > len(names):
        ax.axvline(len(names) - 0.5, color="white", linewidth=4)
    ax.set_xticks(range(len(columns)), columns, rotation=90 if longest > 3 else 0)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.tick_params(length=0)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            colour = "white" if value > 60 else "black"
            ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize="small", color=colour)
    if new:
        ax.figure.colorbar(image, ax=ax, label="% of the true class's queries")
    which = f"{len(names)} classes" if len(names) == len(asked) else f"the {len(names)} hardest of {len(asked)} classes"
    ax.set_title(f"{which}, {counted(score.episodes, 'episode')}", fontsize="medium")
    return ax


def _short(name: str) -> str:
    """The name, its middle left out if it is long: the end tells classes of one group apart."""
    half = (LONGEST_NAME - 3) // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}...{name[-half:]}"
