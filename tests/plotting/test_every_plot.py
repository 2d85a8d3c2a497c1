"""What all pictures have in common: whole, readable, and without side effects."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import tfmeta
from tests.plotting.drawings import assert_whole, calibration, curve, embeddings, score


def draw_episode(episode, ax=None):
    return tfmeta.plot_episode(episode, ax, predictions=episode.query_y)


DRAWERS = {
    "episode": draw_episode,
    "curve": lambda episode, ax=None: tfmeta.plot_adaptation_curve([curve(), curve("FOMAML")], ax),
    "confusion": lambda episode, ax=None: tfmeta.plot_confusion(score(), ax),
    "embeddings": lambda episode, ax=None: tfmeta.plot_embeddings(*embeddings(), ax),
    "reliability": lambda episode, ax=None: tfmeta.plotting.plot_reliability(calibration(), ax),
    "reliabilities": lambda episode, ax=None: tfmeta.plotting.plot_reliability(
        [calibration("small net (Proto-MAML)"), calibration("PLATIPUS", seed=1)], ax
    ),
    "coverage": lambda episode, ax=None: tfmeta.plotting.plot_coverage({"MAML": [0.2, 0.5]}, [0.5, 0.9], ax),
}
each = pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)


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
