"""Pictures of an episode: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import tfmeta
from tests.plotting.drawings import assert_whole, words
from tfmeta.core.episode import Episode
from tfmeta.plotting import COLOURS


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
