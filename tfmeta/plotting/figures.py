"""Pictures of episodes, adaptation and embeddings. Every function takes an axes and returns it.

One style throughout: support filled, query hollow, before adaptation grey and dashed, after adaptation solid, one
colour-blind-safe colour per method or class, and the 95 % interval always drawn and named with its n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.core.episode import Episode
from tfmeta.core.validation import check_sizes
from tfmeta.evaluation.curves import AdaptationCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), "Color Universal Design"; black and yellow are left out, being hard to see on some screens.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BEFORE = "#7f7f7f"
MARKERS = "os^Dvp"  # from the seventh class on colours come again, with another marker


def _axes(ax: Axes | None, **size) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **size)[1]


def _tile(images: np.ndarray) -> np.ndarray:
    """Images `[rows, columns, height, width, channels]` as one, `[rows * height, columns * width, channels]`."""
    rows, columns, height, width, channels = images.shape
    return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def plot_episode(
    episode: Episode,
    ax: Axes | None = None,
    *,
    predictions: np.ndarray | None = None,
    max_queries: int = 5,
    title: str | None = None,
) -> Axes:
    """Draw one episode: a row per class, the support set at the left, queries at the right.

    Args:
        episode: one classification episode of images, without a meta-batch axis.
        ax: axes to draw on; a new figure by default.
        predictions: predicted labels `[n_way * n_query]` or logits `[n_way * n_query, n_way]`. A right one is framed in
            green, a wrong one in vermilion with the predicted class written on it.
        max_queries: queries drawn per class.
        title: title; by default the episode's ways and shots, and how many queries are right.

    Returns:
        The axes.

    Raises:
        ValueError: if the episode has a meta-batch axis, is no image classification or lacks a class, or `predictions`
            do not fit.

    References:
        Vinyals et al. (2016), figure 1. https://arxiv.org/abs/1606.04080
    """
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
        if predictions.shape != query_y.shape:
            raise ValueError(
                f"predictions must be one per query, {query_y.shape}. Received: predictions with {predictions.shape}"
            )
    n_way = int(support_y.max()) + 1
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
    ax = _axes(ax, figsize=(min(7.0, wide), min(7.0, 0.62 * n_way + 0.8)))
    # Ink on paper: the stored images are bright on black.
    ax.imshow(1.0 - canvas if canvas.shape[-1] == 1 else canvas, cmap="gray", vmin=0.0, vmax=1.0)
    ax.axvspan(k_shot * width - 0.5, (k_shot + 0.5) * width - 0.5, color="white")
    ax.set_yticks([(k + 0.5) * height for k in range(n_way)], [f"class {k}" for k in range(n_way)])
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


def plot_adaptation_curve(
    curve: AdaptationCurve | Sequence[AdaptationCurve], ax: Axes | None = None, *, quantity: str = "accuracy"
) -> Axes:
    """Draw accuracy or loss against inner steps, with 95 % intervals.

    Args:
        curve: one `AdaptationCurve`, or several to compare.
        ax: axes to draw on; a new figure by default.
        quantity: `"accuracy"` (in %) or `"loss"`; curves of regression have a loss only and fall back to it.

    Returns:
        The axes.

    Raises:
        TypeError: if `curve` holds anything else.
        ValueError: if `quantity` is neither, or there is no curve.

    References:
        Finn et al. (2017), figure 3. https://arxiv.org/abs/1703.03400
    """
    curves = [curve] if isinstance(curve, AdaptationCurve) else list(curve)
    if not curves:
        raise ValueError("curve must hold at least one AdaptationCurve. Received: an empty sequence")
    for one in curves:
        if not isinstance(one, AdaptationCurve):
            raise TypeError(
                f"curve must be an AdaptationCurve or several. Received: curve of type {type(one).__name__}"
            )
    if quantity not in ("accuracy", "loss"):
        raise ValueError(f"quantity must be 'accuracy' or 'loss'. Received: quantity={quantity!r}")
    if any("query_accuracy" not in one.mean for one in curves):
        quantity = "loss"
    scale = 100.0 if quantity == "accuracy" else 1.0
    # The legend of several curves stands beside the axes: within, it would lie on one of them.
    several = len(curves) > 1
    ax = _axes(ax, figsize=(7.0 if several else 5.0, 3.4))
    for one, colour in zip(curves, COLOURS * len(curves), strict=False):
        steps = np.arange(one.inner_steps + 1)
        prefix = f"{one.label}, " if several else ""
        for part, style, filled in (("query", "-", "white"), ("support", ":", colour)):
            mean = scale * one.mean[f"{part}_{quantity}"]
            half = scale * np.nan_to_num(one.interval[f"{part}_{quantity}"])
            ax.plot(steps, mean, style, color=colour, marker="o", markersize=5, markerfacecolor=filled,
                    label=f"{prefix}{part}")  # fmt: skip
            ax.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
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
    counts = " and ".join(str(n) for n in sorted({one.episodes for one in curves}))
    ax.set_title(f"mean and 95 % interval over n = {counts} episodes", fontsize="medium")
    return ax


def plot_embeddings(
    support: np.ndarray,
    support_y: np.ndarray,
    query: np.ndarray,
    query_y: np.ndarray,
    ax: Axes | None = None,
    *,
    class_names: Sequence[str] | None = None,
) -> Axes:
    """Draw an episode's embeddings in the plane of their two widest directions, with the prototypes.

    Args:
        support: embeddings `[n_support, dim]`; filled markers.
        support_y: integer labels `[n_support]`.
        query: embeddings `[n_query, dim]`; hollow markers.
        query_y: integer labels `[n_query]`.
        ax: axes to draw on; a new figure by default.
        class_names: names for the legend; "class 0" ... by default.

    Returns:
        The axes; class means of the support set are stars, numbered from seven classes on. Its labels say how much of
        the variance each axis shows.

    Raises:
        ValueError: if the arrays do not fit each other, hold fewer than two points or numbers that are not finite, or a
            class has no support item or no name.

    References:
        Snell et al. (2017), figures 1 and 2 (there t-SNE; here principal components, which keep straight lines
        straight). https://arxiv.org/abs/1703.05175
    """
    support, query = np.asarray(support, np.float64), np.asarray(query, np.float64)
    support_y, query_y = np.asarray(support_y), np.asarray(query_y)
    if support.ndim != 2 or query.ndim != 2 or support.shape[1:] != query.shape[1:] or len(support) + len(query) < 2:
        raise ValueError(
            "support and query must be embeddings [n, dim] of the same dim. "
            f"Received: support with shape={support.shape}, query with shape={query.shape}"
        )
    if support_y.shape != support.shape[:1] or query_y.shape != query.shape[:1]:
        raise ValueError(
            "labels must be one per embedding. "
            f"Received: support_y with shape={support_y.shape}, query_y with shape={query_y.shape}"
        )
    classes = np.unique(np.concatenate([support_y, query_y]))
    if not np.issubdtype(classes.dtype, np.integer) or classes[0] < 0 or len(np.unique(support_y)) < len(classes):
        raise ValueError(
            "labels must be integers of at least 0, and every class must have a support item. "
            f"Received: support_y={support_y.tolist()}, query_y={query_y.tolist()}"
        )
    if class_names is not None and len(class_names) <= classes[-1]:
        raise ValueError(
            f"class_names must have a name for every label up to {classes[-1]}. Received: class_names={class_names!r}"
        )
    together = np.concatenate([support, query])
    if not np.all(np.isfinite(together)):
        raise ValueError(
            "embeddings must be finite. "
            f"Received: support and query with {np.sum(~np.isfinite(together))} NaN or infinite values"
        )
    centre = together.mean(axis=0)
    _, widths, directions = np.linalg.svd(together - centre, full_matrices=False)
    plane = np.zeros((together.shape[1], 2))
    plane[:, : min(2, len(directions))] = directions[:2].T
    share = 100 * np.pad(widths**2, (0, 2))[:2] / max(np.sum(widths**2), 1e-30)

    columns = -(-len(classes) // 20)
    ax = _axes(ax, figsize=(4.0 + columns, max(3.8, 0.2 * min(len(classes), 20) + 0.4)))
    for k in classes:
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k // len(COLOURS) % len(MARKERS)]
        name = class_names[k] if class_names is not None else f"class {k}"
        points, ask = (support[support_y == k] - centre) @ plane, (query[query_y == k] - centre) @ plane
        ax.plot(*ask.T, marker, markerfacecolor="none", markeredgecolor=colour, markersize=5)
        ax.plot(*points.T, marker, color=colour, markersize=7, label=name)
        star = points.mean(axis=0)
        ax.plot(*star, "*", color=colour, markersize=15, markeredgecolor="black", markeredgewidth=0.8)
        if len(classes) > len(COLOURS):
            ax.annotate(str(k), star, xytext=(6, 6), textcoords="offset points", fontsize="small")
    ax.set_xlabel(f"first principal component ({share[0]:.0f} % of variance)")
    ax.set_ylabel(f"second ({share[1]:.0f} %)")
    ax.set_title("filled: support, star: prototype, hollow: query", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), ncols=columns)
    return ax
