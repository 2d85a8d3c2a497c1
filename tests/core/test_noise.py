"""A network is judged without its noise, and two threads do not disturb each other."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import task as one
from tfmeta import functional
from tfmeta.core.noise import draws

RANDOM = [*sorted(n for n in dir(keras.layers) if n.startswith("Random")), "AugMix", "RandAugment", "Solarization"]
ARGUMENTS = {
    "RandomBrightness": (0.5,), "RandomContrast": (0.5,), "RandomCrop": (6, 6), "RandomRotation": (0.5,),
    "RandomTranslation": (0.3, 0.3), "RandomZoom": (0.3,), "RandomColorDegeneration": (0.5,), "RandomHue": (0.5,),
    "RandomPosterization": (4,), "RandomSaturation": (0.5,), "RandomSharpness": (0.5,),
}  # fmt: skip


class Jitter(keras.layers.Layer):
    """A layer of one's own that draws random numbers and holds a batch norm."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(0)
        self.bn = keras.layers.BatchNormalization()

    def build(self, shape):
        self.bn.build(shape)

    def call(self, x, training=False):
        noise = keras.random.normal(tf.shape(x), seed=self.seed) if training else 0.0
        return self.bn(x + noise, training=training)


@pytest.mark.parametrize("name", RANDOM)
def test_every_random_image_layer_of_keras_is_off(name):
    layer = getattr(keras.layers, name)(*ARGUMENTS.get(name, ()))
    assert draws(layer)
    network = keras.Sequential([keras.Input((6, 6, 3)), layer])
    x = np.random.default_rng(0).uniform(size=(4, 6, 6, 3)).astype(np.float32)
    with functional.without_dropout(network):
        found = network(x, training=True)
    np.testing.assert_allclose(found, network(x, training=False), rtol=1e-6)


def test_a_block_that_draws_keeps_batch_statistics():
    network = keras.Sequential([keras.Input((5,)), Jitter()])
    x = 3 * np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32) + 7
    with functional.without_dropout(network):
        found = np.asarray(network(x, training=True))
    np.testing.assert_allclose(found, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), rtol=1e-4, atol=1e-4)
    assert np.abs(network(x, training=True) - found).max() > 0.1


def test_positional_training_is_turned_off_too():
    class Positional(keras.Model):
        def __init__(self):
            super().__init__()
            self.drop = keras.layers.Dropout(0.5)

        def call(self, x, training=False):
            return self.drop(x, training=training)

    network, ones = Positional(), np.ones((1, 100), np.float32)
    network(ones)
    with functional.without_dropout(network):
        np.testing.assert_array_equal(network(ones, training=True), ones)


def augmented():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((8, 8, 1)), layers.RandomFlip(), layers.RandomRotation(0.3), layers.Flatten(), layers.Dense(3)]
    )


def test_learners_with_augmentation_in_the_network_judge_the_images_as_they_are():
    rng = np.random.default_rng(0)
    y = tf.constant([0, 1, 2] * 2)
    images = [tf.constant(rng.uniform(size=(6, 8, 8, 1)).astype(np.float32)) for _ in range(2)]
    episode = tfmeta.Episode(images[0], y, images[1], y)
    network = augmented()
    plain = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), network.layers[-1]])
    learner, wanted = (tfmeta.MAML(n, inner_lr=0.1, eval_inner_steps=3) for n in (network, plain))
    np.testing.assert_allclose(learner.query_outputs(episode), wanted.query_outputs(episode), rtol=1e-5)
    adapted = learner.adapt(episode.support_x, y).predict(images[1], verbose=0)
    np.testing.assert_allclose(adapted, wanted.query_outputs(episode), rtol=1e-4, atol=1e-5)


def test_in_training_augmentation_is_on():
    network, x = augmented(), np.random.default_rng(0).uniform(size=(6, 8, 8, 1)).astype(np.float32)
    found = functional.forward(network, functional.values(network.trainable_variables), x)
    assert np.abs(found - network(x, training=False)).max() > 0.01


def test_threads_that_adapt_leave_dropout_as_it_was(random_episodes):
    episode = one(random_episodes(dtype=np.float32))
    keras.utils.set_random_seed(0)
    drop = keras.layers.Dropout(0.5)
    network = keras.Sequential([keras.Input((6,)), drop, keras.layers.Dense(3)])
    learner = tfmeta.MAML(network, inner_lr=0.1, eval_inner_steps=2)
    wanted, found, original = learner.query_outputs(episode), [], keras.layers.Layer.__call__

    def work():
        for _ in range(3):
            found.append(np.asarray(learner.query_outputs(episode)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    for outputs in found:
        np.testing.assert_allclose(outputs, wanted, rtol=1e-5)
    assert drop.rate == 0.5
    assert keras.layers.Layer.__call__ is original
    assert float(tf.reduce_min(drop(tf.ones([100]), training=True))) == 0.0


def test_a_thread_in_training_keeps_its_dropout_while_another_one_judges():
    network = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5)])
    ones, found = np.ones((1, 1000), np.float32), []
    with functional.without_dropout(network):
        thread = threading.Thread(target=lambda: found.append(network(ones, training=True)))
        thread.start()
        thread.join()
        np.testing.assert_array_equal(network(ones, training=True), ones)
    assert float(tf.reduce_min(found[0])) == 0.0
