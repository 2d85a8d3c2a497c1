"""Meta-SGD: a rate for every weight, learned."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import (
    assert_is_gradient,
    assert_same,
    contribution,
    in_graph,
    smooth_network,
)
from tests.algorithms.pieces import task
from tfmeta import functional

both_modes = pytest.mark.parametrize("mode", ["nested", "mixed"])


def rates_of(learner):
    return [rate.numpy() for rate in learner.rates]


# -- the limit: one constant rate is MAML ------------------------------------------------------------------------------
@pytest.mark.slow
@both_modes
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_constant_rates_are_maml(random_episodes, mode, inner_steps):
    network, one = smooth_network(batch_norm=True), task(random_episodes())
    options = {"inner_steps": inner_steps, "gradient_mode": mode}
    meta_sgd, maml = (
        tfmeta.MetaSGD(network, initial_rates=0.25, **options),
        tfmeta.MAML(network, inner_lr=0.25, **options),
    )
    assert all(np.all(rate == 0.25) for rate in rates_of(meta_sgd))
    np.testing.assert_allclose(meta_sgd.query_outputs(one), maml.query_outputs(one), rtol=1e-12)
    assert_same(meta_sgd.fast_weights(one), maml.fast_weights(one), rtol=1e-12)
    found = contribution(meta_sgd, one)
    expected = contribution(maml, one)
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-12)
    n = len(network.trainable_variables)
    assert_same(found.gradients[:n], expected.gradients, rtol=1e-9, atol=1e-14)
    # One rate for all: the derivative with respect to it is the sum over all rates.
    total = sum(float(tf.reduce_sum(g)) for g in found.gradients[n:])
    theta = functional.values(network.trainable_variables)

    def loss(moved):
        return float(
            functional.meta_gradient(
                network, theta, one, inner_lr=float(moved[0]), inner_steps=inner_steps, loss=maml.loss_of
            ).loss
        )

    assert_is_gradient([np.array(total)], loss, [np.array(0.25)])


def test_one_step_by_hand():
    """A linear model f(x) = w x: w' = w - alpha dL/dw; dL_query/dalpha = -dL_query/dw' dL_support/dw."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    network.set_weights([np.array([[2.0]])])
    learner = tfmeta.MetaSGD(network, initial_rates=0.1)
    episode = tfmeta.Episode(*(tf.constant([[v]]) for v in (1.0, 5.0, 2.0, 3.0)))
    # Support: (w - 5)^2, slope 2 (2 - 5) = -6, so w' = 2.6. Query: (2 w' - 3)^2, slope 4 (5.2 - 3) = 8.8.
    result = contribution(learner, episode)
    assert float(result.loss) == pytest.approx(2.2**2)
    assert result.gradients[0].numpy().item() == pytest.approx(8.8 * (1 - 0.1 * 2))
    assert result.gradients[1].numpy().item() == pytest.approx(-8.8 * -6)
    assert learner.fast_weights(episode)[0].numpy().item() == pytest.approx(2.6)
    learner.compile(optimizer=keras.optimizers.SGD(1e-3))
    learner.train_on_batch(tfmeta.Episode(*(tensor[None] for tensor in episode)))
    assert learner.rates[0].numpy().item() == pytest.approx(0.1 - 1e-3 * 8.8 * 6)
    assert network.get_weights()[0].item() == pytest.approx(2.0 - 1e-3 * 8.8 * 0.8)


