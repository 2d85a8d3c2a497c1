"""A learner cut in two computes the same with fewer passes through its body."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, contribution, smooth_network
from tests.algorithms.pieces import task
from tfmeta import functional
from tfmeta.core.cut import cut_before


def gradient_of(learner, episode):
    return contribution(learner, episode)


def deep_network(extra=()):
    """Dense body, batch norm, whatever is given, and two dense layers behind."""
    keras.utils.set_random_seed(0)
    dense = [
        keras.layers.Dense(width, activation=activation, dtype="float64", name=name)
        for width, activation, name in ((5, "tanh", "body"), (4, "tanh", "neck"), (3, None, "head"))
    ]
    norm = keras.layers.BatchNormalization(dtype="float64", name="norm")
    return keras.Sequential([keras.Input((6,), dtype="float64"), dense[0], norm, *extra, *dense[1:]])


def without_cut(learner):
    learner.cut = None
    return learner


@pytest.mark.parametrize("adapted", [[6, 7], [4, 5, 6, 7], [2], [3, 6]])
def test_head_after_body_is_the_learner(random_episodes, adapted):
    network, one = deep_network(), task(random_episodes())
    split = cut_before(network, adapted)
    params = [value + 0.1 for value in functional.values(network.trainable_variables)]
    outputs = split.head(params, split.body(params, one.query_x))
    np.testing.assert_array_equal(outputs, functional.forward(network, params, one.query_x))


every_choice = pytest.mark.parametrize("layers", [None, ["neck", "head"], ["norm"], ["norm", "head"]])


def with_and_without(layers, options):
    options = {"adapt_layers": layers, "inner_lr": 0.3, "inner_steps": 2} | options
    cut, whole = tfmeta.ANIL(deep_network(), **options), without_cut(tfmeta.ANIL(deep_network(), **options))
    assert cut.cut is not None
    return cut, whole


@every_choice
@pytest.mark.parametrize("options", [{}, {"first_order": True}, {"inner_clip_norm": 0.1}, {"adversarial_epsilon": 0.1}])
def test_the_gradient_is_that_without_the_cut(random_episodes, layers, options):
    one = task(random_episodes())
    found, expected = (gradient_of(learner, one) for learner in with_and_without(layers, options))
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-12)
    assert_same(found.gradients, expected.gradients, rtol=1e-9, atol=1e-14)


@every_choice
@pytest.mark.parametrize("options", [{}, {"inner_clip_norm": 0.1}])  # those of the inner loop
def test_evaluation_is_that_without_the_cut(random_episodes, layers, options):
    one = task(random_episodes(n_query=2))
    cut, whole = with_and_without(layers, options)
    assert_same(cut.fast_weights(one), whole.fast_weights(one), rtol=1e-12)
    for mode in (True, False):
        a, b = (learner.query_outputs(one, transductive=mode) for learner in (cut, whole))
        np.testing.assert_allclose(a, b, rtol=1e-10)
    found, expected = (learner.adaptation_path(one, 3) for learner in (cut, whole))
    assert found.keys() == expected.keys()
    for name, path in found.items():
        np.testing.assert_allclose(path, expected[name], rtol=1e-6)


def test_dropout_on_both_sides_of_the_cut_has_the_masks_of_the_whole(random_episodes):
    one = task(random_episodes())

    def learner():
        drop = [keras.layers.Dropout(0.5, seed=1, dtype="float64") for _ in range(2)]
        network = deep_network(extra=[drop[0]])
        network = keras.Sequential([*network.layers[:-1], drop[1], network.layers[-1]])
        network.build((None, 6))
        return tfmeta.ANIL(network, adapt_layers=["neck", "head"], inner_lr=0.3, inner_steps=2)

    cut, whole = learner(), without_cut(learner())
    found, expected = gradient_of(cut, one), gradient_of(whole, one)
    assert_same(found.gradients, expected.gradients, rtol=1e-9, atol=1e-14)
    other = contribution(cut, one, key=1)
    assert abs(float(other.loss) - float(found.loss)) > 1e-6, "another task has other masks"
    np.testing.assert_allclose(cut.query_outputs(one), whole.query_outputs(one), rtol=1e-10)
    again = cut.query_outputs(one)
    np.testing.assert_array_equal(again, cut.query_outputs(one))


class Counted(keras.layers.Layer):
    """Counts its calls in eager code."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


def test_the_body_sees_the_support_set_once_and_the_queries_once(random_episodes):
    one, counted = task(random_episodes()), Counted(dtype="float64")
    learner = tfmeta.ANIL(deep_network(extra=[counted]), inner_lr=0.1, inner_steps=4)
    learner.query_outputs(one)  # the first time it looks at what the network gives, too
    for work in (lambda: gradient_of(learner, one), lambda: learner.query_outputs(one)):
        counted.calls = 0
        work()
        assert counted.calls == 2
    counted.calls = 0
    gradient_of(without_cut(learner), one)
    assert counted.calls == 5


def test_the_learner_itself_is_untouched(tmp_path):
    network = tfmeta.networks.conv4(3, filters=2, input_shape=(16, 16, 1))
    plain = tfmeta.MAML(network)
    plain.save_weights(tmp_path / "plain.weights.h5")
    nodes = [len(layer._inbound_nodes) for layer in network.layers]
    learner = tfmeta.ANIL(network)
    images, labels = tf.random.stateless_uniform((3, 16, 16, 1), (0, 0)), tf.range(3)
    gradient_of(learner, tfmeta.Episode(images, labels, images, labels))
    assert nodes == [len(layer._inbound_nodes) for layer in network.layers], "its graph can still be taken apart"
    assert network.get_layer("head").output is network.output
    assert len(learner.variables) == len(plain.variables)
    learner.load_weights(tmp_path / "plain.weights.h5")


