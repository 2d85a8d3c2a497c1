import numpy as np
import pytest

from tfmeta.datasets import glyph_strokes
from tfmeta.datasets.glyph_strokes import MAX_STROKES, N_CONTROL, N_SAMPLES, Alphabet, draw, invent_alphabet


@pytest.fixture
def alphabet():
    return invent_alphabet(np.random.default_rng(3), 12)


def test_shapes(alphabet):
    assert alphabet.shapes.shape == (12, MAX_STROKES, N_CONTROL, 2)
    points = draw(alphabet, np.random.default_rng(0), 7)
    assert points.shape == (12, 7, MAX_STROKES, N_SAMPLES, 2)
    drawn = ~np.isnan(points).any((-1, -2))
    np.testing.assert_array_equal(drawn, np.broadcast_to(alphabet.used[:, None], drawn.shape))


def test_first_stroke_exists_and_parents_come_before(alphabet):
    assert alphabet.used[:, 0].all()
    assert (alphabet.parent < np.arange(MAX_STROKES)).all()


def test_plain_drawing_fills_the_box(alphabet):
    points = draw(alphabet)
    high, low = np.nanmax(points, axis=(1, 2, 3)), np.nanmin(points, axis=(1, 2, 3))
    np.testing.assert_allclose(high, -low, atol=1e-12)
    np.testing.assert_allclose(high.max(1), 1)


def two_strokes(parent, offset=(0.0, 0.0)):
    """An upright line and a level one that hangs with its start on the end of the first."""
    t = np.linspace(0, 1, N_CONTROL)
    shapes = np.zeros((1, MAX_STROKES, N_CONTROL, 2))
    shapes[0, 0, :, 1] = 2 * t - 1
    shapes[0, 1, :, 0] = t - 0.5
    used = np.arange(MAX_STROKES)[None] < 2
    parents = np.full((1, MAX_STROKES), -1)
    parents[0, 1] = parent
    at = np.zeros((1, MAX_STROKES))
    at[0, 1] = 1
    offsets = np.zeros((1, MAX_STROKES, 2))
    offsets[0, 1] = offset
    return Alphabet(shapes, used, parents, at, np.zeros_like(at), offsets, 1.0)


def test_strokes_hang_together():
    points = draw(two_strokes(parent=0))[0, 0]
    np.testing.assert_allclose(points[1, 0], points[0, -1])
    np.testing.assert_allclose(points[0, :, 0], -0.5)  # 1 wide and 2 high, centred
    np.testing.assert_allclose(points[1, -1], [0.5, 1])


def test_strokes_stay_together_whoever_draws():
    points = draw(two_strokes(parent=0), np.random.default_rng(0), 200)[0]
    gap = np.linalg.norm(points[:, 1, None, :] - points[:, 0, :, None], axis=-1).min((1, 2))
    assert np.quantile(gap, 0.9) < 0.15


def test_strokes_can_stand_alone():
    points = draw(two_strokes(parent=-1, offset=(0.9, 0.0)))[0, 0]
    assert points[1, :, 0].min() > points[0, :, 0].max()


def test_drawers_keep_their_style():
    """A drawer's slant comes back in every character: between drawers it varies more than within one."""
    line = two_strokes(parent=0)
    many = Alphabet(*(np.repeat(field, 40, 0) for field in line[:-1]), line.curviness)
    points = draw(many, np.random.default_rng(0), 30)[:, :, 0]
    direction = points[:, :, -1] - points[:, :, 0]
    slant = direction[..., 0] / direction[..., 1]
    assert slant.mean(0).std() > 2 * slant.std() / np.sqrt(40)
    assert 0.1 < slant.std() < 0.5


def test_basis_interpolates_and_adds_up_to_one():
    t = np.linspace(0, 1, N_CONTROL)
    for curviness in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(glyph_strokes._basis(t, curviness), np.eye(N_CONTROL), atol=1e-12)
        np.testing.assert_allclose(glyph_strokes._basis(np.linspace(0, 1, 50), curviness).sum(1), 1)


def test_straight_basis_is_linear_interpolation():
    t = np.linspace(0, 1, 33)
    values = np.random.default_rng(0).normal(size=N_CONTROL)
    np.testing.assert_allclose(
        glyph_strokes._basis(t, 0.0) @ values, np.interp(t, np.linspace(0, 1, N_CONTROL), values), atol=1e-12
    )


def test_rotation_turns_by_its_angle():
    np.testing.assert_allclose(np.array([1.0, 0.0]) @ glyph_strokes._rotation(np.pi / 2), [0, 1], atol=1e-12)


def test_smooth_noise_has_deviation_one():
    smoothing = glyph_strokes._smoothing()
    np.testing.assert_allclose((smoothing @ smoothing.T).diagonal(), 1)
