"""Pictures of a regression task: its points, and the learner's curve before and after adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.core.episode import Episode
from tfmeta.core.validation import check_steps
from tfmeta.core.words import counted
from tfmeta.plotting.palette import BEFORE, COLOURS, METHOD_COLOURS, axes_or_new, method_named
from tfmeta.training.episodic import EpisodicLearner

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_POINTS = 200


def plot_regression(
    learner: EpisodicLearner, episode: Episode, ax: Axes | None = None, *, inner_steps: Sequence[int] | None = None
) -> Axes:
    """Draw a task y = f(x) of one input: support points filled, queries hollow, the curve before and after adaptation.

    Args:
        learner: a learner of regression with an inner loop; not changed.
        episode: one task without a meta-batch axis; inputs `[n, 1]`, targets `[n, 1]`.
        ax: axes to draw on; a new figure by default.
        inner_steps: after which steps the curve is drawn besides step 0; by default after those of `adapt`.

    Returns:
        The axes.

    Raises:
        TypeError: if the learner has no inner loop, or `episode` is no `Episode`.
        ValueError: if inputs or targets are not `[n, 1]`, targets are labels, or steps are no numbers of steps.

    References:
        Finn et al. (2017), figure 2. https://arxiv.org/abs/1703.03400
    """
    if not isinstance(learner, EpisodicLearner) or not learner.has_inner_loop:
        raise TypeError(f"learner must have an inner loop. Received: learner of type {type(learner).__name__}")
    if not isinstance(episode, Episode):
        raise TypeError(f"episode must be an Episode. Received: episode of type {type(episode).__name__}")
    parts = [np.asarray(part) for part in episode]
    if any(part.ndim != 2 or part.shape[1] != 1 for part in parts) or parts[1].dtype.kind != "f":
        raise ValueError(
            "plot_regression draws one task with inputs [n, 1] and float targets [n, 1]. Received: "
            + ", ".join(f"{name} {part.shape} {part.dtype}" for name, part in zip(Episode._fields, parts, strict=True))
        )
    steps = [learner.eval_inner_steps] if inner_steps is None else list(inner_steps)
    for step in steps:
        check_steps(inner_steps=step)
    support_x, support_y, query_x, query_y = parts
    both = np.concatenate([support_x, query_x])
    grid = np.linspace(both.min(), both.max(), N_POINTS, dtype=np.float32)[:, None]
    curves = {step: np.asarray(learner.adapt(support_x, support_y, inner_steps=step)(grid)) for step in [0, *steps]}
    ax = axes_or_new(ax, figsize=(5.6, 3.4))
    own = METHOD_COLOURS.get(method_named(learner.method_label) or "", COLOURS[0])
    ax.plot(query_x, query_y, "o", color="black", markerfacecolor="none", markersize=4, label="query")
    ax.plot(support_x, support_y, "o", color="black", markersize=6, label="support")
    ax.plot(grid, curves[0], "--", color=BEFORE, label="before adaptation")
    for i, step in enumerate(s for s in steps if s):
        alpha = 1.0 if len(steps) == 1 else 0.4 + 0.6 * (i + 1) / len(steps)
        ax.plot(grid, curves[step], "-", color=own, alpha=alpha, label=f"after {step} inner step{'s' * (step > 1)}")
    ax.set_xlabel("x")
    ax.set_ylabel("y")
    ax.set_title(f"{learner.label}, {counted(len(support_x), 'support point')}", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
