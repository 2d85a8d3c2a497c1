import numpy as np
import pytest

from tfmeta.datasets import ImageClasses, Splits


def build(counts=(2, 1, 3), size=(3, 3), **changes):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), *size, 1), dtype=np.uint8)
    names = tuple(f"A/{c}" for c in range(len(counts)))
    fields = {"images": images, "labels": labels, "class_names": names, "alphabets": ("A",) * len(counts)} | changes
    return ImageClasses(**fields)


def test_numbers():
    classes = build()
    assert classes.n_classes == 3
    assert classes.counts.tolist() == [2, 1, 3]
    assert classes.image_shape == (3, 3, 1)
    assert repr(classes) == "ImageClasses('images', 3 classes, 6 images (3, 3, 1))"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((6, 3, 3), np.uint8)}, r"must be a uint8 array.*Received: images with shape=\(6, 3, 3\)"),
        ({"images": np.zeros((6, 3, 3, 1))}, r"must be a uint8 array.*dtype=float64"),
        ({"labels": np.array([0, 0, 1])}, r"one per image. Received: labels with shape=\(3,\)"),
        ({"labels": np.array([0.0, 0, 1, 2, 2, 2])}, r"integer array.*dtype=float64"),
        ({"labels": np.array([0, 1, 0, 2, 2, 2])}, r"ascending.*Received: labels="),
        ({"labels": np.array([0, 0, 2, 2, 2, 2])}, r"every class from 0 to 2"),
        ({"labels": np.array([0, 1, 0, 2, 2, 2], np.uint8)}, r"ascending.*Received: labels="),
        ({"images": np.zeros((6, 3, 9, 9), np.uint8)}, r"3 channels first: use np.moveaxis.*shape=\(6, 3, 9, 9\)"),
        ({"images": np.zeros((6, 1, 9, 9), np.uint8)}, r"1 channels first"),
        ({"class_names": ("A/0", "A/1", "A/0")}, r"must all be different. Received: 'A/0' more than once"),
        ({"alphabets": ("A",)}, r"one entry per class.*Received: 3 class_names, 1 alphabets"),
    ],
)
def test_fields_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_select_relabels_in_the_order_given():
    classes = build()
    part = classes.select([2, 0], name="part")
    np.testing.assert_array_equal(part.images, classes.images[[3, 4, 5, 0, 1]])
    assert part.labels.tolist() == [0, 0, 0, 1, 1]
    assert part.class_names == ("A/2", "A/0")
    assert (part.name, classes.select([1]).name) == ("part", "images")


def test_select_takes_names():
    classes = build()
    for chosen in (["A/2", "A/0"], np.array(["A/2", "A/0"]), ("A/2", "A/0"), np.array(["A/2", "A/0"], object)):
        part = classes.select(chosen)
        np.testing.assert_array_equal(part.images, classes.select([2, 0]).images)
        assert part.class_names == ("A/2", "A/0")


def test_an_unknown_name_is_answered_by_the_nearest():
    classes = build(class_names=("Latin/a", "Latin/b", "Greek/alpha"))
    with pytest.raises(ValueError, match=r"the 3 of 'images'\. Did you mean 'Greek/alpha'\? Received: 'alpha' in"):
        classes.select(["Latin/a", "alpha"])


@pytest.mark.parametrize(
    "chosen",
    [
        [],
        [0, 0],
        [3],
        [-1],
        [0.5],
        [[0]],
        ["A/0", "A/0"],
        "A/0",
        [True, False, True],
        ["A/0", None],
        [["A/0"]],
        0,
        None,
    ],
)
def test_bad_selection(chosen):
    with pytest.raises(ValueError, match=r"Received: classes="):
        build().select(chosen)


def test_what_is_turned_already_is_not_turned_again():
    """A class turned twice by 90 degrees would be the same images as one turned by 180, under two names."""
    with pytest.raises(ValueError, match=r"must all be different. Received: 'A/0@90' more than once"):
        build().rotated().rotated()


def test_rotations_are_classes_of_their_own():
    classes = build()
    turned = classes.rotated()
    assert turned.n_classes == 12
    assert turned.counts.tolist() == [2, 1, 3] * 4
    assert turned.class_names[:4] == ("A/0", "A/1", "A/2", "A/0@90")
    for k in range(4):
        np.testing.assert_array_equal(turned.images[6 * k + 2], np.rot90(classes.images[2], k))


def test_only_square_images_rotate():
    with pytest.raises(ValueError, match=r"only square images.*Received: image_shape=\(3, 4, 1\)"):
        build(size=(3, 4)).rotated()


def test_splits_name_their_parts():
    assert Splits._fields == ("train", "validation", "test")
