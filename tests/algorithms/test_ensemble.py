"""The ensemble of MAMLs: each member is a MAML by itself, and what they say is averaged."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, contribution, smooth_network
from tests.algorithms.pieces import once, task

OPTIONS = {"inner_lr": 0.2, "inner_steps": 2}


def members_of(learner):
    """The same as MAMLs of their own."""
    found = []
    for group in learner.method.parameters.values():
        network = smooth_network(batch_norm=True)
        for mine, theirs in zip(network.trainable_variables, group, strict=True):
            mine.assign(theirs.value)
        found.append(tfmeta.MAML(network, **OPTIONS))
    return found


def everything(learner):
    return [[v.numpy() for v in group] for group in learner.method.parameters.values()]


def test_members_start_apart_and_are_mamls(random_episodes):
    learner, one = tfmeta.MAMLEnsemble(smooth_network(batch_norm=True), n_members=3, **OPTIONS), task(random_episodes())
    assert list(learner.method.parameters) == ["member_0", "member_1", "member_2"]
    first, second, third = everything(learner)
    assert np.abs(first[0] - second[0]).min() > 0
    assert np.abs(second[0] - third[0]).min() > 0
    mamls = members_of(learner)
    for key, maml in enumerate(mamls):
        assert_same(learner.fast_weights(one, key=key), maml.fast_weights(one), rtol=1e-12)
        assert_same(learner.fast_weights(one, key=key + 3), maml.fast_weights(one), rtol=1e-12)
    mean = np.mean([tf.nn.softmax(maml.query_outputs(one)) for maml in mamls], axis=0)
    np.testing.assert_allclose(tf.exp(learner.query_outputs(one)), mean, rtol=1e-10)
    # Whatever a task's number is in a stream.
    np.testing.assert_allclose(
        learner.query_outputs(one, key=tf.constant(17, tf.int64)), learner.query_outputs(one), rtol=1e-10
    )
    adapted = learner.adapt(one.support_x, one.support_y)
    alone = [maml.adapt(one.support_x, one.support_y).predict(one.query_x, verbose=0) for maml in mamls]
    expected = np.mean([tf.nn.softmax(outputs) for outputs in alone], axis=0)
    np.testing.assert_allclose(np.exp(adapted.predict(one.query_x, verbose=0)), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("mode", ["nested", "mixed"])
def test_each_member_has_mamls_gradient(random_episodes, mode, first_order):
    options = OPTIONS | {"gradient_mode": mode, "first_order": first_order}
    learner, one = tfmeta.MAMLEnsemble(smooth_network(batch_norm=True), n_members=2, **options), task(random_episodes())
    found, losses = contribution(learner, one), []
    n = len(learner.network.trainable_variables)
    for i, maml in enumerate(members_of(learner)):
        maml.first_order = first_order
        expected = contribution(maml, one)
        assert_same(found.gradients[i * n : (i + 1) * n], expected.gradients, rtol=1e-9, atol=1e-13)
        losses.append(float(expected.loss))
    assert float(found.loss) == pytest.approx(np.mean(losses), rel=1e-10)


def test_training_together_is_training_alone(random_episodes):
    episodes = random_episodes()
    learner = tfmeta.MAMLEnsemble(smooth_network(batch_norm=True), n_members=2, **OPTIONS)
    mamls = members_of(learner)
    for one in (learner, *mamls):
        one.compile(keras.optimizers.Adam(0.01))
        one.fit(once(episodes), epochs=3, verbose=0)
    for group, maml in zip(everything(learner), mamls, strict=True):
        assert_same(group, [v.numpy() for v in maml.network.trainable_variables], rtol=1e-7)


def test_scores_say_that_several_models_predicted(random_episodes):
    learner = tfmeta.MAMLEnsemble(smooth_network(), n_members=3, **OPTIONS)
    score = tfmeta.evaluate(learner, random_episodes())
    assert score.model == "mean of 3 models"
    assert "95 % interval over" in str(score)
    assert "mean of 3 models" in str(score)
    assert f"over {score.episodes} episodes" in tfmeta.plot_scores([score]).get_title()
    plt.close("all")
    alone = tfmeta.evaluate(tfmeta.MAML(smooth_network(), **OPTIONS), random_episodes())
    assert alone.model == "single model"


def test_trained_mamls_become_an_ensemble():
    mamls = [tfmeta.MAML(smooth_network(seed=seed), inner_lr=0.3, inner_steps=2, loss="mse") for seed in (1, 2)]
    learner = tfmeta.MAMLEnsemble.from_learners(mamls)
    assert (learner.n_members, learner.inner_lr, learner.inner_steps) == (2, 0.3, 2)
    assert learner.loss_function is mamls[0].loss_function
    for group, maml in zip(everything(learner), mamls, strict=True):
        assert_same(group, [v.numpy() for v in maml.network.trainable_variables], rtol=0)
    for variable in learner.network.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    assert np.abs(mamls[0].network.trainable_variables[0]).max() > 0
    with pytest.raises(TypeError, match=r"learners must be one or more MAMLs. Received: none"):
        tfmeta.MAMLEnsemble.from_learners([])
    with pytest.raises(TypeError, match=r"Received: \['PLATIPUS'\]"):
        tfmeta.MAMLEnsemble.from_learners([mamls[0], tfmeta.PLATIPUS(smooth_network())])
    with pytest.raises(ValueError, match="networks of one architecture"):
        tfmeta.MAMLEnsemble.from_learners([mamls[0], tfmeta.MAML(smooth_network(hidden=7))])


def test_members_that_would_be_the_same_are_refused():
    same = keras.Sequential([
        keras.Input((3,)), keras.layers.Dense(2, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    ])  # fmt: skip
    with pytest.raises(ValueError, match="initializers must draw anew for every member: leave their seeds out"):
        tfmeta.MAMLEnsemble(same)
    assert tfmeta.MAMLEnsemble(same, n_members=1).others == []


@pytest.mark.parametrize(
    "options", [{"n_members": 0}, {"inner_lr": -1}, {"noise": -0.1}, {"first_order": "no"}, {"gradient_mode": "x"}]
)
def test_bad_settings_are_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name} must be .*Received: {name}={value!r}"):
        tfmeta.MAMLEnsemble(smooth_network(), **options)
