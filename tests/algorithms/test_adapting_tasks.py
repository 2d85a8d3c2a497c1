"""The contract of every learner with an inner loop: one new task, scores, regression, what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, largest_difference, predict_with
from tests.algorithms.methods import METHODS, SCORED, SIZES, every, every_regression, everything, make
from tests.algorithms.pieces import task
from tfmeta.datasets import sinusoid_episodes


@pytest.fixture(scope="module")
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


@pytest.fixture(scope="module")
def episodes(stream):
    return next(iter(stream))


# -- adaptation ----------------------------------------------------------------------------------------------------
@every
def test_adapt_returns_an_ordinary_model_and_leaves_the_learner_alone(name, episodes, tmp_path):
    learner, one = make(name), task(episodes)
    before = everything(learner)
    adapted = learner.adapt(one.support_x, one.support_y)
    fast = learner.fast_weights(one)
    learner.query_outputs(one, transductive=False)
    assert_same(everything(learner), before, rtol=0)
    assert isinstance(adapted, keras.Model)
    assert "tfmeta" not in type(adapted).__module__
    assert_same([v.numpy() for v in adapted.trainable_variables], fast, rtol=0)
    theta = learner.fast_weights(one, inner_steps=0)
    assert largest_difference(fast, theta) > 1e-4
    assert_same(learner.adapt(one.support_x, one.support_y, inner_steps=0).trainable_variables, theta, rtol=0)
    # Batch norm holds the support set's statistics: there the model repeats the adapted network's outputs,
    expected = predict_with(learner, fast, one.support_x)
    np.testing.assert_allclose(adapted.predict(one.support_x, verbose=0), expected, rtol=1e-3, atol=1e-4)
    # and what a query gets does not depend on its company.
    together = adapted.predict(one.query_x, verbose=0)
    np.testing.assert_allclose(adapted.predict(one.query_x[:1], verbose=0), together[:1], rtol=1e-4, atol=1e-5)
    adapted.save(tmp_path / "adapted.keras")
    loaded = keras.models.load_model(tmp_path / "adapted.keras")
    np.testing.assert_array_equal(loaded.predict(one.query_x, verbose=0), together)


@every
def test_the_ends_of_the_adaptation_curve_are_what_evaluate_reports(name, stream):
    learner = make(name)
    curve = tfmeta.adaptation_curve(learner, stream.take(2), 3)
    reported = learner.evaluate(stream.take(2), return_dict=True, verbose=0)
    assert (curve.episodes, curve.inner_steps, curve.label) == (8, 3, name)
    for key, mean in curve.mean.items():
        assert mean[0] == pytest.approx(reported[f"{key}_before"], rel=1e-4)
        assert mean[-1] == pytest.approx(reported[f"{key}_after"], rel=1e-4)
    assert curve.mean["support_loss"][3] < curve.mean["support_loss"][0]
    assert reported["loss"] == pytest.approx(curve.mean["query_loss"][3], rel=1e-4)


# MAML++ has moving averages for single queries: tests/algorithms/test_maml_plus_plus.py.
@pytest.mark.parametrize("name", [name for name in METHODS if name != "MAMLPlusPlus"])
def test_both_batch_norm_modes_agree_with_a_naive_loop(name, tiny):
    learner = make(name)
    (batch,) = tfmeta.episode_dataset(tiny, **(SIZES | {"meta_batch_size": 8}), seed=2).take(1)
    together, alone, apart = [], [], []
    for i in range(8):
        one = task(batch, i)
        fast, outputs = learner.fast_weights(one), learner.query_outputs(one, transductive=False).numpy()
        joint = predict_with(learner, fast, one.query_x).numpy()
        single = [predict_with(learner, fast, tf.concat([one.support_x, q[None]], 0))[-1].numpy() for q in one.query_x]
        np.testing.assert_allclose(outputs, single, rtol=1e-3, atol=1e-4)
        together.append(np.mean(joint.argmax(axis=1) == one.query_y.numpy()))
        alone.append(np.mean(np.argmax(single, axis=1) == one.query_y.numpy()))
        apart.append(np.abs(joint - outputs).max())
    assert min(apart) > 1e-3
    for transductive, found in ((True, together), (False, alone)):
        score = tfmeta.evaluate(learner, tiny, **SCORED, seed=2, transductive=transductive)
        assert score.accuracy == pytest.approx(np.mean(found), abs=1e-6)
        assert score.batch_norm == learner.batch_norm_mode(transductive=transductive)
        assert (score.method, score.settings["inner_steps"]) == (name, 3)


# -- regression ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def waves():
    return sinusoid_episodes(k_shot=5, n_query=8, meta_batch_size=4, seed=0, amplitudes=(2.0, 5.0), phases=(0.0, 1.5))


@every_regression
def test_regression(name, waves):
    learner, one = make(name, "regress"), task(next(iter(waves)))
    before = learner.evaluate(waves.take(5), return_dict=True, verbose=0)["loss"]
    history = learner.fit(waves, steps_per_epoch=40, epochs=3, validation_data=waves.take(5), verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < 0.8 * before
    assert history["val_query_loss_after"][-1] < history["val_query_loss_before"][-1]
    assert not any("accuracy" in key for key in history)
    adapted = learner.adapt(one.support_x, one.support_y)
    np.testing.assert_allclose(
        adapted.predict(one.query_x, verbose=0), learner.query_outputs(one), rtol=1e-4, atol=1e-5
    )
    curve = tfmeta.adaptation_curve(learner, waves.take(5), learner.eval_inner_steps)
    assert set(curve.mean) == {"support_loss", "query_loss"}
    assert curve.mean["query_loss"][-1] == pytest.approx(history["val_query_loss_after"][-1], rel=1e-4)
    with pytest.raises(ValueError, match=r"targets must have the shape of the outputs, \(1,\).*support_y with \(\)"):
        learner.adapt(one.support_x, one.support_y[:, 0])  # [5] against outputs [5, 1] would be a matrix


@every_regression
def test_a_loss_of_ones_own_is_used_in_both_loops(name, waves):
    """Another loss gives other fast weights and another step; a saved learner keeps it."""
    fast, ends = [], []
    episodes = next(iter(waves))
    for loss in (None, "mse", keras.losses.LogCosh()):
        built = make(name, "regress")
        config = built.get_config() | {"loss": None if loss is None else keras.saving.serialize_keras_object(loss)}
        learner = type(built).from_config(config)
        learner.set_weights(built.get_weights())
        learner.compile(optimizer=keras.optimizers.SGD(0.1))
        fast.append(learner.fast_weights(task(episodes)))
        learner.train_on_batch(episodes)
        ends.append([v.numpy() for v in learner.meta_variables])
    for found in (fast, ends):
        assert_same(found[0], found[1], rtol=1e-5, atol=1e-6)
        assert largest_difference(found[0], found[2]) > 1e-5


# -- what is refused -----------------------------------------------------------------------------------------------
@every
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 16, 16, 1)), [0, 1], r"same number of examples.*support_y with shape=\(2,\)"),
        (np.zeros((0, 16, 16, 1)), [], r"at least one. Received: support_x with shape=\(0, 16"),
        (np.zeros((3, 16, 16, 1)), [0, 1, 3], r"every class present. Received: support_y=\[0, 1, 3\]"),
        (np.zeros((3, 16, 16, 1)), [1, 2, 3], r"from 0 to n_way - 1.*Received: support_y=\[1, 2, 3\]"),
        (np.zeros((3, 16, 16, 1)), [[0], [1], [2]], r"Received: support_y=\[\[0\], \[1\], \[2\]\]"),
        (np.full((3, 16, 16, 1), np.nan), [0, 1, 2], r"must be finite. Received: support_x with 768 NaN"),
        (np.zeros((3, 16, 16, 1), np.uint8), [0, 1, 2], r"floats in \[0, 1\]. Received: support_x with dtype=uint8"),
        (np.zeros((3, 28, 28, 1)), [0, 1, 2], r"takes inputs of shape \(16, 16, 1\). Received: support_x with \(28"),
        (np.zeros((3, 16, 16, 1)), [0.0, 1.0, 2.0], r"(integers|integer labels). Received: support_y with"),
    ],
)
def test_bad_support_sets_are_named(name, x, y, message):
    with pytest.raises(ValueError, match=message):
        make(name).adapt(x, y)


@every
def test_the_number_of_classes_must_fit_the_head_if_it_is_fixed(name, tiny, stream):
    learner = make(name)
    four = next(iter(tfmeta.episode_dataset(tiny, **(SIZES | {"n_way": 4}), seed=0)))
    if name == "ProtoMAML":  # makes a head for any number
        assert learner.adapt(four.support_x[0], four.support_y[0]).output_shape == (None, 4)
        return
    with pytest.raises(ValueError, match=r"must be n_way=4 wide.*with outputs of shape \(3,\)"):
        learner.adapt(four.support_x[0], four.support_y[0])
    with pytest.raises(ValueError, match=r"must be n_way=4 wide"):
        learner.fit(tf.data.Dataset.from_tensors(four), verbose=0)
    with pytest.raises(ValueError, match=r"must be n_way=4 wide"):
        learner.fit(stream, steps_per_epoch=1, validation_data=tf.data.Dataset.from_tensors(four), verbose=0)


@every
def test_bad_settings_are_named(name, episodes):
    kind, network = type(make(name)), make(name).network
    one = task(episodes)
    for value in (-1, 1.5, True, None):
        with pytest.raises(ValueError, match=rf"at least 0. Received: inner_steps={value!r}"):
            kind(network, inner_steps=value)
    with pytest.raises(ValueError, match=r"Received: eval_inner_steps=-2"):
        kind(network, eval_inner_steps=-2)
    with pytest.raises(ValueError, match=r"Received: inner_steps=-1"):
        make(name).adapt(one.support_x, one.support_y, inner_steps=-1)
    options = make(name).get_config()
    if "inner_lr" in options:
        for value in (-0.1, float("nan"), float("inf"), "0.1", True):
            with pytest.raises(ValueError, match=r"number of at least 0. Received: inner_lr="):
                kind(network, inner_lr=value)
    if "gradient_mode" in options:
        with pytest.raises(ValueError, match=r"'nested' or 'mixed'. Received: gradient_mode='reverse'"):
            kind(network, gradient_mode="reverse")
    with pytest.raises(TypeError, match=r"must be a keras.Model. Received: (learner|encoder) of type Dense"):
        kind(keras.layers.Dense(3))
    with pytest.raises(ValueError, match=r"must be built.*has no variables yet"):
        kind(keras.Sequential([keras.layers.Dense(3)]))