# -- the gradient ------------------------------------------------------------------------------------------------------
@both_modes
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_gradient_of_weights_and_rates_equals_finite_differences(random_episodes, mode, batch_norm, inner_steps):
    network, one = smooth_network(batch_norm=batch_norm), task(random_episodes())
    learner = tfmeta.MetaSGD(network, initial_rates=(0.1, 0.5), inner_steps=inner_steps, gradient_mode=mode)
    learner.rates[0].assign(-learner.rates[0])  # rates may come out negative
    params = functional.values(learner.meta_variables)
    result = contribution(learner, one, params)
    n = len(network.trainable_variables)

    def loss(moved):  # the paper's equation, without the learner
        fast = functional.adapt(
            network, moved[:n], one.support_x, one.support_y, inner_lr=list(moved[n:]), inner_steps=inner_steps
        )
        return functional.cross_entropy(one.query_y, functional.forward(network, fast, one.query_x))

    assert float(result.loss) == pytest.approx(float(loss(params)), rel=1e-12)
    assert_is_gradient(result.gradients, in_graph(loss), params)


@pytest.mark.slow
def test_modes_train_alike(random_episodes):
    ends = []
    for mode in ("nested", "mixed"):
        learner = tfmeta.MetaSGD(smooth_network(), initial_rates=0.3, inner_steps=2, gradient_mode=mode)
        learner.compile(optimizer=keras.optimizers.SGD(0.5))
        for seed in range(3):
            learner.train_on_batch(random_episodes(seed=seed))
        ends.append([v.numpy() for v in learner.meta_variables])
    assert_same(*ends, rtol=1e-8, atol=1e-12)


def test_train_step_applies_the_mean_of_the_tasks_gradients_to_weights_and_rates(random_episodes):
    learner, episodes = tfmeta.MetaSGD(smooth_network(), initial_rates=(0.1, 0.5)), random_episodes()
    params = functional.values(learner.meta_variables)
    each = [contribution(learner, task(episodes, i), params) for i in range(4)]
    expected = [np.mean(g, axis=0) for g in zip(*(r.gradients for r in each), strict=True)]
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    learner.train_on_batch(episodes)
    moved = [old - new.numpy() for old, new in zip(params, learner.meta_variables, strict=True)]
    assert_same(moved, expected, rtol=1e-9, atol=1e-13)
    assert all(np.abs(step).max() > 1e-6 for step in moved)


# -- rates -------------------------------------------------------------------------------------------------------------
def test_rates_of_the_wrong_number_or_size_are_refused(random_episodes):
    network, one = smooth_network(), task(random_episodes())
    params = functional.values(network.trainable_variables)
    right = [tf.fill(w.shape, tf.constant(0.1, tf.float64)) for w in params]

    def call(rates, mode="nested"):
        return functional.meta_gradient(network, params, one, inner_lr=rates, inner_steps=1, gradient_mode=mode)

    for mode in ("nested", "mixed"):
        with pytest.raises(ValueError, match=r"each of the 4 adapted parameter tensors. Received: inner_lr with 3"):
            call(right[:3], mode)
        for wrong in (tf.ones([5], tf.float64), tf.ones([5, 6], tf.float64), tf.ones([1], tf.float64)):
            with pytest.raises(ValueError, match=r"its parameter tensor, \(6, 5\). Received: inner_lr\[0\] with"):
                call([wrong, *right[1:]], mode)
        assert len(call(right, mode).rate_gradients) == 4


@pytest.mark.slow
def test_rates_move_in_training_and_are_saved_apart_from_the_weights(random_episodes, tmp_path):
    network = smooth_network(dtype="float32", batch_norm=True)
    learner = tfmeta.MetaSGD(network, initial_rates=(0.01, 0.2), inner_steps=2, gradient_mode="mixed")
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    start = rates_of(learner)
    for seed in range(5):
        learner.train_on_batch(random_episodes(seed=seed, dtype=np.float32))
    assert all(np.abs(old - new).min() > 0 for old, new in zip(start, rates_of(learner), strict=True))
    assert len(learner.trainable_variables) == 2 * len(network.trainable_variables)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert_same(rates_of(loaded), rates_of(learner), rtol=0)
    assert (loaded.initial_rates, loaded.gradient_mode, loaded.inner_steps) == ([0.01, 0.2], "mixed", 2)
    one = task(random_episodes(dtype=np.float32))
    np.testing.assert_array_equal(loaded.query_outputs(one), learner.query_outputs(one))
    # An adapted model is an ordinary network: it has weights and no rates.
    adapted = learner.adapt(one.support_x, one.support_y)
    assert [v.shape for v in adapted.variables] == [v.shape for v in network.variables]


