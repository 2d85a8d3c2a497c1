"""Pictures: what is drawn is what was given, whole, readable, and without side effects."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import tfmeta
from tfmeta.core.episode import Episode
from tfmeta.evaluation.curves import AdaptationCurve
from tfmeta.plotting import BEFORE, COLOURS


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


@pytest.fixture
def episode(tiny):
    return tfmeta.sample_episode(tiny, n_way=3, k_shot=2, n_query=4, seed=0)


def curve(label="MAML", regression=False, steps=4, episodes=50, seed=0):
    rng = np.random.default_rng(seed)
    names = ["support_loss", "query_loss"] + ["support_accuracy", "query_accuracy"] * (not regression)
    mean = {name: rng.uniform(0.3, 0.9, steps + 1) for name in names}
    return AdaptationCurve(mean, {name: rng.uniform(0.01, 0.05, steps + 1) for name in names}, episodes, label)


def embeddings(n_way=3, k_shot=2, n_query=4, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    y, z = np.repeat(np.arange(n_way), k_shot), rng.permutation(np.repeat(np.arange(n_way), n_query))
    return rng.normal(size=(len(y), dim)) + y[:, None], y, rng.normal(size=(len(z), dim)) + z[:, None], z


def draw_episode(episode, ax=None):
    return tfmeta.plot_episode(episode, ax, predictions=episode.query_y)


DRAWERS = {
    "episode": draw_episode,
    "curve": lambda episode, ax=None: tfmeta.plot_adaptation_curve([curve(), curve("FOMAML")], ax),
    "embeddings": lambda episode, ax=None: tfmeta.plot_embeddings(*embeddings(), ax),
}
each = pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)


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


# -- what all have in common -----------------------------------------------------------------------------------------
@each
def test_an_axes_is_taken_and_returned_and_nothing_else_changed(draw, episode):
    figure, (left, right) = plt.subplots(1, 2)
    plt.sca(left)
    settings, state = dict(mpl.rcParams), np.random.get_state()[1].copy()  # noqa: NPY002
    assert draw(episode, right) is right
    assert plt.get_fignums() == [figure.number]
    assert plt.gca() is left, "pyplot's current axes moved"
    assert not left.has_data()
    assert right.has_data()
    assert dict(mpl.rcParams) == settings
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@each
def test_without_an_axes_each_call_makes_a_figure_of_its_own_that_holds_every_word(draw, episode):
    settings = dict(mpl.rcParams)
    first, second = draw(episode), draw(episode)
    assert first.figure is not second.figure
    assert len(plt.get_fignums()) == 2
    assert dict(mpl.rcParams) == settings
    assert first.get_title()
    assert_whole(first)


@each
def test_an_axes_of_a_figure_without_pyplot_will_do(draw, episode):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert draw(episode, ax) is ax
    assert plt.get_fignums() == []


# -- episodes --------------------------------------------------------------------------------------------------------
def test_an_episode_is_drawn_as_ink_on_paper_row_by_row(episode):
    ax = tfmeta.plot_episode(episode, max_queries=3)
    (drawn,) = ax.images
    canvas = np.asarray(drawn.get_array())
    assert canvas.shape == (3 * 16, (2 + 3) * 16 + 8)
    for k in range(3):
        support = episode.support_x.numpy()[episode.support_y.numpy() == k]
        query = episode.query_x.numpy()[episode.query_y.numpy() == k]
        rows = slice(16 * k, 16 * (k + 1))
        for i in range(2):
            np.testing.assert_allclose(canvas[rows, 16 * i : 16 * (i + 1)], 1.0 - support[i, ..., 0], atol=1e-6)
        for i in range(3):
            left = 2 * 16 + 8 + 16 * i
            np.testing.assert_allclose(canvas[rows, left : left + 16], 1.0 - query[i, ..., 0], atol=1e-6)
    assert words(ax.get_yticklabels()) == ["class 0", "class 1", "class 2"]
    assert words(ax.get_xticklabels()) == ["support (2 a class)", "query"]
    assert ax.get_title() == "3-way 2-shot"


def test_colour_images_keep_their_colours(episode):
    coloured = Episode(*(np.repeat(t, 3, axis=-1) if t.ndim == 4 else t.numpy() for t in episode))
    canvas = np.asarray(tfmeta.plot_episode(coloured).images[0].get_array())
    expected = coloured.support_x[coloured.support_y == 0][0]
    np.testing.assert_allclose(canvas[:16, :16], expected, atol=1e-6)


def test_right_predictions_are_green_and_wrong_ones_named(episode):
    labels = episode.query_y.numpy()
    guesses = labels.copy()
    wrong = np.flatnonzero(labels == 1)[0]
    guesses[wrong] = 2
    for given in (guesses, np.eye(3)[guesses]):  # labels, or logits
        ax = tfmeta.plot_episode(episode, predictions=given)
        frames = [patch for patch in ax.patches if isinstance(patch, Rectangle) and not patch.get_fill()]
        colours = [to_hex(frame.get_edgecolor()).upper() for frame in frames]
        assert colours.count(COLOURS[2]) == 11
        assert colours.index(COLOURS[1]) == 4, "row of class 1, first query"
        assert words(ax.texts) == ["2"]
        assert ax.get_title() == "3-way 2-shot, 11 of 12 queries right"
    assert tfmeta.plot_episode(episode, predictions=guesses, title="mine").get_title() == "mine"


@pytest.mark.parametrize("sizes", [(2, 1, 1), (12, 5, 8)])
def test_small_and_large_episodes_are_drawn_whole(tiny, sizes):
    n_way, k_shot, n_query = sizes
    episode = tfmeta.sample_episode(tiny, n_way=n_way, k_shot=k_shot, n_query=n_query, seed=0)
    title = "PrototypicalNetwork: 123 of 456 queries right"
    assert_whole(tfmeta.plot_episode(episode, predictions=0 * episode.query_y, max_queries=8, title=title))


def test_bad_episodes_are_named(tiny, episode):
    batch = next(iter(tfmeta.episode_dataset(tiny, n_way=3, k_shot=2, n_query=4, meta_batch_size=2, seed=0)))
    flat = Episode(np.zeros((6, 5)), episode.support_y, np.zeros((12, 5)), episode.query_y)
    whole = Episode(*(np.asarray(t) for t in episode))
    dark = whole._replace(support_x=(255 * whole.support_x).astype(np.uint8))
    lacking = whole._replace(query_y=np.minimum(whole.query_y, 1))
    for bad, message in (
        (batch, r"one image episode.*Received: support_x with shape=\(2, 6, 16, 16, 1\)"),
        (flat, r"Received: support_x with shape=\(6, 5\)"),
        (whole._replace(support_y=np.float32(whole.support_y)), r"support_y with dtype=float32"),
        (dark, r"floats in \[0, 1\] with 1 or 3 channels. Received: support_x with .*dtype=uint8"),
        (lacking, r"each with a support and a query image. Received: support_y="),
    ):
        with pytest.raises(ValueError, match=message):
            tfmeta.plot_episode(bad)
    for options, message in (
        ({"predictions": [0, 1]}, r"one per query, \(12,\). Received: predictions with \(2,\)"),
        ({"max_queries": 0}, r"Received: max_queries=0"),
    ):
        with pytest.raises(ValueError, match=message):
            tfmeta.plot_episode(episode, **options)
    assert plt.get_fignums() == [], "an empty figure was left behind"


# -- curves ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("quantity", "scale"), [("accuracy", 100.0), ("loss", 1.0)])
def test_a_curve_is_drawn_as_it_was_measured(quantity, scale):
    one = curve()
    ax = tfmeta.plot_adaptation_curve(one, quantity=quantity)
    assert words(ax.get_legend().get_texts()) == ["query", "support", "query, before adaptation"]
    lines = {line.get_label(): line for line in ax.lines}
    bands = dict(zip(("query", "support"), ax.collections, strict=True))
    for part in ("query", "support"):
        mean, half = (scale * values[f"{part}_{quantity}"] for values in (one.mean, one.interval))
        np.testing.assert_array_equal(lines[part].get_xdata(), np.arange(5))
        np.testing.assert_allclose(lines[part].get_ydata(), mean)
        corners = bands[part].get_paths()[0].vertices
        for k in range(5):
            heights = corners[corners[:, 0] == k, 1]
            assert heights.min() == pytest.approx(mean[k] - half[k])
            assert heights.max() == pytest.approx(mean[k] + half[k])
    before = lines["query, before adaptation"]
    assert set(before.get_ydata()) == {scale * one.mean[f"query_{quantity}"][0]}
    assert (before.get_color(), before.get_linestyle()) == (BEFORE, "--")
    assert ax.get_xlabel() == "inner steps"
    assert ax.get_ylabel() == {"accuracy": "accuracy (%)", "loss": "loss"}[quantity]
    assert ax.get_title() == "mean and 95 % interval over n = 50 episodes"


def test_several_curves_have_names_colours_and_a_legend_beside_them():
    ax = tfmeta.plot_adaptation_curve([curve(), curve("FOMAML", seed=1, episodes=20)])
    names = [f"{who}, {part}" for who in ("MAML", "FOMAML") for part in ("query", "support")]
    assert words(ax.get_legend().get_texts()) == [*names, "MAML, query, before adaptation"]
    assert [line.get_color() for line in ax.lines] == [COLOURS[0]] * 2 + [COLOURS[1]] * 2 + [BEFORE]
    assert "n = 20 and 50 episodes" in ax.get_title()
    assert_whole(ax)
    assert not ax.get_legend().get_window_extent().overlaps(ax.get_window_extent())


def test_regression_falls_back_to_the_loss_and_one_episode_has_no_band():
    one = curve(regression=True, episodes=1)
    one.interval["query_loss"][:] = one.interval["support_loss"][:] = np.nan
    ax = tfmeta.plot_adaptation_curve(one)
    assert ax.get_ylabel() == "loss"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), one.mean["query_loss"])
    assert_whole(ax)


def test_bad_curves_are_named():
    with pytest.raises(ValueError, match=r"at least one AdaptationCurve. Received: an empty sequence"):
        tfmeta.plot_adaptation_curve([])
    with pytest.raises(ValueError, match=r"'accuracy' or 'loss'. Received: quantity='acc'"):
        tfmeta.plot_adaptation_curve(curve(), quantity="acc")
    for bad, name in (([curve(), {"query_loss": [1.0]}], "dict"), (np.zeros(3), "float64")):
        with pytest.raises(TypeError, match=f"an AdaptationCurve or several. Received: curve of type {name}"):
            tfmeta.plot_adaptation_curve(bad)
    assert plt.get_fignums() == []
