"""Pictures of embeddings: support set, prototypes and queries in a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.plotting.palette import COLOURS, MARKERS, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax = axes_or_new(ax, figsize=(4.0 + columns, max(3.8, 0.2 * min(len(classes), 20) + 0.4)))
    for k in classes:
        colour, marker = (
            COLOURS[k % len(COLOURS)],
            MARKERS[k // len(COLOURS) % len(MARKERS)],
        )
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
