"""PLATIPUS: its limit is MAML, its bound is the paper's, and what is drawn follows the key."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_is_gradient, assert_same, contribution, in_graph, smooth_network
from tests.algorithms.pieces import once, task
from tfmeta import functional
from tfmeta.core.gaussians import gaussian_kl
from tfmeta.tasks.sinusoid import sinusoid_episodes

both_modes = pytest.mark.parametrize("mode", ["nested", "mixed"])


def sure(network, **options):
    """All variances e^-40, and no step from the mean."""
    return tfmeta.PLATIPUS(network, initial_std=math.exp(-20), prior_lr=0.0, posterior_lr=0.0, **options)


@pytest.mark.slow
@both_modes
@pytest.mark.parametrize("first_order", [False, True])
def test_without_variance_and_rates_it_is_maml(random_episodes, mode, first_order):
    network, one = smooth_network(batch_norm=True), task(random_episodes())
    options = {"inner_lr": 0.2, "inner_steps": 2, "gradient_mode": mode, "first_order": first_order}
    learner, maml = sure(network, samples=2, **options), tfmeta.MAML(network, **options)
    found, expected = contribution(learner, one), contribution(maml, one)
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-7)
    n = len(network.trainable_variables)
    assert_same(found.gradients[:n], expected.gradients, rtol=1e-6, atol=1e-7)
    probabilities = tf.nn.softmax(maml.query_outputs(one))
    np.testing.assert_allclose(tf.exp(learner.query_outputs(one)), probabilities, rtol=1e-6)
    # The bound is the loss: the divergence of equal Gaussians is 0.
    value = learner.task_gradient(learner.parameters(), one, tfmeta.training.Run(True, tf.constant(0, tf.int64)))[
        0
    ].value
    assert float(value) == pytest.approx(float(expected.loss), rel=1e-6)


def test_the_bound_is_the_papers(random_episodes):
    """Algorithm 1, written out."""
    network, one = smooth_network(), task(random_episodes())
    learner = tfmeta.PLATIPUS(
        network, inner_lr=0.2, inner_steps=2, kl_weight=0.3, initial_std=0.1, prior_lr=0.05, posterior_lr=0.15
    )
    for i, variable in enumerate([*learner.prior_log_variances, *learner.posterior_log_variances]):
        variable.assign(variable + 0.1 * i)
    mu = functional.values(network.trainable_variables)
    step = lambda x, y, rate: functional.adapt(network, mu, x, y, inner_lr=rate, inner_steps=1)  # noqa: E731
    mu_q, mu_p = step(one.query_x, one.query_y, 0.15), step(one.support_x, one.support_y, 0.05)
    variances = [[v.value for v in group] for group in (learner.posterior_log_variances, learner.prior_log_variances)]
    noise = [
        tf.random.stateless_normal(w.shape, tf.constant([5, i], tf.int64), dtype=w.dtype) for i, w in enumerate(mu)
    ]
    theta = [m + tf.exp(v / 2) * e for m, v, e in zip(mu_q, variances[0], noise, strict=True)]
    phi = functional.adapt(network, theta, one.support_x, one.support_y, inner_lr=0.2, inner_steps=2)
    loss = functional.cross_entropy(one.query_y, functional.forward(network, phi, one.query_x))
    bound = loss + 0.3 * gaussian_kl(mu_q, variances[0], mu_p, variances[1]) / len(one.query_y)
    run = tfmeta.training.Run(True, tf.constant(5, tf.int64))
    found, _ = learner.task_gradient(learner.parameters(), one, run)
    assert float(found.value) == pytest.approx(float(bound), rel=1e-7)
    assert float(found.reported) == pytest.approx(float(loss), rel=1e-7)
    # At test time a start is drawn around the prior's mean, whatever the queries are.
    drawn = [m + tf.exp(v / 2) * e for m, v, e in zip(mu_p, variances[1], noise, strict=True)]
    assert_same(learner.fast_weights(one, inner_steps=0, key=5), drawn, rtol=1e-6, atol=1e-8)  # rates made from float32


def test_equal_sets_rates_and_variances_have_no_divergence(random_episodes):
    one = task(random_episodes())
    same = one._replace(query_x=one.support_x, query_y=one.support_y)
    learner = tfmeta.PLATIPUS(smooth_network(), inner_lr=0.2, inner_steps=1, kl_weight=100.0)
    run = tfmeta.training.Run(True, tf.constant(3, tf.int64))
    found, _ = learner.task_gradient(learner.parameters(), same, run)
    assert float(found.value) == pytest.approx(float(found.reported), rel=1e-12)
    other, _ = learner.task_gradient(learner.parameters(), one, run)
    assert float(other.value) > float(other.reported) + 1e-3


@pytest.mark.slow
@both_modes
@pytest.mark.parametrize("first_order", [False, True])
def test_gradients_equal_finite_differences_for_fixed_noise(random_episodes, mode, first_order):
    one = task(random_episodes())
    options = {"inner_steps": 2, "gradient_mode": mode, "first_order": first_order, "initial_std": 0.1}
    learner = tfmeta.PLATIPUS(smooth_network(), inner_lr=0.2, **options)
    params, run = learner.parameters(), tfmeta.training.Run(True, tf.constant(3, tf.int64))
    flat = tf.nest.flatten(params)

    def bound(values):
        return learner.task_gradient(tf.nest.pack_sequence_as(params, list(values)), one, run)[0].value

    _, gradients = learner.task_gradient(params, one, run)
    gradients = tf.nest.flatten(gradients)
    if not first_order:
        assert_is_gradient(gradients, in_graph(bound), flat, rel=1e-6)
        return
    with pytest.raises(AssertionError):  # gradients of the inner loop are cut
        assert_is_gradient(gradients, in_graph(bound), flat, rel=1e-4)


def test_squared_errors_with_a_noise_are_a_likelihood():
    learner = tfmeta.PLATIPUS(smooth_network(n_outputs=1, dim=1), noise=0.3)
    errors = np.array([0.1, -0.5, 0.7])
    expected = np.mean(0.5 * (errors / 0.3) ** 2 + np.log(0.3 * np.sqrt(2 * np.pi)))
    assert float(learner.negative_log_likelihood(tf.constant(np.mean(errors**2)))) == pytest.approx(expected)
    waves = sinusoid_episodes(k_shot=5, n_query=5, meta_batch_size=2, seed=0)
    unsaid = tfmeta.PLATIPUS(tfmeta.networks.mlp(hidden=(5,)))
    unsaid.compile("adam")
    with pytest.raises(ValueError, match=r"noise must be the standard deviation of the observations.*noise=None"):
        unsaid.fit(waves, steps_per_epoch=1, verbose=0)


def test_noise_is_refused_for_labels(random_episodes):
    learner = tfmeta.PLATIPUS(smooth_network(), noise=0.3)
    learner.compile("adam")
    with pytest.raises(ValueError, match=r"noise is that of targets, and must be None for labels. Received: noise=0.3"):
        learner.fit(once(random_episodes()), verbose=0)


def test_it_begins_where_a_maml_has_come_to():
    waves = sinusoid_episodes(k_shot=5, n_query=5, meta_batch_size=2, seed=0)
    maml = tfmeta.MAML(tfmeta.networks.mlp(hidden=(10,)), inner_lr=0.02, inner_steps=2, loss="mse")
    maml.compile("adam")
    maml.fit(waves, steps_per_epoch=3, verbose=0)
    learner = tfmeta.PLATIPUS.from_learner(maml, noise=0.3, samples=2)
    assert (learner.inner_lr, learner.inner_steps, learner.samples) == (0.02, 2, 2)
    assert learner.loss_function is maml.loss_function
    before = [v.numpy() for v in maml.network.trainable_variables]
    assert_same([v.numpy() for v in learner.network.trainable_variables], before, rtol=0)
    learner.compile("adam")
    learner.fit(waves, steps_per_epoch=2, verbose=0)
    assert_same([v.numpy() for v in maml.network.trainable_variables], before, rtol=0)
    with pytest.raises(TypeError, match=r"must be a MAML or have an inner_lr as it has. Received: learner of type str"):
        tfmeta.PLATIPUS.from_learner("maml")
    with pytest.raises(TypeError, match="Received: learner of type PrototypicalNetwork"):
        tfmeta.PLATIPUS.from_learner(tfmeta.PrototypicalNetwork(smooth_network()))


def test_models_of_a_task_differ_and_their_mean_is_what_adapt_gives(random_episodes):
    one = task(random_episodes())
    learner = tfmeta.PLATIPUS(smooth_network(), inner_lr=0.2, samples=4, initial_std=0.3)
    models = tfmeta.sample_adapted(learner, one.support_x, one.support_y)
    each = np.stack([tf.nn.softmax(model.predict(one.query_x, verbose=0)) for model in models])
    assert len(models) == 4
    assert np.ptp(each, axis=0).max() > 0.01
    adapted = learner.adapt(one.support_x, one.support_y)
    np.testing.assert_allclose(np.exp(adapted.predict(one.query_x, verbose=0)), each.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(np.exp(learner.query_outputs(one)), each.mean(axis=0), rtol=1e-4)
    learner.samples = 2
    assert len(tfmeta.sample_adapted(learner, one.support_x, one.support_y)) == 2
    with pytest.raises(TypeError, match=r"must have several models for a task.*Received: learner=MAML with one"):
        tfmeta.sample_adapted(tfmeta.MAML(smooth_network()), one.support_x, one.support_y)


@pytest.mark.parametrize(
    "options",
    [{"samples": 0}, {"kl_weight": -1.0}, {"initial_std": 0.0}, {"noise": 0.0}, {"prior_lr": -0.1},
     {"posterior_lr": "fast"}, {"gradient_mode": "other"}, {"first_order": 1}, {"inner_lr": None}],
)  # fmt: skip
def test_bad_settings_are_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name} must be .*Received: {name}={value!r}"):
        tfmeta.PLATIPUS(smooth_network(), **options)


def test_it_learns_waves_from_a_maml():
    keras.utils.set_random_seed(0)
    sizes = {"k_shot": 5, "n_query": 10, "meta_batch_size": 8}
    maml = tfmeta.MAML(tfmeta.networks.mlp(hidden=(20,)), inner_lr=0.02, inner_steps=2)
    maml.compile(keras.optimizers.Adam(5e-3))
    maml.fit(sinusoid_episodes(**sizes, seed=0), steps_per_epoch=100, verbose=0)
    learner = tfmeta.PLATIPUS.from_learner(maml, noise=0.5, samples=3, kl_weight=0.1)
    learner.compile(keras.optimizers.Adam(2e-3))
    test = sinusoid_episodes(**sizes, seed=1).take(5)
    before = tfmeta.evaluate(learner, test, details=True)
    rates = [float(rate) for rate in learner.rates]
    learner.fit(sinusoid_episodes(**sizes, seed=2), steps_per_epoch=150, verbose=0)
    gain = before.losses - tfmeta.evaluate(learner, test, details=True).losses
    assert gain.mean() > 0
    assert all(float(rate) != old for rate, old in zip(learner.rates, rates, strict=True))
