"""Reliability diagrams and coverage: what is drawn where, in whose colour, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.plotting.drawings import assert_whole, calibration, words
from tfmeta.plotting import COLOURS, METHOD_COLOURS, method_style, plot_coverage, plot_reliability


def points(container):
    return container.lines[0].get_xydata()


# -- reliability ---------------------------------------------------------------------------------------------------
def test_points_lie_at_confidence_and_accuracy_with_their_intervals():
    given = calibration()
    ax = plot_reliability(given)
    (container,) = ax.containers
    kept = np.isfinite(given.accuracy_intervals)
    wanted = 100 * np.stack([given.reliability.confidence, given.reliability.accuracy], axis=1)[kept]
    np.testing.assert_allclose(points(container), wanted)
    bars = np.array(container.lines[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(bars[:, 1] - bars[:, 0], 10.0)  # 5 points on each side
    np.testing.assert_allclose(bars.mean(axis=1), wanted[:, 1])


def test_a_bin_with_hardly_any_queries_is_a_hollow_point_that_no_line_reaches():
    given = calibration()
    ax = plot_reliability(given)
    (hollow,) = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert hollow.get_linestyle() == "None"
    first = np.argmax(given.reliability.count > 0)
    wanted = [[100 * given.reliability.confidence[first], 100 * given.reliability.accuracy[first]]]
    np.testing.assert_allclose(hollow.get_xydata(), wanted)


def test_of_one_episode_every_bin_is_drawn_without_an_interval():
    given = calibration(ece_interval=float("nan"), episodes=1)
    given.accuracy_intervals[:] = np.nan
    ax = plot_reliability(given)
    assert len(points(ax.containers[0])) == np.sum(given.reliability.count > 0)


def test_the_diagonal_and_the_queries_below_it_are_drawn():
    given = calibration()
    ax = plot_reliability(given)
    assert any(np.array_equal(line.get_xydata(), [[0, 0], [100, 100]]) for line in ax.lines)
    (steps,) = ax.patches
    values, edges, baseline = steps.get_data()
    np.testing.assert_allclose(edges, np.linspace(0, 100, 16))
    shares = given.reliability.count / given.reliability.count.sum()
    np.testing.assert_allclose((values - baseline) / (values - baseline).max(), shares / shares.max())
    assert values.max() < 0, "the strip lies below the diagram"
    assert ax.get_ylim()[0] <= baseline
    assert f"queries: up to {100 * shares.max():.0f} % in a bin" in words(ax.texts)
    assert words(ax.get_yticklabels())[0] in ("0", "")  # the strip has no accuracies
    assert min(ax.get_yticks()) == 0


@pytest.mark.parametrize("sure", [True, False])
def test_the_words_of_the_strip_stand_where_fewer_queries_are(sure):
    given = calibration()
    count = np.where(np.arange(15) > 9, 100, 0) if sure else np.where(np.arange(15) < 5, 100, 0)
    given.reliability.count[:] = count
    ax = plot_reliability(given)
    (text,) = ax.texts
    assert (text.get_position()[0] < 50) == sure


def test_several_methods_have_colours_markers_and_errors_of_their_own():
    given = [calibration("MAML"), calibration("small net (ProtoNet)", seed=1), calibration("PLATIPUS", seed=2)]
    ax = plot_reliability(given)
    colours = [container.lines[0].get_color() for container in ax.containers]
    assert colours[:2] == [METHOD_COLOURS["MAML"], METHOD_COLOURS["ProtoNet"]]
    assert len(set(colours)) == 3
    assert ax.containers[1].lines[0].get_marker() == method_style("ProtoNet")["marker"]
    assert words(ax.get_legend().get_texts()) == [
        "as sure as right",
        "MAML\nECE 12.3 % +- 1.0",
        "small net (ProtoNet)\nECE 12.3 % +- 1.0",
        "PLATIPUS\nECE 12.3 % +- 1.0",
    ]
    assert len(ax.patches) == 3
    assert ax.get_title() == "95 % intervals over n = 600 episodes"
    mixed = plot_reliability([calibration(), calibration("Reptile", episodes=100)])
    assert mixed.get_title() == "95 % intervals over n = 100 and 600 episodes"
    assert_whole(ax)


def test_bins_may_be_any_number_and_empty():
    for bins in (1, 2, 40):
        assert len(plot_reliability(calibration(bins=bins)).patches) == 1
    assert len(plot_reliability([calibration(bins=1), calibration(bins=10)]).patches) == 2
    given = calibration()
    given.reliability.count[:] = 0  # all outputs were not numbers
    plot_reliability(given).figure.canvas.draw()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "at least one Calibration. Received: an empty sequence"),
        (None, TypeError, "Received: calibration of type NoneType"),
        ([calibration(), 0.5], TypeError, "Received: calibration of type float"),
    ],
)
def test_what_is_no_calibration_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        plot_reliability(given)
    assert plt.get_fignums() == []


# -- coverage ------------------------------------------------------------------------------------------------------
def test_lines_lie_at_levels_and_shares_in_order():
    ax = plot_coverage({"MAML": [0.51, 0.23], "mine": (0.88, 0.49)}, [0.9, 0.5])
    diagonal, maml, other = ax.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [100, 100]])
    np.testing.assert_allclose(maml.get_xydata(), [[50, 23], [90, 51]])
    np.testing.assert_allclose(other.get_xydata(), [[50, 49], [90, 88]])
    assert maml.get_color() == METHOD_COLOURS["MAML"]
    assert other.get_color() == next(colour for colour in COLOURS if colour != METHOD_COLOURS["MAML"])
    assert words(ax.get_legend().get_texts()) == ["as the level says", "MAML", "mine"]
    assert_whole(ax)


@pytest.mark.parametrize(
    ("covered", "levels", "error", "message"),
    [
        ([0.5], [0.5], TypeError, "a dictionary of labels and shares. Received: covered of type list"),
        ({}, [0.5], ValueError, "Received: an empty dictionary"),
        ({"MAML": [0.5, 0.6]}, [0.5], ValueError, r"each of the 1 levels. Received: covered\['MAML'\] with 2"),
        ({"MAML": [50]}, [0.5], ValueError, r"from 0 to 1.*Received: covered\['MAML'\]=\[50\]"),
        ({"MAML": [float("nan")]}, [0.5], ValueError, r"Received: covered\['MAML'\]=\[nan\]"),
        ({"MAML": "half"}, [0.5], ValueError, r"Received: covered\['MAML'\]='half'"),
        ({"MAML": [0.5]}, [90], ValueError, r"levels must be shares.*Received: levels=\[90\]"),
        ({"MAML": []}, [], ValueError, r"Received: levels=\[\]"),
    ],
)
def test_what_is_no_coverage_is_refused(covered, levels, error, message):
    with pytest.raises(error, match=message):
        plot_coverage(covered, levels)
    assert plt.get_fignums() == []
