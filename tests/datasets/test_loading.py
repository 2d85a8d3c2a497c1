"""Files as a learner's inputs: size, channels and range of training."""

import numpy as np
import pytest
from PIL import Image

import tfmeta
from tfmeta.datasets import load_images


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("b.png", (40, 30, 3)), ("a.jpg", (20, 60, 3)), ("c.png", (28, 28))):
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
def test_everyone_who_knows_a_shape_will_do(photos, channels, classes_of):
    network = tfmeta.networks.conv4(2, filters=2, input_shape=(20, 24, channels))
    learner = tfmeta.MAML(network)
    adapted = learner.adapt(np.zeros((2, 20, 24, channels)), [0, 1])
    for like in (network, learner, adapted, (20, 24, channels)):
        found = load_images(photos, like=like)
        assert (found.shape, found.dtype) == ((3, 20, 24, channels), np.float32)
        assert 0 <= found.min() < found.max() <= 1
    classes = classes_of([3, 3], size=28)
    assert load_images(photos, like=classes).shape == (3, 28, 28, 1)


def test_values_and_order_are_those_of_the_files(photos):
    found = load_images([photos / "c.png", str(photos / "c.png")], like=(28, 28, 1))
    expected = np.asarray(Image.open(photos / "c.png"))[..., None] / np.float32(255)
    np.testing.assert_array_equal(found, [expected, expected])
    np.testing.assert_allclose(load_images(photos / "c.png", like=(28, 28, 1), invert=True)[0], 1 - expected)
    grey = load_images(photos / "c.png", like=(28, 28, 3))
    assert (grey == grey[..., :1]).all()


@pytest.mark.parametrize(
    ("paths", "like", "error", "message"),
    [
        (lambda p: [], (8, 8, 1), ValueError, "at least one picture"),
        (lambda p: p / "none.png", (8, 8, 1), FileNotFoundError, "Received: .*none.png"),
        (lambda p: [p], (8, 8, 1), FileNotFoundError, "picture files, or one folder"),
        (lambda p: 3, (8, 8, 1), TypeError, "Received: paths of type int"),
        (lambda p: p / "notes.txt", (8, 8, 1), ValueError, "must be readable"),
        (lambda p: p, (8, 8), ValueError, r"Received: like=\(8, 8\)"),
        (lambda p: p, (8, 8, 2), ValueError, "1 or 3"),
        (lambda p: p, None, ValueError, "like=NoneType"),
    ],
)
def test_what_cannot_be_loaded_is_named(photos, paths, like, error, message):
    with pytest.raises(error, match=message):
        load_images(paths(photos), like=like)


def test_a_network_of_vectors_has_no_images(photos):
    with pytest.raises(ValueError, match="like=Functional"):
        load_images(photos, like=tfmeta.networks.mlp())
