"""A learner knows the range of the images that it was trained on."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.training.scale import Scale

RNG = np.random.default_rng(0)
Y = [0, 1, 2]


def ink(n=3, batch=None):
    """White strokes on black."""
    shape = (n, 8, 8, 1) if batch is None else (batch, n, 8, 8, 1)
    return (RNG.uniform(size=shape) > 0.9).astype(np.float32)


@pytest.fixture(scope="module")
def trained():
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    learner = tfmeta.MAML(network, first_order=True)
    learner.compile("sgd")
    y = np.array([Y, Y], np.int32)
    learner.fit(tf.data.Dataset.from_tensors(tfmeta.Episode(ink(batch=2), y, ink(batch=2), y)), verbose=0)
    return learner


WRONG = {
    "floats up to 255": (lambda: 255 * ink(), r"from 0 to 1. Received: support_x from 0 to 255"),
    "whole numbers up to 255": (lambda: (255 * ink()).astype(np.int64), r"Received: support_x from 0 to 255"),
    "bytes": (lambda: (255 * ink()).astype(np.uint8), r"dtype=uint8"),
    "divided twice": (lambda: ink() / 255, r"divided by 255 once too often"),
    "from -1 to 1": (lambda: 2 * ink() - 1, r"Received: support_x from -1 to 1"),
    "standardised": (lambda: (ink() - 0.1) / 0.3, r"images must be scaled as in training"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_images_in_another_range_are_refused(trained, make, message):
    with pytest.raises(ValueError, match=message):
        trained.adapt(make(), Y)
    y = np.array([Y], np.int32)
    with pytest.raises(ValueError, match=message):
        tfmeta.evaluate(trained, tfmeta.Episode(make()[None], y, make()[None], y))


def test_inverted_ink_is_warned_of_and_the_rest_is_not(trained):
    with pytest.warns(UserWarning, match=r"look inverted: their mean is 0.[89].*give 1 - images"):
        trained.adapt(1 - ink(), Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fine in (ink(), 0.6 * ink(), np.zeros((3, 8, 8, 1)), np.clip(ink() + 0.2, 0, 1)):
            trained.adapt(fine, Y)


def test_a_learner_trained_on_0_to_255_refuses_0_to_1():
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    learner = tfmeta.MAML(network, first_order=True)
    learner.compile("sgd")
    y = np.array([Y], np.int32)
    data = tfmeta.Episode(255 * ink(batch=1), y, 255 * ink(batch=1), y)
    learner.fit(tf.data.Dataset.from_tensors(data), verbose=0)
    learner.adapt(255 * ink(), Y)
    with pytest.raises(ValueError, match=r"from 0 to 255. Received: support_x from 0 to 1"):
        learner.adapt(ink(), Y)


def test_the_range_is_saved(trained, tmp_path):
    trained.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.input_scale == pytest.approx(trained.input_scale)
    assert trained.input_scale == pytest.approx(Scale(0.0, 1.0, 0.1), abs=0.05)
    with pytest.raises(ValueError, match="from 0 to 255"):
        loaded.adapt(255 * ink(), Y)


def test_other_numbers_than_images_have_no_range():
    learner = tfmeta.MAML(tfmeta.networks.mlp(1), inner_lr=0.01, first_order=True)
    learner.compile("sgd")
    x = RNG.uniform(size=(1, 5, 1)).astype(np.float32)
    learner.fit(tf.data.Dataset.from_tensors(tfmeta.Episode(x, x, x, x)), verbose=0)
    assert learner.input_scale is None
    learner.adapt(1000 * x[0], x[0])


def test_pretrained_learners_know_theirs():
    learner = tfmeta.load_pretrained("prototypical-quickstart")
    assert learner.input_scale[:2] == (0.0, 1.0)
    with pytest.raises(ValueError, match=r"scaled as in training, from 0 to 1. Received: support_x from 0 to 255"):
        learner.adapt(255 * np.tile(ink(), (1, 4, 4, 1))[:, :28, :28], Y)


def encoder():
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])


EMBEDDERS = {
    "prototypical": lambda: tfmeta.PrototypicalNetwork(encoder()),
    "matching": lambda: tfmeta.MatchingNetwork(encoder()),
    "nearest neighbour": lambda: tfmeta.NearestNeighbour(encoder()),
}


@pytest.mark.parametrize("make", EMBEDDERS.values(), ids=EMBEDDERS)
def test_embed_refuses_what_an_adapted_model_refuses_in_the_same_words(make):
    learner = make()
    learner.embed(255 * ink())  # of a learner that has seen no images nobody knows the range
    learner.compile("sgd")
    y = np.array([Y, Y], np.int32)
    images = ink(batch=2)
    images[0, 0, 0, 0] = 1.0
    learner.fit(tfmeta.Episode(images, y, images, y), verbose=0)
    adapted = learner.adapt(images[0], Y)
    wrong = (255 * images[0], (255 * images[0]).astype(np.uint8), -images[0], tf.constant(255 * images[0]))
    for x in wrong:
        with pytest.raises(ValueError, match="images must be scaled as in training") as caught:
            learner.embed(x)
        with pytest.raises(tf.errors.InvalidArgumentError) as other:
            adapted(tf.cast(x, tf.float32))
        assert str(caught.value).split(" Received")[0] in str(other.value)
    for fine in (images[0], 1.4 * images[0], 0 * images[0]):
        adapted(fine)
        learner.embed(fine)
    assert tf.function(learner.embed)(tf.constant(images[0])).shape == learner.embed(images[0]).shape
