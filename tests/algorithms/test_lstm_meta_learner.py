"""The LSTM meta-learner: its limit is FOMAML, the start can be left alone, a query by itself has the support's norm."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, contribution, largest_difference, smooth_network
from tests.algorithms.pieces import first, once, task, two_blocks
from tfmeta.tasks.sinusoid import sinusoid_episodes

RATE = 0.2


def fixed(network, **options):
    """Gates that read nothing: all of a weight is kept, a constant share of its gradient is let in."""
    learner = tfmeta.LSTMMetaLearner(network, units=3, initial_forget=40.0, **options)
    for gate in (learner.rule[3], learner.rule[5]):
        gate.assign(tf.zeros_like(gate))
    # Not as `initial_gain`, which Keras rounds to float32.
    learner.rule[6].assign(tf.constant(math.log(RATE / (1 - RATE)), learner.rule[6].dtype))
    return learner


@pytest.mark.parametrize("batch_norm", [False, True])
def test_fixed_gates_are_fomaml(random_episodes, batch_norm):
    network, one = smooth_network(batch_norm=batch_norm), task(random_episodes())
    learner = fixed(network, inner_steps=3)
    fomaml = tfmeta.MAML(network, inner_lr=RATE, inner_steps=3, first_order=True)
    assert_same(learner.fast_weights(one), fomaml.fast_weights(one), rtol=1e-12)
    found, expected = contribution(learner, one), contribution(fomaml, one)
    n = len(network.trainable_variables)
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-12)
    assert_same(found.gradients[:n], expected.gradients, rtol=1e-9, atol=1e-14)
    exact = contribution(tfmeta.MAML(network, inner_lr=RATE, inner_steps=3), one)
    assert largest_difference(found.gradients[:n], exact.gradients) > 1e-4


def test_the_rule_and_the_start_are_learned_and_the_start_can_be_left_alone(random_episodes):
    episodes = random_episodes()
    for learn_start in (True, False):
        network = smooth_network()
        learner = tfmeta.LSTMMetaLearner(network, units=3, inner_steps=2, learn_start=learn_start)
        assert sorted(learner.parameters()) == (["network", "rule"] if learn_start else ["rule"])
        learner.compile(keras.optimizers.Adam(0.01))
        before = [v.numpy() for v in (*network.trainable_variables, *learner.rule)]
        learner.fit(once(episodes), verbose=0, epochs=2)
        after = [v.numpy() for v in (*network.trainable_variables, *learner.rule)]
        n = len(network.trainable_variables)
        assert (largest_difference(before[:n], after[:n]) > 0) == learn_start
        assert all(np.any(a != b) for a, b in zip(before[n:], after[n:], strict=True))


def test_the_gates_start_where_they_are_said_to():
    keras.utils.set_random_seed(0)
    learner = tfmeta.LSTMMetaLearner(smooth_network(), initial_gain=(-3.0, -2.0))
    kernel, recurrent, bias, forget, forget_bias, gain, gain_bias = (v.numpy() for v in learner.rule)
    assert [v.shape for v in (kernel, recurrent, bias, forget, gain)] == [(4, 80), (20, 80), (80,), (22,), (22,)]
    assert 4 <= forget_bias <= 5
    assert -3 <= gain_bias <= -2
    assert all(0 < np.abs(v).max() <= 0.01 for v in (kernel, recurrent, bias, forget, gain))


def test_a_query_by_itself_has_the_statistics_of_its_support_set(tiny):
    episodes = first(tfmeta.episode_dataset(tiny, n_way=3, k_shot=2, n_query=4, meta_batch_size=2, seed=0))
    one = task(episodes)
    learner = tfmeta.LSTMMetaLearner(two_blocks(3, input_shape=one.support_x.shape[1:]), units=3, inner_steps=2)
    together = learner.query_outputs(one)
    alone = learner.query_outputs(one, transductive=False)
    assert np.abs(together - alone).max() > 1e-4
    np.testing.assert_allclose(
        alone, learner.adapt(one.support_x, one.support_y).predict(one.query_x, verbose=0), rtol=1e-4, atol=1e-6
    )
    # Whatever comes with it.
    fewer = tfmeta.Episode(one.support_x, one.support_y, one.query_x[:5], one.query_y[:5])
    np.testing.assert_allclose(learner.query_outputs(fewer, transductive=False), alone[:5], rtol=1e-4, atol=1e-6)
    assert learner.batch_norm_mode(transductive=False) == "statistics of the support set"
    moving = [v.numpy() for v in learner.network.non_trainable_variables]
    learner.query_outputs(one, transductive=False)
    assert_same(moving, [v.numpy() for v in learner.network.non_trainable_variables])


def test_it_learns_sine_waves():
    keras.utils.set_random_seed(0)
    learner = tfmeta.LSTMMetaLearner(tfmeta.networks.mlp(hidden=(20,)), units=5, inner_steps=3)
    learner.compile(keras.optimizers.Adam(5e-3, global_clipnorm=1.0))
    options = {"k_shot": 10, "n_query": 10}
    test = sinusoid_episodes(**options, meta_batch_size=25, seed=1).take(2)
    before = tfmeta.evaluate(learner, test, details=True)
    learner.fit(sinusoid_episodes(**options, meta_batch_size=4, seed=0), steps_per_epoch=150, epochs=1, verbose=0)
    gain = before.losses - tfmeta.evaluate(learner, test, details=True).losses  # of the same tasks
    assert gain.mean() > tfmeta.evaluation.confidence_interval(gain)
    curve = tfmeta.adaptation_curve(learner, test, inner_steps=6)
    assert curve.mean["query_loss"][3] < curve.mean["query_loss"][0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": 0}, "units must be a whole number of at least 1. Received: units=0"),
        ({"learn_start": "yes"}, "learn_start"),
        (
            {"initial_gain": (2.0, 1.0)},
            r"initial_gain must be one number or \(low, high\).*Received: initial_gain=\(2.0, 1.0\)",
        ),
        ({"initial_forget": "open"}, "initial_forget must be one number or"),
        ({"initial_forget": float("nan")}, "initial_forget must be one number or"),
        ({"initial_gain": (1.0, 2.0, 3.0)}, "initial_gain must be one number or"),
    ],
)
def test_bad_settings_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        tfmeta.LSTMMetaLearner(smooth_network(), **options)
