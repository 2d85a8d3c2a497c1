"""Embeddings in the plane of their principal components."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tfmeta
from tests.plotting.drawings import embeddings
from tfmeta.plotting import COLOURS


def drawn(ax, n_way):
    """For each class its lines: queries, support items, prototype; `[n, 2]` each."""
    lines = [line for line in ax.lines if len(line.get_xdata())]
    assert len(lines) == 3 * n_way
    return [[lines[3 * k + i].get_xydata() for i in range(3)] for k in range(n_way)]


def test_in_the_plane_the_picture_is_the_data_turned():
    """Two dimensions lose nothing: all distances are those of the embeddings."""
    support, y, query, z = embeddings(dim=2)
    ax = tfmeta.plot_embeddings(support, y, query, z)
    found = drawn(ax, 3)
    for k in range(3):
        ask, points, star = found[k]
        assert (len(ask), len(points), len(star)) == (4, 2, 1)
        np.testing.assert_allclose(star[0], points.mean(axis=0), atol=1e-12)
        for j in range(3):
            distances = np.linalg.norm(ask[:, None] - found[j][1][None], axis=-1)
            expected = np.linalg.norm(query[z == k][:, None] - support[y == j][None], axis=-1)
            np.testing.assert_allclose(distances, expected, rtol=1e-9)
    shown = [float(label.split("(")[1].split(" %")[0]) for label in (ax.get_xlabel(), ax.get_ylabel())]
    assert sum(shown) == pytest.approx(100, abs=1)


def test_in_space_the_axes_are_the_widest_directions_and_say_their_share():
    support, y, query, z = embeddings(dim=5)
    together = np.concatenate([support, query])
    variances, directions = np.linalg.eigh(np.cov(together.T))
    ax = tfmeta.plot_embeddings(support, y, query, z)
    for axis in (0, 1):
        direction = directions[:, -1 - axis]
        for k, (ask, points, _) in enumerate(drawn(ax, 3)):
            for found, given in ((ask, query[z == k]), (points, support[y == k])):
                expected = (given - together.mean(axis=0)) @ direction
                np.testing.assert_allclose(np.abs(found[:, axis]), np.abs(expected), rtol=1e-6, atol=1e-9)
    shares = 100 * variances[::-1][:2] / variances.sum()
    assert ax.get_xlabel() == f"first principal component ({shares[0]:.0f} % of variance)"
    assert ax.get_ylabel() == f"second ({shares[1]:.0f} %)"


def test_marks_and_legend():
    ax = tfmeta.plot_embeddings(*embeddings(), class_names=["alpha", "beta", "gamma", "unused"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["alpha", "beta", "gamma"]
    for k in range(3):
        ask, points, star = ax.lines[3 * k : 3 * k + 3]
        assert ask.get_markerfacecolor() == "none"
        assert ask.get_markeredgecolor() == points.get_color() == star.get_color() == COLOURS[k]
        assert (ask.get_marker(), points.get_marker(), star.get_marker()) == ("o", "o", "*")
    assert ax.get_title() == "filled: support, star: prototype, hollow: query"
    assert not ax.texts


def test_twenty_classes_can_be_told_apart_and_the_legend_fits():
    ax = tfmeta.plot_embeddings(*embeddings(n_way=20))
    marks = {(line.get_color(), line.get_marker()) for line in ax.lines[1::3]}
    assert len(marks) == 20
    assert [text.get_text() for text in ax.texts] == [str(k) for k in range(20)]
    ax.figure.canvas.draw()
    box, page = ax.get_legend().get_window_extent(), ax.figure.bbox.padded(1.0)
    assert page.contains(box.x0, box.y0)
    assert page.contains(box.x1, box.y1)
    assert not box.overlaps(ax.get_window_extent())


def test_one_dimension_and_equal_points_are_drawn_too():
    support, y, query, z = embeddings(dim=1)
    ax = tfmeta.plot_embeddings(support, y, query, z)
    for _, points, _ in drawn(ax, 3):
        np.testing.assert_array_equal(points[:, 1], 0.0)
    assert "100 % of variance" in ax.get_xlabel()
    equal = tfmeta.plot_embeddings(0 * support, y, 0 * query, z)
    assert "(0 % of variance)" in equal.get_xlabel()


def changed(**parts):
    names = ("support", "support_y", "query", "query_y")
    return list((dict(zip(names, embeddings(), strict=True)) | parts).values())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"query": np.zeros((12, 5))}, r"same dim. Received: support with shape=\(6, 6\), query with shape=\(12, 5\)"),
        ({"support": np.zeros((6, 2, 3))}, r"Received: support with shape=\(6, 2, 3\)"),
        ({"support_y": np.zeros(5, int)}, r"one per embedding. Received: support_y with shape=\(5,\)"),
        ({"query_y": np.zeros((12, 1), int)}, r"query_y with shape=\(12, 1\)"),
        ({"query_y": np.full(12, 3)}, r"every class must have a support item. Received: support_y="),
        ({"support_y": np.zeros(6), "query_y": np.zeros(12)}, r"integers of at least 0.*Received: support_y=\[0.0"),
        ({"support_y": np.full(6, -1)}, r"integers of at least 0"),
        ({"query": np.full((12, 6), np.nan)}, r"finite. Received: support and query with 72 NaN"),
    ],
)
def test_bad_embeddings_are_named(parts, message):
    with pytest.raises(ValueError, match=message):
        tfmeta.plot_embeddings(*changed(**parts))
    assert plt.get_fignums() == []


def test_too_few_names_are_named():
    with pytest.raises(ValueError, match=r"every label up to 2. Received: class_names=\['a', 'b'\]"):
        tfmeta.plot_embeddings(*embeddings(), class_names=["a", "b"])
