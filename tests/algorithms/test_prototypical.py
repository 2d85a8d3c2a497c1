"""Prototypical networks on one task: the mathematics, `adapt`, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import first, task
from tfmeta.training import copies
from tfmeta.training.comparison import embed

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}


def small(seed=0, **options):
    keras.utils.set_random_seed(seed)
    learner = tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=4, input_shape=(16, 16, 1)), **options)
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    return learner


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


def warmed(episodes):
    """A learner whose moving averages fit the images: before training its embeddings would all but coincide."""
    learner = small()
    copies.set_batch_norm_statistics(learner.encoder, tf.reshape(episodes.query_x, (-1, 16, 16, 1)))
    assert np.ptp(learner.query_outputs(task(episodes))) > 1.0
    return learner


def softmax(logits):
    exponentials = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def naive_logits(support, labels, query):
    """Equations 1 and 2 with loops over numbers."""
    n_way = int(labels.max()) + 1
    logits = np.zeros((len(query), n_way))
    for j, q in enumerate(query):
        for k in range(n_way):
            members = [s for s, y in zip(support, labels, strict=True) if y == k]
            prototype = [sum(column) / len(members) for column in zip(*members, strict=True)]
            logits[j, k] = -sum((a - b) ** 2 for a, b in zip(q, prototype, strict=True))
    return logits


# -- the three functions -------------------------------------------------------------------------------------------
SUPPORT = tf.constant([[0.0, 0.0], [4.0, 0.0], [2.0, 0.0], [0.0, 6.0]], tf.float64)
LABELS = tf.constant([0, 1, 0, 1])
QUERY = tf.constant([[1.0, 1.0], [3.0, 4.0], [4.0, 3.0]], tf.float64)


def test_prototypes_and_logits_by_hand():
    np.testing.assert_array_equal(tfmeta.compute_prototypes(SUPPORT, LABELS, 2), [[1.0, 0.0], [2.0, 3.0]])
    by_hand = [[-1.0, -5.0], [-20.0, -2.0], [-18.0, -4.0]]  # (3, 4) is 2 right of and 4 above (1, 0): 4 + 16
    np.testing.assert_allclose(tfmeta.prototypical_logits(SUPPORT, LABELS, QUERY, 2), by_hand, rtol=1e-12)


def test_the_distance_is_squared():
    """The same assertion must refuse the distance itself, which some implementations use."""
    logits = tfmeta.prototypical_logits(SUPPORT, LABELS, QUERY, 2).numpy()
    unsquared = -np.sqrt(-logits)
    expected = naive_logits(SUPPORT.numpy(), LABELS.numpy(), QUERY.numpy())
    np.testing.assert_allclose(logits, expected, rtol=1e-12)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(unsquared, expected, rtol=1e-12)


def test_classes_may_have_different_numbers_of_shots():
    support = tf.constant([[3.0, 3.0], [1.0, 0.0], [2.0, 0.0], [6.0, 3.0]])
    prototypes = tfmeta.compute_prototypes(support, tf.constant([2, 0, 2, 2]), 4)
    np.testing.assert_allclose(prototypes[0], [1.0, 0.0])
    np.testing.assert_array_equal(prototypes[1], [0.0, 0.0], "a class without an example")
    np.testing.assert_allclose(prototypes[2], [11.0 / 3.0, 2.0], rtol=1e-6)
    np.testing.assert_array_equal(prototypes[3], [0.0, 0.0])


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_logits_agree_with_naive_loops(random_episodes, offset):
    one = task(random_episodes(n_way=4, k_shot=3, n_query=5, dim=7))
    support, query = one.support_x + offset, one.query_x + offset  # only differences matter
    expected = naive_logits(support.numpy(), one.support_y.numpy(), query.numpy())
    np.testing.assert_allclose(
        tfmeta.prototypical_logits(support, one.support_y, query, 4), expected, rtol=1e-9, atol=1e-9
    )


def test_squared_euclidean_is_never_negative():
    rows = tf.constant(np.random.default_rng(0).normal(100.0, 1e-3, (50, 20)), tf.float32)
    distances = tfmeta.squared_euclidean(rows, rows[:7]).numpy()
    assert distances.shape == (50, 7)
    assert distances.min() >= 0.0


def test_one_shot_is_a_soft_nearest_neighbour_in_squared_distance(random_episodes):
    one = task(random_episodes(n_way=4, k_shot=1, n_query=3))
    probabilities = tf.nn.softmax(tfmeta.prototypical_logits(one.support_x, one.support_y, one.query_x, 4)).numpy()
    for j, q in enumerate(one.query_x.numpy()):
        weights = np.array([np.exp(-np.sum((q - s) ** 2)) for s in one.support_x.numpy()])
        for s, label in enumerate(one.support_y.numpy()):
            assert probabilities[j, label] == pytest.approx(weights[s] / weights.sum(), rel=1e-9)


# -- one task through the encoder -----------------------------------------------------------------------------------
@pytest.mark.slow
def test_query_outputs_are_the_papers_equations_on_embeddings_and_label_blind(stream):
    episodes = first(stream)
    learner, one = warmed(episodes), task(episodes)
    outputs = learner.query_outputs(one).numpy()
    expected = naive_logits(
        embed(learner.encoder, one.support_x).numpy(),
        one.support_y.numpy(),
        embed(learner.encoder, one.query_x).numpy(),
    )
    assert outputs.shape == (12, 3)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(outputs, learner.query_outputs(one._replace(query_y=(one.query_y + 1) % 3)))
    np.testing.assert_array_equal(outputs, learner.query_outputs(one, transductive=False))
    alone = [learner.query_outputs(one._replace(query_x=one.query_x[j : j + 1]))[0] for j in range(12)]
    np.testing.assert_allclose(alone, outputs, rtol=1e-4, atol=1e-4)


def test_the_loss_is_minus_the_log_likelihood(stream):
    episodes = first(stream)
    learner = warmed(episodes)
    found = learner.measure(episodes)
    for i in range(4):
        one = task(episodes, i)
        logits = learner.query_outputs(one).numpy()
        likelihood = np.log(softmax(logits))[np.arange(12), one.query_y.numpy()]
        assert found["loss"][i].numpy() == pytest.approx(-likelihood.mean(), rel=1e-4)
        assert found["accuracy"][i].numpy() == pytest.approx(np.mean(logits.argmax(axis=1) == one.query_y.numpy()))


# -- adapt --------------------------------------------------------------------------------------------------------
def test_an_adapted_model_has_the_head_of_equation_8(stream):
    episodes = first(stream)
    learner, one = warmed(episodes), task(episodes)
    adapted = learner.adapt(one.support_x, one.support_y)
    predicted = adapted.predict(one.query_x, verbose=0)
    np.testing.assert_allclose(softmax(predicted), softmax(learner.query_outputs(one).numpy()), rtol=1e-4, atol=1e-4)
    prototypes = tfmeta.compute_prototypes(embed(learner.encoder, one.support_x), one.support_y, 3).numpy()
    np.testing.assert_allclose(adapted.layers[-1].kernel, 2 * prototypes.T, rtol=1e-6)
    np.testing.assert_allclose(adapted.layers[-1].bias, -np.sum(prototypes**2, axis=1), rtol=1e-6)


def test_adapt_takes_arrays_and_unequal_shots(stream):
    episodes = first(stream)
    learner, one = warmed(episodes), task(episodes)
    keep = [0, 1, 2, 3, 4] if len(set(one.support_y.numpy()[:5])) == 3 else [1, 2, 3, 4, 5]
    x, y = one.support_x.numpy()[keep], one.support_y.numpy()[keep]
    fewer = one._replace(support_x=tf.constant(x), support_y=tf.constant(y))
    predicted = learner.adapt(x.tolist(), y.astype(np.int64).tolist()).predict(one.query_x, verbose=0)
    np.testing.assert_allclose(softmax(predicted), softmax(learner.query_outputs(fewer).numpy()), rtol=1e-4, atol=1e-4)
