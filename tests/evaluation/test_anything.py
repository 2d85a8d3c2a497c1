"""`tfmeta.evaluate` of what is no learner: anything that adapts, and Keras models that predict."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import once, task

TASKS = {"n_way": 3, "k_shot": 2, "n_query": 4}


class Nearest:
    """Adapts and is nothing else: a model of the distances to class means of pixels."""

    def __init__(self):
        self.asked = []

    def adapt(self, support_x, support_y):
        self.asked.append((support_x, support_y))
        flat = np.reshape(support_x, (len(support_y), -1))
        means = np.stack([flat[support_y == k].mean(axis=0) for k in range(support_y.max() + 1)])
        head = keras.layers.Dense(len(means))
        model = keras.Sequential([keras.Input(support_x.shape[1:]), keras.layers.Flatten(), head])
        head.set_weights([2 * means.T, -np.sum(means**2, axis=1)])
        return model


def naive_accuracies(episodes):
    """Of the class with the nearest mean, in NumPy."""
    found = []
    for i in range(len(episodes.support_y)):
        x, y, q, wanted = (tensor.numpy() for tensor in task(episodes, i))
        means = np.stack([x[y == k].mean(axis=0) for k in range(3)])
        distances = ((q[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4))
        found.append(np.mean(distances.argmin(axis=1) == wanted))
    return found


@pytest.fixture(scope="module")
def hard(classes_of):
    """Classes that cannot all be told apart by their means."""
    classes = classes_of([20] * 6)
    noise = np.random.default_rng(1).normal(0, 250, classes.images.shape)
    images = np.clip(classes.images + noise, 0, 255).astype(np.uint8)
    return tfmeta.datasets.from_arrays(images, classes.labels, name="hard")


@pytest.fixture(scope="module")
def episodes(hard):
    return next(iter(tfmeta.episode_dataset(hard, **TASKS, meta_batch_size=7, seed=2)))


def test_a_plain_object_that_adapts_is_scored_like_a_learner(hard, episodes):
    found, one = naive_accuracies(episodes), Nearest()
    assert 0.4 < np.mean(found) < 1.0, "else the score says little"
    score = tfmeta.evaluate(one, hard, **TASKS, episodes=7, seed=2)
    assert score.accuracy == pytest.approx(np.mean(found), abs=1e-6)
    assert score.interval == pytest.approx(1.959964 * np.std(found, ddof=1) / np.sqrt(7), rel=1e-4)
    assert (score.method, score.settings, score.batch_norm) == ("Nearest", {}, "the model's own")
    assert (score.data, score.seed, score.episodes) == ("hard", 2, 7)
    assert len(one.asked) == 7
    for i, (x, y) in enumerate(one.asked):  # NumPy arrays, without a meta-batch axis, of the support set alone
        np.testing.assert_array_equal(x, episodes.support_x[i])
        np.testing.assert_array_equal(y, episodes.support_y[i])


def test_episodes_themselves_are_data_a_meta_batch_or_a_dataset(episodes):
    wanted = np.mean(naive_accuracies(episodes))
    batch, dataset = (tfmeta.evaluate(Nearest(), data) for data in (episodes, once(episodes)))
    assert batch == dataset
    assert batch.accuracy == pytest.approx(wanted, abs=1e-6)
    assert (batch.n_way, batch.k_shot, batch.n_query, batch.episodes, batch.data) == (3, 2, 4, 7, "given episodes")
    twice = tfmeta.evaluate(Nearest(), once(episodes).repeat(2))
    assert (twice.accuracy, twice.episodes) == (pytest.approx(wanted, abs=1e-6), 14)
    learner = tfmeta.NearestNeighbour()
    hits = [np.mean(np.argmax(learner.query_outputs(task(episodes, i)), 1) == task(episodes, i).query_y)
            for i in range(7)]  # fmt: skip
    assert tfmeta.evaluate(learner, episodes).accuracy == pytest.approx(np.mean(hits), abs=1e-6)


def test_a_model_that_predicts_is_judged_on_the_queries_of_given_episodes(episodes):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    found = [np.mean(np.argmax(model(x), axis=1) == y) for x, y in zip(episodes[2], episodes[3], strict=True)]
    score = tfmeta.evaluate(model, episodes)
    assert score.accuracy == pytest.approx(np.mean(found), abs=1e-6)
    assert (score.method, score.batch_norm) == ("Sequential", "the model's own")
    adapted = tfmeta.NearestNeighbour().adapt(episodes.support_x[0], episodes.support_y[0])
    alone = tfmeta.Episode(*(tensor[:1] for tensor in episodes))
    hits = np.mean(np.argmax(adapted(alone.query_x[0]), axis=1) == alone.query_y[0])
    assert tfmeta.evaluate(adapted, alone).accuracy == pytest.approx(hits, abs=1e-6)


def test_what_can_neither_adapt_nor_predict_is_named(hard, episodes):
    with pytest.raises(TypeError, match=r"have a method adapt\(support_x, support_y\).*learner of type function"):
        tfmeta.evaluate(naive_accuracies, episodes)
    model = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(3)], name="fixed")
    with pytest.raises(TypeError, match=r"'fixed' cannot adapt to classes .*Received: data of type ImageClasses"):
        tfmeta.evaluate(model, hard, **TASKS)
    with pytest.raises(TypeError, match=r"needs n_way and k_shot. Received: n_way=None, k_shot=2"):
        tfmeta.evaluate(Nearest(), hard, k_shot=2)
    with pytest.raises(ValueError, match=r"at least one meta-batch. Received: an empty dataset"):
        tfmeta.evaluate(Nearest(), once(episodes).take(0))
    with pytest.raises(
        TypeError, match=r"must be an Episode or a dataset of meta-batches of them, or.*Received: .*Tensor"
    ):
        tfmeta.evaluate(Nearest(), tf.data.Dataset.from_tensors(tf.zeros([3])))
