"""Things to draw, and what is asked of every drawing."""

import numpy as np

from tfmeta.evaluation.curves import AdaptationCurve


def curve(label="MAML", regression=False, steps=4, episodes=50, seed=0):
    rng = np.random.default_rng(seed)
    names = ["support_loss", "query_loss"] + ["support_accuracy", "query_accuracy"] * (not regression)
    mean = {name: rng.uniform(0.3, 0.9, steps + 1) for name in names}
    return AdaptationCurve(mean, {name: rng.uniform(0.01, 0.05, steps + 1) for name in names}, episodes, label)


def embeddings(n_way=3, k_shot=2, n_query=4, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    y, z = rng.permutation(np.repeat(np.arange(n_way), k_shot)), rng.permutation(np.repeat(np.arange(n_way), n_query))
    return rng.normal(size=(len(y), dim)) + y[:, None], y, rng.normal(size=(len(z), dim)) + z[:, None], z


def words(artists):
    return [artist.get_text() for artist in artists]


def assert_whole(ax):
    """All words lie within the figure, and the axes keep a part of it."""
    figure = ax.figure
    figure.canvas.draw()
    page = figure.bbox.padded(1.0)
    texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
    for axis in (ax.xaxis, ax.yaxis):  # Matplotlib makes ticks beyond the ends, too, and does not show them
        low, high = sorted(axis.get_view_interval())
        texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    for artist in [text for text in texts if text.get_text()] + ([ax.get_legend()] if ax.get_legend() else []):
        box = artist.get_window_extent()
        assert page.contains(box.x0, box.y0), artist
        assert page.contains(box.x1, box.y1), artist
    assert ax.get_window_extent().width > 0.2 * figure.bbox.width
