"""Ridge regression as the inner loop: by hand, in the limit, and as a linear head."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_is_gradient, contribution, in_graph, smooth_network
from tests.algorithms.pieces import task
from tfmeta.algorithms.ridge import ridge_head


def encoder(**options):
    return smooth_network(n_outputs=4, **options)


def test_the_head_by_hand():
    """Embeddings 1, 0 and 0, 2 of two classes, lambda 1: W = diag(1/2, 2/5)."""
    found = ridge_head(tf.constant([[1.0, 0.0], [0.0, 2.0]]), tf.constant([0, 1]), 2, 1.0)
    np.testing.assert_allclose(found, [[0.5, 0.0], [0.0, 0.4]], rtol=1e-6)


def test_logits_are_those_of_scikit_learn(random_episodes):
    from sklearn.linear_model import Ridge

    one, network = task(random_episodes()), encoder()
    learner = tfmeta.RidgeClassifier(network, initial_strength=0.5, initial_scale=3.0)
    one_hot = np.eye(3)[one.support_y.numpy()]
    model = Ridge(alpha=0.5, fit_intercept=False).fit(network(one.support_x), one_hot)
    np.testing.assert_allclose(learner.query_outputs(one), 3.0 * model.predict(network(one.query_x)), rtol=1e-6)


def test_a_strong_penalty_is_a_prototypical_dot_product(random_episodes):
    """W -> Phi' Y / lambda: the sum of each class's embeddings."""
    one, network = task(random_episodes()), encoder()
    learner = tfmeta.RidgeClassifier(network, initial_strength=1e8, initial_scale=1e8)
    sums = np.eye(3)[one.support_y.numpy()].T @ network(one.support_x).numpy()
    np.testing.assert_allclose(learner.query_outputs(one), network(one.query_x).numpy() @ sums.T, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_gradients_equal_finite_differences(random_episodes):
    one, learner = task(random_episodes()), tfmeta.RidgeClassifier(encoder(batch_norm=True))
    params = tf.nest.flatten(learner.parameters())
    found = contribution(learner, one)
    assert len(found.gradients) == len(learner.encoder.trainable_variables) + 2
    assert_is_gradient(found.gradients, in_graph(lambda p: contribution(learner, one, p).loss), params)


def test_adapt_gives_a_linear_head_that_goes_by_itself(random_episodes):
    one, learner = task(random_episodes()), tfmeta.RidgeClassifier(encoder(), initial_scale=5.0)
    adapted = learner.adapt(one.support_x, one.support_y, class_names=["a", "b", "c"])
    np.testing.assert_allclose(adapted.predict(one.query_x, verbose=0), learner.query_outputs(one), rtol=1e-5)
    assert tfmeta.predict_classes(adapted, one.query_x).names[0] in "abc"


def test_strength_and_scale_are_learned_and_stay_positive(random_episodes):
    learner = tfmeta.RidgeClassifier(encoder(), initial_strength=0.01)
    learner.compile(keras.optimizers.Adam(0.5, weight_decay=0.5))
    before = [float(learner.log_strength), float(learner.log_scale)]
    assert before == pytest.approx([math.log(0.01), math.log(10.0)])
    learner.fit(tf.data.Dataset.from_tensors(random_episodes()), epochs=3, verbose=0)
    after = [float(learner.log_strength), float(learner.log_scale)]
    assert all(a != b for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("name", ["initial_strength", "initial_scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), "1", None, True])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number above 0. Received: {name}={value!r}"):
        tfmeta.RidgeClassifier(encoder(), **{name: value})
