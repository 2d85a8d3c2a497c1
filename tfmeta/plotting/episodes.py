"""Pictures of an episode: its support set, its queries, and what was predicted for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.core.episode import Episode
from tfmeta.core.validation import check_sizes
from tfmeta.plotting.palette import COLOURS, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_episode(
    episode: Episode,
    ax: Axes | None = None,
    *,
    predictions: np.ndarray | None = None,
    max_queries: int = 5,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
) -> Axes:
    """Draw one episode: a row per class, the support set at the left, queries at the right.

    Args:
        episode: one classification episode of images, without a meta-batch axis.
        ax: axes to draw on; a new figure by default.
        predictions: predicted labels `[n_way * n_query]` or logits `[n_way * n_query, n_way]`. A right one is framed in
            green, a wrong one in vermilion with the predicted class written on it.
        max_queries: queries drawn per class.
        class_names: names of labels 0, 1, ...; "class 0" ... by default.
        title: title; by default the episode's ways and shots, and how many queries are right.

    Returns:
        The axes.

    Raises:
        TypeError: if `episode` is no `Episode`.
        ValueError: if the episode has a meta-batch axis, is no image classification or lacks a class, or `predictions`
            do not fit.

    References:
        Vinyals et al. (2016), figure 1. https://arxiv.org/abs/1606.04080
    """
    if not isinstance(episode, Episode):
        raise TypeError(f"episode must be an Episode. Received: episode of type {type(episode).__name__}")
    support_x, support_y, query_x, query_y = (np.asarray(tensor) for tensor in episode)
    if support_x.ndim != 4 or not np.issubdtype(support_y.dtype, np.integer):
        raise ValueError(
            "plot_episode draws one image episode [n, height, width, channels] with integer labels. "
            f"Received: support_x with shape={support_x.shape}, support_y with dtype={support_y.dtype}"
        )
    check_sizes(max_queries=max_queries)
    if not np.issubdtype(support_x.dtype, np.floating) or support_x.shape[-1] not in (1, 3):
        raise ValueError(
            "images must be floats in [0, 1] with 1 or 3 channels. "
            f"Received: support_x with shape={support_x.shape}, dtype={support_x.dtype}"
        )
    if not all(np.array_equal(np.unique(y), np.arange(support_y.max() + 1)) for y in (support_y, query_y)):
        raise ValueError(
            "labels must run from 0 to n_way - 1, each with a support and a query image. "
            f"Received: support_y={support_y.tolist()}, query_y={query_y.tolist()}"
        )
    if predictions is not None:
        predictions = np.asarray(predictions)
        predictions = predictions.argmax(axis=-1) if predictions.ndim == 2 else predictions
        if predictions.dtype.kind not in "iu":
            raise ValueError(f"predictions must be whole numbers. Received: predictions with dtype={predictions.dtype}")
        if predictions.shape != query_y.shape:
            raise ValueError(
                f"predictions must be one per query, {query_y.shape}. Received: predictions with {predictions.shape}"
            )
    n_way = int(support_y.max()) + 1
    names = [f"class {k}" for k in range(n_way)] if class_names is None else [str(name) for name in class_names]
    if len(names) != n_way:
        raise ValueError(f"class_names must be {n_way}, one a class. Received: class_names={class_names!r}")
    k_shot = min(np.bincount(support_y, minlength=n_way))
    n_query = min(max_queries, min(np.bincount(query_y, minlength=n_way)))
    support = np.stack([support_x[support_y == k][:k_shot] for k in range(n_way)])
    chosen = np.stack([np.flatnonzero(query_y == k)[:n_query] for k in range(n_way)])  # [n_way, n_query]
    height, width = support.shape[2:4]
    gap = np.zeros((n_way * height, width // 2, support.shape[-1]), support.dtype)
    canvas = np.concatenate([_tile(support), gap, _tile(query_x[chosen])], axis=1)

    if title is None:
        title = f"{n_way}-way {k_shot}-shot"
        if predictions is not None:
            title += f", {int(np.sum(predictions == query_y))} of {len(query_y)} queries right"
    columns = k_shot + n_query + 0.5
    # Wide enough for the title, which the layout does not reckon with.
    wide = max(0.62 * columns + 0.9, 0.085 * len(title) + 0.2)
    ax = axes_or_new(ax, figsize=(min(7.0, wide), min(7.0, 0.62 * n_way + 0.8)))
    # Ink on paper: the stored images are bright on black.
    ax.imshow(1.0 - canvas if canvas.shape[-1] == 1 else canvas, cmap="gray", vmin=0.0, vmax=1.0)
    ax.axvspan(k_shot * width - 0.5, (k_shot + 0.5) * width - 0.5, color="white")
    ax.set_yticks([(k + 0.5) * height for k in range(n_way)], names)
    middle = (k_shot + 0.5) * width + n_query * width / 2
    ax.set_xticks([k_shot * width / 2, middle], [f"support ({k_shot} a class)", "query"])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if predictions is not None:
        _frame_predictions(ax, predictions[chosen], (k_shot + 0.5) * width, height, width)
    ax.set_title(title, fontsize="medium")
    return ax


def _frame_predictions(ax: Axes, predictions: np.ndarray, left: float, height: int, width: int) -> None:
    from matplotlib.patches import Rectangle

    for (row, column), predicted in np.ndenumerate(predictions):
        right = predicted == row
        corner = (left + column * width + 0.5, row * height + 0.5)
        colour = COLOURS[2] if right else COLOURS[1]
        ax.add_patch(Rectangle(corner, width - 2, height - 2, fill=False, edgecolor=colour, linewidth=1.6))
        if not right:
            label = {"fontsize": 7, "color": "white", "ha": "right", "va": "bottom"}
            box = {"facecolor": colour, "edgecolor": "none", "pad": 1.0}
            ax.text(corner[0] + width - 3, corner[1] + height - 3, str(predicted), bbox=box, **label)


def _tile(images: np.ndarray) -> np.ndarray:
    """Images `[rows, columns, height, width, channels]` as one, `[rows * height, columns * width, channels]`."""
    rows, columns, height, width, channels = images.shape
    return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
