"""Matching networks: the mathematics, gradients, `adapt`, training, saving, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import network
from tests.algorithms.pieces import first, once, task
from tfmeta.algorithms import matching
from tfmeta.core import distances as similarity
from tfmeta.training import copies
from tfmeta.training.comparison import embed

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}


def small(seed=0, **options):
    keras.utils.set_random_seed(seed)
    learner = tfmeta.MatchingNetwork(network(head=False), **options)
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    return learner


def warmed(episodes, **options):
    """A learner whose moving averages fit the images: before training its embeddings would all but coincide."""
    learner = small(**options)
    copies.set_batch_norm_statistics(learner.encoder, tf.reshape(episodes.query_x, (-1, 16, 16, 1)))
    return learner


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


def naive_probabilities(support, labels, query, scale, distance="cosine"):
    """Equation 1 with loops over numbers."""
    probabilities = np.zeros((len(query), int(labels.max()) + 1))
    for j, q in enumerate(query):
        if distance == "cosine":
            lengths = [np.sqrt((q @ q) * (s @ s)) for s in support]
            near = [scale * q @ s / length if length > 0 else 0.0 for s, length in zip(support, lengths, strict=True)]
        else:
            near = [-scale * sum((a - b) ** 2 for a, b in zip(q, s, strict=True)) for s in support]
        weights = [np.exp(value - max(near)) for value in near]
        for weight, label in zip(weights, labels, strict=True):
            probabilities[j, label] += weight / sum(weights)
    return probabilities


# -- the functions -------------------------------------------------------------------------------------------------
def test_attention_by_hand():
    """Right angles and the same direction: cosines 0 and 1, whatever the lengths."""
    support = tf.constant([[2.0, 0.0], [0.0, 3.0], [5.0, 0.0]])
    found = np.exp(tfmeta.cosine_attention(support, tf.constant([0, 1, 1]), tf.constant([[0.0, 7.0], [1.0, 0.0]]), 2))
    total = 1 + 2 * np.e
    expected = [[1 / (2 + np.e), (1 + np.e) / (2 + np.e)], [np.e / total, (1 + np.e) / total]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("scale", [0.3, 1.0, 20.0])
def test_probabilities_agree_with_naive_loops_for_unequal_shots(random_episodes, distance, scale):
    one = task(random_episodes(n_way=4, k_shot=3, n_query=5, dim=7))
    keep = np.array([i for i in range(12) if i not in np.flatnonzero(one.support_y.numpy() == 2)[:2]])
    support, labels = tf.gather(one.support_x, keep), tf.gather(one.support_y, keep)
    near = scale * similarity.similarity(one.query_x, support, distance)
    found = np.exp(matching.attention_log_probabilities(near, labels, 4))
    expected = naive_probabilities(support.numpy(), labels.numpy(), one.query_x.numpy(), scale, distance)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    if distance == "cosine":
        attention = tfmeta.cosine_attention(support, labels, one.query_x, 4, tf.constant(scale, tf.float64))
        np.testing.assert_allclose(np.exp(attention), expected, rtol=1e-9)


def test_one_item_a_class_is_a_softmax_of_cosines_and_of_distances(random_episodes):
    one = task(random_episodes(n_way=4, k_shot=1, n_query=3))
    cosines = similarity.cosine_similarity(one.query_x, one.support_x)
    sorted_ = tf.gather(cosines, tf.argsort(one.support_y), axis=1)  # a column per class
    attention = tfmeta.cosine_attention(one.support_x, one.support_y, one.query_x, 4, tf.constant(7.0, tf.float64))
    np.testing.assert_allclose(np.exp(attention), tf.nn.softmax(7.0 * sorted_), rtol=1e-12)
    prototypical = tf.nn.softmax(tfmeta.prototypical_logits(one.support_x, one.support_y, one.query_x, 4))
    near = similarity.similarity(one.query_x, one.support_x, "euclidean")
    found = np.exp(matching.attention_log_probabilities(near, one.support_y, 4))
    np.testing.assert_allclose(found, prototypical, rtol=1e-9)


def test_far_classes_zero_vectors_and_empty_classes_have_finite_values_and_gradients():
    far = tf.Variable([[-1.0, -5000.0, -9000.0]])
    labels = tf.constant([0, 1, 3])  # nobody in class 2
    with tf.GradientTape() as tape:
        found = matching.attention_log_probabilities(far, labels, 4)
        loss = -found[0, 3]
    np.testing.assert_allclose(found.numpy()[0, [0, 1, 3]], [0.0, -4999.0, -8999.0])
    assert found.numpy()[0, 2] == pytest.approx(np.log(np.finfo(np.float32).tiny))
    np.testing.assert_allclose(tape.gradient(loss, far), [[1.0, 0.0, -1.0]], atol=1e-6)
    zero = tf.zeros([1, 3])
    with tf.GradientTape() as tape:
        tape.watch(zero)
        cosine = similarity.cosine_similarity(zero, tf.ones([1, 3]))
    assert cosine.numpy() == 0.0
    assert np.all(np.isfinite(tape.gradient(cosine, zero)))


# -- the learner ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"distance": "euclidean", "scale": 50.0, "learn_scale": False}])
def test_query_outputs_are_equation_1_on_embeddings_and_label_blind(stream, options):
    episodes = first(stream)
    learner, one = warmed(episodes, **options), task(episodes)
    support, query = (embed(learner.encoder, x).numpy().astype(np.float64) for x in (one.support_x, one.query_x))
    outputs = learner.query_outputs(one).numpy()
    expected = naive_probabilities(support, one.support_y.numpy(), query, options.get("scale", 10.0), learner.distance)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(np.exp(outputs), expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(outputs, learner.query_outputs(one._replace(query_y=(one.query_y + 1) % 3)))


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_train_step_is_the_mean_gradient_by_finite_differences_scale_included(random_episodes, distance):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [keras.Input((6,), dtype="float64")]
        + [keras.layers.Dense(n, activation=a, dtype="float64") for n, a in ((5, "tanh"), (4, None))]
    )
    learner = tfmeta.MatchingNetwork(encoder, scale=2.0, distance=distance)
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    episodes = random_episodes(batch=3)
    variables = [*encoder.trainable_variables, learner.log_scale]
    start = [np.array(v) for v in variables]
    assert start[-1] == pytest.approx(np.log(2.0), rel=1e-7)

    def loss(changed):
        (W, b, V, c, log_scale), total = changed, 0.0
        for i in range(3):
            one = task(episodes, i)
            support, query = (np.tanh(x.numpy() @ W + b) @ V + c for x in (one.support_x, one.query_x))
            found = naive_probabilities(support, one.support_y.numpy(), query, np.exp(log_scale), distance)
            total -= np.mean(np.log(found[np.arange(len(query)), one.query_y.numpy()]))
        return total / 3

    reported = learner.fit(once(episodes), verbose=0).history["loss"][0]
    assert reported == pytest.approx(loss(start), rel=1e-5)
    for k, (old, new) in enumerate(zip(start, [v.numpy() for v in variables], strict=True)):
        expected = np.zeros_like(old)
        for index in np.ndindex(old.shape):
            ends = []
            for h in (1e-5, -1e-5):
                moved = [np.array(w) for w in start]
                moved[k][index] += h
                ends.append(loss(moved))
            expected[index] = (ends[0] - ends[1]) / 2e-5
        # Distances do not depend on the last bias, and on it alone.
        assert (np.abs(expected).max() > 1e-4) == (distance == "cosine" or k != 3)
        np.testing.assert_allclose(old - new, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"scale": 1.0, "learn_scale": False}, {"distance": "euclidean"}])
def test_the_scale_is_learned_unless_it_is_fixed_and_saved_and_adapted_with_its_learner(stream, tmp_path, options):
    episodes = first(stream)
    learner, one = warmed(episodes, name="mine", **options), task(episodes)
    for _ in range(2):
        learner.outer_step(episodes)
    if options.get("learn_scale", True):
        assert abs(np.exp(learner.log_scale.numpy()) - learner.scale) > 1e-3
    else:
        assert learner.log_scale is None
    outputs = learner.query_outputs(one)
    np.testing.assert_allclose(learner.adapt(one.support_x, one.support_y)(one.query_x), outputs, rtol=1e-4, atol=1e-4)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert (type(loaded), loaded.name, loaded.options()["scale"]) == (tfmeta.MatchingNetwork, "mine", learner.scale)
    np.testing.assert_array_equal(loaded.query_outputs(one), outputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "manhattan"}, r"distance must be 'cosine' or 'euclidean'. Received: distance='manhattan'"),
        ({"scale": 0.0}, r"scale must be a number above 0. Received: scale=0.0"),
        ({"scale": -1}, r"scale must be a number above 0. Received: scale=-1"),
        ({"processing_steps": 1.5}, r"processing_steps must be a whole number.*Received: processing_steps=1.5"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
