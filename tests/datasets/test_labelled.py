"""Labelled batches: every image once a pass, the same again from the same seed, from anywhere."""

import numpy as np
import pytest

from tfmeta.datasets import labelled_batches


def drawn(dataset, n):
    return [(x.numpy(), y.numpy()) for x, y in dataset.take(n)]


def as_bytes(images):
    return [np.round(image * 255).astype(np.uint8).tobytes() for image in images]


def test_every_image_comes_once_a_pass_with_its_label(unequal):
    """104 images in batches of 10: batches straddle the ends of passes."""
    n = len(unequal.images)
    label_of = dict(zip((image.tobytes() for image in unequal.images), unequal.labels, strict=True))
    assert len(label_of) == n == 104
    batches = drawn(labelled_batches(unequal, batch_size=10, seed=3), 52)
    images = [image for x, _ in batches for image in as_bytes(x)]
    labels = np.concatenate([y for _, y in batches])
    np.testing.assert_array_equal(labels, [label_of[image] for image in images])
    passes = [images[i : i + n] for i in range(0, 5 * n, n)]
    assert [len(set(one)) for one in passes] == [n] * 5
    assert all(passes[0] != other for other in passes[1:]), "the order is new for each pass"
    x, y = batches[0]
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((10, 16, 16, 1), np.float32, (10,), np.int32)
    assert 0.0 <= x.min() < x.max() <= 1.0


def test_the_stream_depends_on_the_seed_alone_and_starts_anywhere(tiny):
    stream = drawn(labelled_batches(tiny, batch_size=7, seed=5), 40)
    for (a, b), (c, d) in zip(
        stream[33:], drawn(labelled_batches(tiny, batch_size=7, seed=5, start=33), 7), strict=True
    ):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    for other in (6, 5 + 2**31):
        assert any(
            np.any(b != d)
            for (_, b), (_, d) in zip(stream, drawn(labelled_batches(tiny, batch_size=7, seed=other), 3), strict=False)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"batch_size must be a whole number of at least 1. Received: batch_size=0"),
        ({"batch_size": 241}, r"at most the number of images, and 'tiny' has 240. Received: batch_size=241"),
        ({"seed": -1}, r"seed must be .* Received: seed=-1"),
        ({"start": -1}, r"start must be a whole number of at least 0. Received: start=-1"),
    ],
)
def test_bad_arguments_are_named(tiny, options, message):
    with pytest.raises(ValueError, match=message):
        labelled_batches(tiny, **{"batch_size": 4, "seed": 0, **options})
    with pytest.raises(TypeError, match=r"data must be an ImageClasses.*Received: data of type list"):
        labelled_batches([], batch_size=1, seed=0)
