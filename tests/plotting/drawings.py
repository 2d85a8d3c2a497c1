"""Things to draw, and what is asked of every drawing."""

import numpy as np

from tfmeta.evaluation import AdaptationCurve, Calibration, Reliability, Score, ScoreDetails


def curve(label="MAML", regression=False, steps=4, episodes=50, seed=0):
    rng = np.random.default_rng(seed)
    names = ["support_loss", "query_loss"] + ["support_accuracy", "query_accuracy"] * (not regression)
    mean = {name: rng.uniform(0.3, 0.9, steps + 1) for name in names}
    return AdaptationCurve(mean, {name: rng.uniform(0.01, 0.05, steps + 1) for name in names}, episodes, label)


def embeddings(n_way=3, k_shot=2, n_query=4, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    y, z = rng.permutation(np.repeat(np.arange(n_way), k_shot)), rng.permutation(np.repeat(np.arange(n_way), n_query))
    return rng.normal(size=(len(y), dim)) + y[:, None], y, rng.normal(size=(len(z), dim)) + z[:, None], z


def score(confusion=None, names=None, undefined=0):
    """A score with this confusion matrix; by default of 15 classes with long names, the later the harder."""
    if confusion is None:
        confusion = np.diag(np.arange(60, 0, -4)) + 2
    confusion = np.asarray(confusion)
    names = names or tuple(f"Mkhedruli_(Georgian)/character{k:02d}@270" for k in range(len(confusion)))
    answers = [(i, j, n) for (i, j), n in np.ndenumerate(confusion) if n] + ([(0, -1, undefined)] if undefined else [])
    details = ScoreDetails(np.full(9, 0.5), names, np.array(answers, np.int64))
    return Score(0.5, 0.1, 9, 5, 1, 15, "tiny", "MAML", {}, "none", 0, details=details)


def calibration(method="MAML", bins=15, seed=0, **fields):
    """Calibration of a method that is too sure: bins above 0.3, the first of them without an interval."""
    rng = np.random.default_rng(seed)
    confidence = (np.arange(bins) + 0.5) / bins
    count = np.where(confidence > 0.3, rng.integers(100, 1000, bins), 0)
    empty, first = np.where(count, 0.0, np.nan), int(np.argmax(count > 0))
    found = Reliability(confidence + empty, 0.8 * confidence + empty, count)
    intervals = 0.05 + empty
    intervals[first] = np.nan
    given = {"nll": 0.8, "nll_interval": 0.01, "brier": 0.3, "brier_interval": 0.02, "ece": 0.123, "ece_interval": 0.01,
             "episodes": 600, "queries": int(count.sum())}  # fmt: skip
    return Calibration(**(given | fields), method=method, reliability=found, accuracy_intervals=intervals)


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
