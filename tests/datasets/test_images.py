import numpy as np
import pytest

from tfmeta.datasets import from_arrays


def test_arrays_are_sorted_by_class_and_keep_their_order():
    images = np.arange(50, 55, dtype=np.uint8)[:, None, None] * np.ones((1, 3, 2), np.uint8)
    classes = from_arrays(images, np.array([7, 1, 7, 3, 1]), name="mine")
    assert classes.class_names == ("1", "3", "7")
    assert classes.images[:, 0, 0, 0].tolist() == [51, 54, 53, 50, 52]
    assert classes.counts.tolist() == [2, 1, 2]
    assert classes.image_shape == (3, 2, 1)
    assert classes.name == "mine"


def test_arrays_with_names_and_alphabets():
    classes = from_arrays(np.zeros((2, 3, 3, 3), np.uint8), [1, 0], class_names=["Latin/a", "plain"])
    assert classes.class_names == ("Latin/a", "plain")
    assert classes.alphabets == ("Latin", "plain")
    assert classes.image_shape == (3, 3, 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_images_become_uint8(dtype):
    images = np.array([0.0, 0.25, 1.0], dtype).reshape(3, 1, 1)
    assert from_arrays(images, [0, 1, 2]).images.ravel().tolist() == [0, 64, 255]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((0, 3, 3)), [], r"at least one image.*Received: images.shape=\(0, 3, 3\)"),
        (np.zeros((3, 3)), [0, 1, 2], r"\[n, h, w\].*Received: images.shape=\(3, 3\)"),
        (np.full((2, 3, 3), np.nan), [0, 1], "image 0 has NaN or infinite values. Received: 18"),
        (np.full((2, 3, 3), np.inf), [0, 1], "NaN or infinite"),
        (np.full((2, 3, 3), 255.0), [0, 1], "between 0 and 1; divide them by 255. Received: images from 255 to 255"),
        (np.full((2, 3, 3), -0.5), [0, 1], "between 0 and 1; scale them.*Received: images from -0.5"),
        (np.full((2, 3, 3), 256.0), [0, 1], "between 0 and 1; scale them.*Received: images from 256"),
        (np.zeros((2, 3, 3), np.int64), [0, 1], "must be uint8.*Received: images.dtype=int64"),
        (np.zeros((2, 3, 3)), [0, 1, 1], r"one per image \(2\). Received: labels.shape=\(3,\)"),
    ],
)
def test_bad_arrays(images, labels, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(images, labels)


def test_images_of_mixed_shapes():
    with pytest.raises(
        ValueError, match=r"must all have the same shape. Received: images of shapes \[\(3, 3\), \(3, 4\)\]"
    ):
        from_arrays([np.zeros((3, 3)), np.zeros((3, 4))], [0, 1])


@pytest.mark.parametrize("class_names", [["a"], ["a", "b", "c"], ["a", "a"]])
def test_bad_class_names(class_names):
    with pytest.raises(ValueError, match=r"2 distinct names.*Received: class_names="):
        from_arrays(np.zeros((2, 3, 3)), [0, 1], class_names=class_names)


# the order of the axes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_first_are_refused(channels, dtype):
    images = np.ones((2, channels, 8, 9), dtype)
    with pytest.raises(
        ValueError, match=rf"look like {channels} channels first.*Received: images.shape=\(2, {channels}"
    ):
        from_arrays(images, [0, 1])
    moved = from_arrays(np.moveaxis(255 * images.astype(np.uint8), 1, -1), [0, 1])
    assert moved.image_shape == (8, 9, channels)


@pytest.mark.parametrize("shape", [(3, 3, 3), (3, 8, 3), (1, 9, 1), (8, 9, 5), (3, 4, 4)])
def test_what_may_be_channels_last_is_taken_so(shape):
    assert from_arrays(np.zeros((2, *shape)), [0, 1]).image_shape == shape


# the scale of the values


def ramp(high, dtype):
    return (np.linspace(0, 1, 32).reshape(2, 4, 4) * high).astype(dtype)


def test_bool_images_are_black_and_white():
    assert from_arrays(np.eye(3, dtype=bool)[None], [0]).images[0, :, :, 0].tolist() == (255 * np.eye(3)).tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_images_divided_twice_are_refused(dtype):
    twice = (ramp(255, np.uint8).astype(np.float64) / 255 / 255).astype(dtype)
    with pytest.raises(ValueError, match=r"divided by 255 twice\? Received: images from 0 to 0.00392"):
        from_arrays(twice, [0, 1])


def test_bytes_of_zero_and_one_are_refused():
    with pytest.raises(ValueError, match=r"multiply images of 0 and 1 by 255.*Received: images from 0 to 1"):
        from_arrays(np.eye(3, dtype=np.uint8)[None], [0])


@pytest.mark.parametrize("images", [ramp(16, np.uint8), ramp(2, np.uint8), ramp(16 / 255, np.float32)])
def test_very_dark_images_are_warned_of_where_the_call_is(images):
    with pytest.warns(UserWarning, match=r"brightest pixel of all images is \d+ on the scale from 0 to 255") as caught:
        from_arrays(images, [0, 1])
    assert caught[0].filename == __file__


@pytest.mark.parametrize("images", [ramp(17, np.uint8), ramp(17 / 255, np.float32), ramp(0, np.uint8), ramp(0, float)])
def test_dim_and_black_images_are_taken_as_they_are(images):
    from_arrays(images, [0, 1])
