"""Pictures of adaptation: what is drawn is what was measured."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tfmeta
from tests.plotting.drawings import assert_whole, curve, words
from tfmeta.plotting import BEFORE, METHOD_COLOURS


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
    assert [line.get_color() for line in ax.lines] == [
        METHOD_COLOURS["MAML"], METHOD_COLOURS["MAML"], METHOD_COLOURS["FOMAML"], METHOD_COLOURS["FOMAML"], BEFORE
    ]  # fmt: skip
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


def test_a_score_with_a_loss_is_a_band_among_losses():
    score = tfmeta.Score(0.5, 0.1, 9, 5, 1, 15, "tiny", "ANIL", {}, "none", 0, loss=0.75, loss_interval=0.05)
    ax = tfmeta.plot_adaptation_curve([curve(), score], quantity="loss", show_support=False)
    line = next(line for line in ax.lines if line.get_label() == "ANIL")
    assert set(line.get_ydata()) == {0.75}
    assert ax.patches[-1].get_extents().transformed(ax.transData.inverted()).y0 == pytest.approx(0.70)


def test_bad_curves_are_named():
    with pytest.raises(ValueError, match=r"at least one AdaptationCurve. Received: an empty sequence"):
        tfmeta.plot_adaptation_curve([])
    with pytest.raises(ValueError, match=r"'accuracy' or 'loss'. Received: quantity='acc'"):
        tfmeta.plot_adaptation_curve(curve(), quantity="acc")
    for bad, name in (([curve(), {"query_loss": [1.0]}], "dict"), (np.zeros(3), "ndarray")):
        with pytest.raises(TypeError, match=f"an AdaptationCurve or several. Received: curve of type {name}"):
            tfmeta.plot_adaptation_curve(bad)
    assert plt.get_fignums() == []
