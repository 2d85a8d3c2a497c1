"""What every method refuses, before any work starts and by name. Support sets: tests/training/test_inputs.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import THREE, borrow, every, has_inner_loop, make, network
from tests.algorithms.pieces import task
from tfmeta.training import inputs


@pytest.fixture(scope="module")
def episodes(tiny):
    return next(iter(tfmeta.episode_dataset(tiny, **THREE, seed=0)))


@every
def test_support_sets_are_checked(name, monkeypatch):
    """The checks themselves are in tests/training/test_inputs.py; here, that each learner asks them."""
    learner, asked, check = borrow(name), [], inputs.check_support
    monkeypatch.setattr(inputs, "check_support", lambda x, y, **how: (asked.append(y), check(x, y, **how))[1])
    with pytest.raises(ValueError, match=r"every class present. Received: labels \[0, 1, 3\] in task 0"):
        learner.adapt(np.zeros((3, 16, 16, 1)), [0, 1, 3])
    assert asked == [[0, 1, 3]]
    with pytest.raises(ValueError, match=r"takes inputs of shape \(16, 16, 1\). Received: support_x with \(28"):
        learner.adapt(np.zeros((3, 28, 28, 1)), [0, 1, 2])
    with pytest.raises(ValueError, match=r"(integers|integer labels). Received: support_y with"):
        learner.adapt(np.zeros((3, 16, 16, 1)), [0.0, 1.0, 2.0])


@every
def test_data_are_checked_before_work_starts(name, episodes):
    learner = borrow(name)
    before = [v.numpy() for v in learner.variables]
    pairs = tf.data.Dataset.from_tensors((np.zeros((3, 16, 16, 1)), np.zeros(3)))
    wanted = "Episode" if learner.method.check_data is None else r"\(images, integer labels\)"
    for data in (pairs, tuple(episodes), np.zeros((3, 16, 16, 1))):
        with pytest.raises(TypeError, match=rf"x must be a tf.data.Dataset of {wanted}.*Received: x of type"):
            learner.fit(data, verbose=0)
        with pytest.raises(TypeError, match=r"x must be a tf.data.Dataset of Episode.*Received: x of type"):
            learner.evaluate(data, verbose=0)
    other = tfmeta.Episode(*(t[:, :, 1:] if t.shape.rank > 2 else t for t in episodes))  # 15x16 pixels
    with pytest.raises(ValueError, match=r"\(16, 16, 1\). Received: support_x with \(15, 16, 1\)"):
        learner.evaluate(tf.data.Dataset.from_tensors(other), verbose=0)
    for old, variable in zip(before, learner.variables, strict=True):
        np.testing.assert_array_equal(old, variable)


@every
def test_bad_settings_are_named(name, episodes):
    learner, one = borrow(name), task(episodes)
    kind, config = type(learner), learner.options()
    given = {"n_classes": 12} if "n_classes" in config else {}
    for setting in ("inner_steps", "eval_inner_steps"):
        for value in (-1, 1.5, True) if setting in config else ():
            with pytest.raises(ValueError, match=rf"at least 0. Received: {setting}={value!r}"):
                kind(learner.network, **given, **{setting: value})
    if has_inner_loop(learner):
        with pytest.raises(ValueError, match=r"Received: inner_steps=-1"):
            learner.adapt(one.support_x, one.support_y, inner_steps=-1)
    for value in (-0.1, float("nan"), float("inf"), "0.1", True) if "inner_lr" in config else ():
        with pytest.raises(ValueError, match=r"number of at least 0. Received: inner_lr="):
            kind(learner.network, **given, inner_lr=value)
    if "gradient_mode" in config:
        with pytest.raises(ValueError, match=r"'nested' or 'mixed'. Received: gradient_mode='reverse'"):
            kind(learner.network, **given, gradient_mode="reverse")
    with pytest.raises(TypeError, match=r"must be a keras.Model. Received: (network|encoder) of type Dense"):
        kind(keras.layers.Dense(3), **given)
    with pytest.raises(ValueError, match=r"must be built.*has no variables yet"):
        kind(keras.Sequential([keras.layers.Dense(3)]), **given)


@every
def test_frozen_networks_are_refused_where_something_of_them_is_learned(name, episodes):
    learner, one = borrow(name), task(episodes)
    given = {"n_classes": 12} if "n_classes" in learner.options() else {}
    frozen = network(head=not learner.method.makes_head)
    frozen.trainable = False
    if not given and learner.meta_variables:
        with pytest.raises(ValueError, match=r"(network|encoder) must have trainable variables"):
            type(learner)(frozen)
        return
    found = type(learner)(frozen, **given)
    assert found.adapt(one.support_x, one.support_y)(one.query_x).shape == (12, 3)
    if given:
        with pytest.raises(ValueError, match="encoder must have trainable variables"):
            type(learner)(frozen, **given, adapt_encoder=True)


@every
def test_encoders_must_give_embeddings(name):
    learner = borrow(name)
    given = {"n_classes": 12} if "n_classes" in learner.options() else {}
    if not learner.method.makes_head:
        return
    maps = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)], name="maps")
    with pytest.raises(ValueError, match=r"embeddings \[batch, dim\].*'maps' with outputs of shape \(6, 6, 2\)"):
        type(learner)(maps, **given)
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    nested = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), inner])
    flat = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3), keras.layers.Softmax()])
    for ending in (inner, nested, flat):
        with pytest.raises(ValueError, match=r"not probabilities. Received: encoder=.*, which ends in a softmax"):
            type(learner)(ending, **given)


@every
def test_xla_is_refused_where_sizes_depend_on_labels_and_float16_everywhere(name):
    learner = borrow(name)
    assert learner.sizes_depend_on_data == learner.method.makes_head
    other = type(learner).from_config(learner.get_config())
    if learner.method.makes_head:
        with pytest.raises(ValueError, match=r"counts the classes of each episode\. Received: jit_compile=True"):
            other.compile(jit_compile=True)
    other.network.layers[0].dtype_policy = keras.DTypePolicy("float16")
    with pytest.raises(ValueError, match=r"mixed_bfloat16.*Received: float16 in 'conv2d"):
        other.compile()


@every
def test_weights_of_another_architecture_are_refused(name, tmp_path):
    learner = borrow(name)
    learner.save_weights(tmp_path / "small.weights.h5")
    config = learner.get_config()
    role = "network" if "network" in config else "encoder"
    other = keras.Sequential(
        [keras.Input((16, 16, 1)), keras.layers.Flatten(), *(keras.layers.Dense(n) for n in (2, 3))]
    )
    larger = type(learner).from_config(config | {role: keras.saving.serialize_keras_object(other)})
    with pytest.raises(ValueError, match=r"must be those of this learner.s architecture.*filepath=.*small.weights"):
        larger.load_weights(tmp_path / "small.weights.h5")


def test_a_learner_that_was_not_compiled_says_so(episodes):
    learner = type(borrow("MAML"))(network())
    assert learner.get_compile_config() is None
    with pytest.raises(ValueError, match=r"compile\(\)"):
        learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0)
    with pytest.raises(ValueError, match=r"group_optimizers must name groups of parameters, network, rates\. "):
        make("MetaSGD", group_optimizers={"alpha": "sgd"})
