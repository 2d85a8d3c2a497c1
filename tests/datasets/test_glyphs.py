import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfmeta.datasets import glyphs, load_glyphs

# The parent packages are left out, because they take seconds to import and none of them is needed.
CODE = """if True:
    import hashlib, pathlib, sys, types
    for name in ("tfmeta", "tfmeta.datasets"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(pathlib.Path(*name.split(".")).absolute())]
    from tfmeta.datasets.glyphs import load_glyphs
    print(hashlib.sha256(load_glyphs(7, n_alphabets=3, rotations=False).train.images.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def plain():
    return load_glyphs(rotations=False)


def nearest_neighbour_accuracy(classes, episodes=600):
    """5-way 1-shot by the smallest squared distance between pixels, 3 queries per class."""
    rng = np.random.default_rng(0)
    pixels = classes.images.reshape(len(classes.images), -1).astype(np.float32)
    first = np.concatenate([[0], np.cumsum(classes.counts)])
    correct = []
    for _ in range(episodes):
        chosen = rng.choice(classes.n_classes, 5, replace=False)
        rows = np.stack([first[c] + rng.permutation(classes.counts[c])[:4] for c in chosen])
        support, query = pixels[rows[:, 0]], pixels[rows[:, 1:].ravel()]
        nearest = ((query[:, None] - support) ** 2).sum(-1).argmin(1)
        correct.append(np.mean(nearest == np.repeat(np.arange(5), 3)))
    return np.mean(correct)


@pytest.mark.slow
def test_enough_classes_of_omniglots_format(plain):
    assert [part.n_classes for part in plain] == [590, 84, 175]
    assert [part.n_classes for part in load_glyphs(n_drawers=1)] == [4 * 590, 4 * 84, 4 * 175]
    for part, name in zip(plain, ("train", "validation", "test"), strict=True):
        assert part.name == f"glyphs {name}"
        assert part.image_shape == (28, 28, 1)
        assert set(part.counts) == {20}
        assert part.class_names[0] == f"{part.alphabets[0]}/character01"
        assert len(set(part.class_names)) == part.n_classes


def test_alphabets_never_straddle_splits(plain):
    train, validation, test = (set(part.alphabets) for part in plain)
    assert (len(train), len(validation), len(test)) == (28, 4, 8)
    assert not (train & validation)
    assert not (train & test)
    assert not (validation & test)


def test_ink_like_omniglots(plain):
    """The real train characters have: 0.078 of the area inked, drawings 15.1 wide and 16.3 high on average."""
    ink = plain.train.images[..., 0] / 255.0
    assert 0.06 < ink.mean() < 0.09
    assert 13 < (ink.max(1) > 0.2).sum(1).mean() < 18
    assert 13 < (ink.max(2) > 0.2).sum(1).mean() < 18
    assert len(np.unique(plain.train.images)) == 17, "anti-aliased in 16 steps"
    assert np.all(ink.max((1, 2)) > 0.9), "an empty image"
    assert np.mean(ink[:, [0, -1], [0, -1]]) < 0.001


def test_drawings_of_a_character_differ(plain):
    flat = plain.test.images.reshape(plain.test.n_classes, 20, -1)
    assert all(len(np.unique(drawings, axis=0)) == 20 for drawings in flat)


def test_pixels_are_not_enough_and_not_nothing(plain):
    """Raw pixels reach 42 % on the real test characters as well; chance is 20 %."""
    assert 0.35 < nearest_neighbour_accuracy(plain.test) < 0.6


def test_characters_can_be_told_apart(plain):
    """Class means over 10 drawings, blurred, tell 5 characters apart far better than single drawings do."""
    rng = np.random.default_rng(0)
    images = plain.test.images.reshape(-1, 20, 14, 2, 14, 2).astype(np.float32).mean((3, 5)).reshape(-1, 20, 196)
    correct = []
    for _ in range(300):
        chosen = rng.choice(len(images), 5, replace=False)
        means, queries = images[chosen, :10].mean(1), images[chosen, 10:]
        distance = ((queries[:, :, None] - means) ** 2).sum(-1)
        correct.append(np.mean(distance.argmin(-1) == np.arange(5)[:, None]))
    assert np.mean(correct) > 0.6


def test_same_seed_same_bits_in_another_process():
    root = Path(glyphs.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=root)
    here = load_glyphs(7, n_alphabets=3, rotations=False).train.images
    assert done.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


def test_other_seed_other_alphabets():
    a, b = (load_glyphs(seed, n_alphabets=3, rotations=False) for seed in (0, 1))
    assert not set(a.train.alphabets) & set(b.train.alphabets)
    assert not np.array_equal(a.train.images[:20], b.train.images[:20])


def test_fewer_alphabets_are_the_same_ones(plain):
    few = load_glyphs(n_alphabets=3, n_drawers=20, rotations=False)
    assert [len(set(part.alphabets)) for part in few] == [1, 1, 1]
    np.testing.assert_array_equal(few.train.images, plain.train.images[: len(few.train.images)])


def test_number_of_drawers():
    assert set(load_glyphs(n_alphabets=3, n_drawers=1).test.counts) == {1}


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    load_glyphs(n_alphabets=3, n_drawers=2)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("argument", "value"),
    [("seed", -1), ("seed", 0.5), ("seed", None), ("n_alphabets", 2), ("n_drawers", 0), ("n_drawers", True)],
)
def test_bad_arguments(argument, value):
    with pytest.raises(ValueError, match=rf"{argument} must be an integer of at least .*Received: {argument}="):
        load_glyphs(**{argument: value})


def test_render_covers_a_disc():
    """A pen of radius r leaves a spot of area pi r^2 around its point, and NaN points leave none."""
    points = np.array([[[14.0, 10.0]], [[np.nan, np.nan]]])
    images = glyphs.render(points, np.array([12.0, 12.0])) / 255.0
    assert images[0].sum() == pytest.approx(np.pi * 3**2, rel=0.03)
    rows, columns = np.nonzero(images[0] > 0.99)
    assert (rows.mean(), columns.mean()) == (pytest.approx(10, abs=0.51), pytest.approx(14, abs=0.51))
    assert images[1].sum() == 0


def test_render_cuts_at_the_edge():
    image = glyphs.render(np.array([[[0.0, 0.0], [27.9, 27.9]]]), np.array([5.0]))[0]
    assert image[0, 0] == image[-1, -1] == 255
    assert image[0, -1] == image[-1, 0] == 0
