"""Confusion matrices: the numbers drawn are those counted."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tfmeta
from tests.plotting.drawings import assert_whole, score, words


def drawn(ax):
    """The matrix drawn, and the names of its rows and columns."""
    names = [words(axis.get_ticklabels()) for axis in (ax.yaxis, ax.xaxis)]
    return np.asarray(ax.images[0].get_array()), *names


def test_shares_are_those_of_the_true_classs_queries():
    ax = tfmeta.plot_confusion(score([[3, 1, 0], [0, 10, 0], [2, 2, 4]], ("ant", "bee", "cat")))
    share, rows, columns = drawn(ax)
    np.testing.assert_allclose(share, [[75, 25, 0], [0, 100, 0], [25, 25, 50]])
    assert rows == columns == ["ant", "bee", "cat"]
    assert words(ax.texts) == ["75", "25", "100", "25", "25", "50"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert ax.get_title() == "3 classes, 9 episodes"
    assert_whole(ax)


def test_of_many_classes_the_hardest_are_drawn_and_the_rest_is_not_lost():
    ax = tfmeta.plot_confusion(score([[8, 1, 1], [3, 5, 2], [0, 3, 7]], ("ant", "bee", "cat")), max_classes=2)
    share, rows, columns = drawn(ax)
    assert (rows, columns) == (["bee", "cat"], ["bee", "cat", "others"])
    np.testing.assert_allclose(share, [[50, 20, 30], [30, 70, 0]])
    assert ax.get_title() == "the 2 hardest of 3 classes, 9 episodes"


def test_outputs_that_are_not_numbers_are_among_the_others_and_classes_never_asked_for_are_left_out():
    ax = tfmeta.plot_confusion(score([[3, 0, 1], [0, 0, 0], [0, 0, 4]], ("ant", "bee", "cat"), undefined=4))
    share, rows, columns = drawn(ax)
    assert (rows, columns) == (["ant", "cat"], ["ant", "cat", "others"])
    np.testing.assert_allclose(share, [[37.5, 12.5, 50], [0, 100, 0]])


def test_long_names_are_short_and_told_apart():
    share, rows, _ = drawn(tfmeta.plot_confusion(score()))
    assert share.shape == (12, 13)
    assert max(map(len, rows)) <= 28
    assert len(set(rows)) == 12


def test_a_score_of_the_library_is_drawn(tiny):
    found = tfmeta.evaluate(tfmeta.NearestNeighbour(), tiny, n_way=5, k_shot=1, n_query=4, episodes=10, details=True)
    share, rows, _ = drawn(tfmeta.plot_confusion(found, max_classes=20))
    np.testing.assert_allclose(share.sum(axis=1), 100)
    assert set(rows) <= set(tiny.class_names)


def test_scores_without_details_and_other_things_are_named(tiny):
    plain = tfmeta.evaluate(tfmeta.NearestNeighbour(), tiny, n_way=2, k_shot=1, n_query=2, episodes=2)
    with pytest.raises(ValueError, match=r"evaluate\(..., details=True\). Received: score.details=None"):
        tfmeta.plot_confusion(plain)
    with pytest.raises(TypeError, match=r"Received: score of type ndarray"):
        tfmeta.plot_confusion(np.eye(3))
    with pytest.raises(ValueError, match=r"Received: max_classes=0"):
        tfmeta.plot_confusion(score(), max_classes=0)
    assert plt.get_fignums() == []
