"""Nearest neighbour: the rule itself, and the surface of a learner around something that learns nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import network
from tests.algorithms.pieces import task
from tfmeta.algorithms.nearest_neighbour import nearest_of_class
from tfmeta.datasets import sinusoid_episodes
from tfmeta.training import copies

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


def encoder():
    keras.utils.set_random_seed(0)
    return network(head=False)


def naive_classes(support, labels, query, distance):
    """The label of the nearest support item, one query after another."""
    found = []
    for q in query:
        if distance == "cosine":
            near = [q @ s / np.sqrt((q @ q) * (s @ s)) for s in support]
        else:
            near = [-np.sum((q - s) ** 2) for s in support]
        found.append(labels[int(np.argmax(near))])
    return np.array(found)


def test_scores_by_hand():
    near = tf.constant([[0.1, 0.9, 0.5, -0.2], [-3.0, -7.0, -1.0, -9.0]])
    found = nearest_of_class(near, tf.constant([0, 1, 0, 1]), 3).numpy()
    np.testing.assert_allclose(found[:, :2], [[0.5, 0.9], [-1.0, -7.0]])
    assert np.all(np.isfinite(found))
    assert np.all(found[:, 2] < -1e30), "a class without an example"


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_classes_are_those_of_naive_loops(random_episodes, distance):
    one = task(random_episodes(n_way=4, k_shot=3, n_query=20, dim=4))
    found = tfmeta.NearestNeighbour(distance=distance).query_outputs(one)
    expected = naive_classes(*(tensor.numpy() for tensor in one[:3]), distance)
    np.testing.assert_array_equal(np.argmax(found, axis=1), expected)
    # One shot and Euclidean: the class that soft nearest neighbours call most probable.
    single = task(random_episodes(n_way=4, k_shot=1, n_query=20, dim=4))
    if distance == "euclidean":
        scores = tfmeta.NearestNeighbour(distance=distance).query_outputs(single)
        soft = tfmeta.prototypical_logits(single.support_x, single.support_y, single.query_x, 4)
        np.testing.assert_allclose(scores, soft, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("of", ["pixels", "embeddings"])
def test_fit_evaluate_and_score_agree_and_nothing_changes(tiny, stream, of):
    learner = tfmeta.NearestNeighbour(None if of == "pixels" else encoder())
    learner.compile(optimizer="adam")
    before = [] if learner.encoder is None else learner.encoder.get_weights()
    episodes = next(iter(stream))
    once = tf.data.Dataset.from_tensors(episodes)
    fitted = learner.fit(once, validation_data=once, verbose=0).history
    evaluated = learner.evaluate(once, return_dict=True, verbose=0)
    hits = [
        np.mean(np.argmax(learner.query_outputs(one), axis=1) == one.query_y)
        for one in (task(episodes, i) for i in range(4))
    ]
    assert set(fitted) == {"accuracy", "val_accuracy"}
    assert set(evaluated) == {"accuracy"}
    for found in (fitted["accuracy"][0], fitted["val_accuracy"][0], evaluated["accuracy"]):
        assert found == pytest.approx(np.mean(hits))
    for old, new in zip(before, learner.encoder.get_weights() if before else [], strict=True):
        np.testing.assert_array_equal(old, new)
    score = tfmeta.evaluate(learner, tiny, n_way=3, k_shot=2, episodes=20)
    assert f"distance cosine, of {of}, batch norm: " in str(score)
    assert ("none in the network" in str(score)) == (of == "pixels")


@pytest.mark.parametrize("of", ["pixels", "embeddings"])
def test_save_load_and_adapt_are_exact(stream, tmp_path, of):
    learner = tfmeta.NearestNeighbour(None if of == "pixels" else encoder(), distance="euclidean", name="mine")
    episodes = next(iter(stream))
    one = task(episodes)
    if learner.encoder is not None:
        copies.set_batch_norm_statistics(learner.encoder, tf.reshape(episodes.query_x, (-1, 16, 16, 1)))
    outputs = learner.query_outputs(one).numpy()
    adapted = learner.adapt(one.support_x, one.support_y)
    predicted = adapted.predict(one.query_x, verbose=0)
    np.testing.assert_allclose(predicted, outputs, rtol=1e-4, atol=1e-4)
    learner.save(tmp_path / "learner.keras")
    adapted.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert (type(loaded), loaded.name, loaded.distance) == (tfmeta.NearestNeighbour, "mine", "euclidean")
    np.testing.assert_array_equal(loaded.query_outputs(one), outputs)
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "task.keras").predict(one.query_x, verbose=0), predicted
    )
    for variable in adapted.variables:  # nothing done to the copy reaches the learner
        variable.assign(tf.zeros_like(variable))
    np.testing.assert_array_equal(learner.query_outputs(one), outputs)


def test_images_of_another_size_need_no_new_learner(classes_of):
    learner = tfmeta.NearestNeighbour()
    for size in (16, 20):
        one = tfmeta.sample_episode(classes_of([10] * 5, size=size), n_way=3, k_shot=1, n_query=5, seed=0)
        assert np.mean(np.argmax(learner.query_outputs(one), axis=1) == one.query_y) > 0.9


def test_what_does_not_fit_is_named(stream):
    with pytest.raises(ValueError, match=r"distance must be 'cosine' or 'euclidean'. Received: distance='l1'"):
        tfmeta.NearestNeighbour(distance="l1")
    with pytest.raises(TypeError, match=r"encoder must be a keras.Model. Received: encoder of type str"):
        tfmeta.NearestNeighbour("euclidean")
    with pytest.raises(ValueError, match=r"every class present. Received: labels \[0, 2\]"):
        tfmeta.NearestNeighbour().adapt(np.zeros((2, 16, 16, 1)), [0, 2])
    with pytest.raises(ValueError, match=r"of shape \(16, 16, 1\). Received: support_x with \(12, 12, 1\)"):
        tfmeta.NearestNeighbour(encoder()).adapt(np.zeros((2, 12, 12, 1)), [0, 1])
    waves = next(iter(sinusoid_episodes(k_shot=2, n_query=3, meta_batch_size=2, seed=0)))
    with pytest.raises(ValueError, match=r"NearestNeighbour classifies, and needs integer labels. Received"):
        tfmeta.NearestNeighbour().check_episode(waves)
    with pytest.raises(TypeError, match=r"x must be a tf.data.Dataset of Episode"):
        tfmeta.NearestNeighbour().fit(tuple(next(iter(stream))))