# -- where there is no cut ------------------------------------------------------------------------------------------
def around():
    """A path around the adapted layer."""
    x = inputs = keras.Input((6,), dtype="float64")
    body = keras.layers.Dense(6, dtype="float64", name="body")(x)
    head = keras.layers.Dense(6, dtype="float64", name="head")(body)
    return keras.Model(inputs, keras.layers.Add(dtype="float64")([x, head]))


def twice():
    """The head is called on its own outputs."""
    x = inputs = keras.Input((6,), dtype="float64")
    head = keras.layers.Dense(6, dtype="float64", name="head")
    return keras.Model(inputs, head(head(keras.layers.Dense(6, dtype="float64", name="body")(x))))


def nested():
    return keras.Sequential([keras.Input((6,), dtype="float64"), smooth_network(6)])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = keras.layers.Dense(4, dtype="float64", name="body")
        self.head = keras.layers.Dense(6, dtype="float64", name="head")

    def call(self, x, training=False):
        return self.head(self.body(x))


def subclassed():
    network = Subclassed()
    network(np.zeros((1, 6)))
    return network


class Scaled(keras.Model):
    """A functional graph whose outputs the class's own `call` changes."""

    def call(self, x, training=False):
        return 3.0 * super().call(x, training=training)


def scaled():
    x = inputs = keras.Input((6,), dtype="float64")
    body = keras.layers.Dense(4, activation="tanh", dtype="float64", name="body")(x)
    return Scaled(inputs, keras.layers.Dense(6, dtype="float64", name="head")(body))


def masked():
    """A mask of the body's reaches the head beside the features."""
    x = inputs = keras.Input((6,), dtype="float64")
    steps = keras.layers.Reshape((3, 2), dtype="float64")(x)
    body = keras.layers.Dense(4, dtype="float64", name="body")(keras.layers.Masking(dtype="float64")(steps))
    head = keras.layers.SimpleRNN(6, activation=None, dtype="float64", name="head")
    return keras.Model(inputs, head(body))


@pytest.mark.parametrize("make", [around, nested, subclassed, scaled, masked])
def test_models_without_a_cut_adapt_as_maml_does(random_episodes, make):
    network, one = make(), task(random_episodes(n_way=6))
    learner = tfmeta.ANIL(network, inner_lr=0.3, inner_steps=2)
    assert learner.cut is None
    fast = functional.adapt(
        network, functional.values(network.trainable_variables), one.support_x, one.support_y,
        inner_lr=0.3, inner_steps=2, adapted=learner.positions,
    )  # fmt: skip
    assert_same(learner.fast_weights(one), fast, rtol=1e-12)


def beside():
    """A path around the body joins it before the head."""
    x = inputs = keras.Input((6,), dtype="float64")
    body = keras.layers.Dense(6, dtype="float64", name="body")(x)
    joined = keras.layers.Concatenate(dtype="float64")([x, body])
    return keras.Model(inputs, keras.layers.Dense(3, dtype="float64", name="head")(joined))


@pytest.mark.parametrize("make", [beside, twice])
def test_a_path_around_the_body_and_a_head_called_twice_are_no_obstacle(random_episodes, make):
    network, one = make(), task(random_episodes())
    cut, whole = (tfmeta.ANIL(network, inner_lr=0.3, inner_steps=2) for _ in range(2))
    assert cut.cut is not None
    assert_same(gradient_of(cut, one).gradients, gradient_of(without_cut(whole), one).gradients, rtol=1e-9)


def test_the_first_layer_with_weights_leaves_nothing_to_save():
    assert cut_before(smooth_network(), [0, 3]) is None
    assert tfmeta.ANIL(smooth_network(), adapt_layers=["body", "head"]).cut is None


def test_several_outputs_are_not_cut():
    x = inputs = keras.Input((6,))
    body = keras.layers.Dense(4)(x)
    heads = [keras.layers.Dense(3, name=name)(body) for name in ("one", "two")]
    assert cut_before(keras.Model(inputs, heads), [2, 3]) is None
    assert cut_before(keras.Model(inputs, heads[0]), [2, 3]) is not None


def test_the_gradient_passes_through_the_cut_in_constant_memory(random_episodes):
    one, options = task(random_episodes()), {"inner_lr": 0.3, "inner_steps": 3}
    nested, mixed = (tfmeta.ANIL(deep_network(), **options, gradient_mode=mode) for mode in ("nested", "mixed"))
    assert mixed.cut is not None
    assert_same(gradient_of(nested, one).gradients, gradient_of(mixed, one).gradients, rtol=1e-9, atol=1e-14)


def test_half_precision_features_reach_the_head(random_episodes):
    policy = keras.mixed_precision.DTypePolicy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    network = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(5, activation="tanh", dtype=policy), keras.layers.Dense(3, dtype=policy),
    ])  # fmt: skip
    one = task(random_episodes())
    one = one._replace(support_x=tf.cast(one.support_x, tf.float32), query_x=tf.cast(one.query_x, tf.float32))
    cut, whole = (tfmeta.ANIL(network, inner_lr=0.3, inner_steps=2) for _ in range(2))
    a, b = gradient_of(cut, one), gradient_of(without_cut(whole), one)
    assert float(a.loss) == pytest.approx(float(b.loss), rel=1e-2)
    assert_same(a.gradients, b.gradients, rtol=0.1, atol=0.01)
