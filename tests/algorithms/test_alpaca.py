"""ALPaCA: an exact posterior for each task, a prior that is learned, and a variance that means something."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_is_gradient, contribution, in_graph, smooth_network
from tests.algorithms.pieces import task
from tfmeta.tasks.sinusoid import sinusoid_episodes

SIZES = {"k_shot": 4, "n_query": 6, "meta_batch_size": 3}


def regressor(**options):
    return tfmeta.BayesianLinearRegressor(smooth_network(n_outputs=3, dim=1), **options)


def waves(seed=0, **sizes):
    return next(iter(sinusoid_episodes(**(SIZES | sizes), seed=seed)))


def first_points(one, n):
    return one._replace(support_x=one.support_x[:n], support_y=one.support_y[:n])


def as_float64(episode):
    return tfmeta.Episode(*(tf.cast(t, tf.float64) for t in episode))


def features(learner, x):
    found = learner.encoder(x).numpy()
    return np.concatenate([found, np.ones((len(found), 1))], axis=1)


def spoil(learner):
    rng = np.random.default_rng(0)
    learner.prior_mean.assign(rng.normal(size=learner.prior_mean.shape))
    learner.prior_root.assign(learner.prior_root + 0.3 * rng.normal(size=learner.prior_root.shape))


def test_prediction_and_loss_are_the_papers():
    """Posterior, prediction and loss in NumPy."""
    learner, one = regressor(noise=0.3, initial_precision=2.0), as_float64(task(waves()))
    spoil(learner)
    phi, queries = features(learner, one.support_x), features(learner, one.query_x)
    root = np.tril(learner.prior_root.numpy())
    precision = root @ root.T + phi.T @ phi
    mean = np.linalg.solve(precision, root @ root.T @ learner.prior_mean.numpy() + phi.T @ one.support_y.numpy())
    spread = 0.09 * (1 + np.einsum("nd,de,ne->n", queries, np.linalg.inv(precision), queries))[:, None]
    np.testing.assert_allclose(learner.query_outputs(one), queries @ mean, rtol=1e-8)
    found = tfmeta.evaluation.predictive(learner, one)
    np.testing.assert_allclose(found.mean, queries @ mean, rtol=1e-8)
    np.testing.assert_allclose(found.variance, spread, rtol=1e-8)
    errors = one.query_y.numpy() - queries @ mean
    expected = np.mean(0.5 * np.log(2 * np.pi * spread) + 0.5 * errors**2 / spread)
    run = tfmeta.training.Run(True, tf.constant(0, tf.int64))
    bound, _ = learner.task_gradient(learner.parameters(), one, run)
    assert float(bound.value) == pytest.approx(expected, rel=1e-8)
    assert float(bound.reported) == pytest.approx(np.mean(errors**2), rel=1e-8)
    adapted = learner.adapt(one.support_x, one.support_y)
    np.testing.assert_allclose(adapted.predict(one.query_x, verbose=0), queries @ mean, rtol=1e-5)


def test_a_prior_that_is_sure_is_what_it_says_and_points_narrow_the_variance():
    one = as_float64(task(waves()))
    sure = regressor(noise=0.1, initial_precision=1e12)
    np.testing.assert_allclose(sure.query_outputs(one), sure(one.query_x), atol=1e-8)
    learner = regressor(noise=0.1)
    few, all_ = (tfmeta.evaluation.predictive(learner, first_points(one, n)) for n in (1, 4))
    assert (all_.variance <= few.variance + 1e-12).all()
    assert (all_.variance > 0.01).all()


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"noise": 0.2}, {"fewest_points": 0}])
def test_gradients_equal_finite_differences(options):
    one, learner = as_float64(task(waves())), regressor(**options)
    spoil(learner)
    params = tf.nest.flatten(learner.parameters())
    run = tfmeta.training.Run(True, tf.constant(5, tf.int64))
    groups = learner.parameters()

    def bound(values):
        return learner.task_gradient(tf.nest.pack_sequence_as(groups, list(values)), one, run)[0].value

    found = tf.nest.flatten(learner.task_gradient(groups, one, run)[1])
    assert len(found) == len(learner.encoder.trainable_variables) + (2 if "noise" in options else 3)
    assert_is_gradient(found, in_graph(bound), params, rel=1e-6)
    assert contribution(learner, one).query_outputs.shape == (6, 1)


def test_random_numbers_of_points_in_training_alone():
    one, learner = as_float64(task(waves())), regressor(noise=0.2, fewest_points=1)
    params, counts = learner.parameters(), []
    fewer = [first_points(one, n) for n in range(1, 5)]
    exact = [
        learner.method.outputs(
            learner.method.start(params, e, tfmeta.training.Run()), one.query_x, tfmeta.training.Run(), 0
        )
        for e in fewer
    ]
    for key in range(40):
        run = tfmeta.training.Run(True, tf.constant(key, tf.int64))
        found, _ = learner.task_gradient(params, one, run)
        same = [np.allclose(found.outputs, outputs, rtol=1e-8) for outputs in exact]
        assert sum(same) == 1
        counts.append(same.index(True) + 1)
    assert set(counts) == {1, 2, 3, 4}
    np.testing.assert_allclose(learner.query_outputs(one), exact[-1], rtol=1e-10)


def test_it_learns_waves_and_how_sure_to_be():
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((1,)), *(keras.layers.Dense(16, activation="tanh") for _ in range(2))])
    learner = tfmeta.BayesianLinearRegressor(encoder, noise=0.1)
    learner.compile(keras.optimizers.Adam(1e-2))
    test = waves(seed=1, meta_batch_size=40, n_query=20)

    def judged():
        found = [tfmeta.evaluation.predictive(learner, task(test, i)) for i in range(40)]
        errors = np.stack([test.query_y[i] - one.mean for i, one in enumerate(found)])
        spread = np.stack([one.variance for one in found])
        return np.mean(errors**2), np.mean(0.5 * np.log(2 * np.pi * spread) + 0.5 * errors**2 / spread)

    before = judged()
    learner.fit(sinusoid_episodes(**(SIZES | {"meta_batch_size": 8}), seed=0), steps_per_epoch=200, verbose=0)
    after = judged()
    assert after[0] < 0.5 * before[0]
    assert after[1] < 0.5 * before[1]


def test_save_and_load_are_exact_and_training_goes_on_equally(tmp_path):
    learner = tfmeta.BayesianLinearRegressor(tfmeta.networks.mlp(4, hidden=(8,)), fewest_points=1, name="curves")
    learner.compile(keras.optimizers.Adam(1e-2))
    data = tf.data.Dataset.from_tensors(waves())
    learner.fit(data, epochs=2, verbose=0)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    np.testing.assert_array_equal(loaded.query_outputs(task(waves())), learner.query_outputs(task(waves())))
    for one in (learner, loaded):
        one.fit(data, epochs=2, verbose=0)
    for mine, theirs in zip(learner.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (loaded.label, loaded.fewest_points) == ("curves", 1)


def test_labels_are_refused_and_a_noise_that_it_knows(random_episodes):
    learner = tfmeta.BayesianLinearRegressor(smooth_network(n_outputs=4), n_outputs=3)
    learner.compile("adam")
    with pytest.raises(ValueError, match="RidgeClassifier takes labels"):
        learner.fit(tf.data.Dataset.from_tensors(random_episodes()), verbose=0)
    with pytest.raises(ValueError, match=r"noise must be None for BayesianLinearRegressor, which has a variance"):
        tfmeta.evaluation.predictive(regressor(), as_float64(task(waves())), noise=0.1)


def test_several_models_are_a_mixture():
    ensemble = tfmeta.MAMLEnsemble(tfmeta.networks.mlp(hidden=(5,)), n_members=3, inner_lr=0.01, noise=0.5)
    found = tfmeta.evaluation.predictive(ensemble, task(waves(), 1))
    assert found.means.shape == (3, 6, 1)
    np.testing.assert_allclose(found.mean, ensemble.query_outputs(task(waves(), 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.variance, 0.25 + np.var(found.means, axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"n_outputs": 0}, {"noise": 0.0}, {"initial_precision": 0.0}, {"fewest_points": -1}]
)
def test_bad_settings_are_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name} must be .*Received: {name}={value!r}"):
        regressor(**options)