def test_evaluation_follows_the_rates_of_the_moment(random_episodes):
    """A graph that is kept must read the rates anew."""
    learner, episodes = tfmeta.MetaSGD(smooth_network(), initial_rates=0.3), random_episodes()
    learner.compile()
    first = tfmeta.adaptation_curve(learner, episodes, 2).mean["query_loss"]
    for rate in learner.rates:
        rate.assign(tf.zeros_like(rate))
    still = tfmeta.adaptation_curve(learner, episodes, 2).mean["query_loss"]
    assert still[0] == first[0] == still[1] == still[2]
    assert abs(first[2] - first[0]) > 1e-3


def test_rates_start_uniform_between_low_and_high_from_kerass_seed():
    def draw(seed, **options):
        network = smooth_network(dim=40, hidden=50)
        keras.utils.set_random_seed(seed)
        return rates_of(tfmeta.MetaSGD(network, **options))

    rates = draw(0)
    assert [rate.shape for rate in rates] == [(40, 50), (50,), (50, 3), (3,)]
    joined = np.concatenate([rate.ravel() for rate in rates])
    assert 0.005 <= joined.min() < 0.006
    assert 0.099 < joined.max() <= 0.1
    # 2203 draws of U[0.005, 0.1]: mean and quarters within four standard errors.
    assert joined.mean() == pytest.approx(0.0525, abs=4 * 0.095 / np.sqrt(12 * 2203))
    quarters, _ = np.histogram(joined, bins=4, range=(0.005, 0.1))
    np.testing.assert_allclose(quarters / 2203, 0.25, atol=4 * np.sqrt(0.25 * 0.75 / 2203))
    assert_same(draw(0), rates, rtol=0)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(draw(1), rates, strict=True))
    wide = np.concatenate([rate.ravel() for rate in draw(0, initial_rates=(1, 2))])
    assert 1 <= wide.min() < wide.max() <= 2


def test_tensors_of_the_same_shape_start_with_rates_of_their_own():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(6) for _ in range(2)]
    learner = tfmeta.MetaSGD(keras.Sequential([keras.Input((6,)), *layers]))
    assert np.abs(learner.rates[0].numpy() - learner.rates[2].numpy()).min() > 0


def test_initial_rates_of_a_number_or_a_range():
    network = smooth_network()
    assert tfmeta.MetaSGD(network, initial_rates=0).initial_rates == [0.0, 0.0]
    assert tfmeta.MetaSGD(network, initial_rates=np.float32(0.5)).initial_rates == [0.5, 0.5]
    assert tfmeta.MetaSGD(network, initial_rates=np.array([0.25, 0.5])).initial_rates == [0.25, 0.5]


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ((0.1,), r"one number or \(low, high\). Received: initial_rates=\(0.1,\)"),
        ((0.1, 0.2, 0.3), r"one number or \(low, high\). Received: initial_rates=\(0.1, 0.2, 0.3\)"),
        ((0.2, 0.1), r"low <= high. Received: initial_rates=\(0.2, 0.1\)"),
        (-0.1, r"number of at least 0. Received: initial_rates=-0.1"),
        ((-0.1, 0.1), r"number of at least 0. Received: initial_rates=-0.1"),
        ((0.1, float("inf")), r"Received: initial_rates=inf"),
        (float("nan"), r"Received: initial_rates=nan"),
        (None, r"Received: initial_rates=None"),
        ("a", r"Received: initial_rates='a'"),
        (("a", "b"), r"Received: initial_rates='a'"),
        (True, r"Received: initial_rates=True"),
    ],
)
def test_bad_initial_rates_are_named(rates, message):
    with pytest.raises(ValueError, match=message):
        tfmeta.MetaSGD(smooth_network(), initial_rates=rates)
