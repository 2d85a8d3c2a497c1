"""ANIL: chosen layers adapt, all of them learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_is_gradient, assert_same, contribution, in_graph, smooth_network
from tests.algorithms.pieces import task
from tfmeta import functional
from tfmeta.algorithms.anil import adapted_positions

both_modes = pytest.mark.parametrize("mode", ["nested", "mixed"])
# Positions in smooth_network(batch_norm=True): body kernel, bias; norm gamma, beta; head kernel, bias.
CHOICES = [(None, [4, 5]), (["norm"], [2, 3]), (["body", "norm"], [0, 1, 2, 3]), (["norm", "head"], [2, 3, 4, 5])]


def gradient_of(learner, episode):
    return contribution(learner, episode)


# -- limits --------------------------------------------------------------------------------------------------------
@both_modes
def test_where_the_body_is_the_identity_anil_is_maml_on_the_head(random_episodes, mode):
    one = task(random_episodes())
    keras.utils.set_random_seed(0)
    head = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, dtype="float64", name="head")])
    body = keras.layers.Dense(6, dtype="float64", kernel_initializer="identity", name="body")
    whole = keras.Sequential([keras.Input((6,)), body, keras.layers.Dense(3, dtype="float64", name="head")])
    whole.layers[1].set_weights(head.layers[0].get_weights())
    options = {"inner_lr": 0.3, "inner_steps": 3, "gradient_mode": mode}
    anil, maml = tfmeta.ANIL(whole, **options), tfmeta.MAML(head, **options)
    np.testing.assert_allclose(anil.query_outputs(one), maml.query_outputs(one), rtol=1e-12)
    found, expected = gradient_of(anil, one), gradient_of(maml, one)
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-12)
    assert_same(found.gradients[2:], expected.gradients, rtol=1e-10, atol=1e-14)
    assert all(float(tf.reduce_max(tf.abs(g))) > 1e-3 for g in found.gradients[:2]), "the body learns, too"


@pytest.mark.slow
@both_modes
@pytest.mark.parametrize("first_order", [False, True])
def test_adapting_all_layers_is_maml(random_episodes, mode, first_order):
    network, one = smooth_network(batch_norm=True), task(random_episodes())
    options = {"inner_lr": 0.3, "inner_steps": 2, "gradient_mode": mode, "first_order": first_order}
    anil = tfmeta.ANIL(network, adapt_layers=["head", "norm", "body"], **options)  # in any order
    maml = tfmeta.MAML(network, **options)
    assert_same(anil.fast_weights(one), maml.fast_weights(one), rtol=1e-12)
    assert_same(gradient_of(anil, one).gradients, gradient_of(maml, one).gradients, rtol=1e-10, atol=1e-14)


def test_without_steps_or_rate_anil_is_joint_training(random_episodes):
    network, one = smooth_network(), task(random_episodes())
    joint = gradient_of(tfmeta.MAML(network, inner_steps=0), one).gradients
    for options in ({"inner_steps": 0}, {"inner_lr": 0.0}):
        assert_same(gradient_of(tfmeta.ANIL(network, **options), one).gradients, joint, rtol=1e-12)


# -- the inner loop ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("layers", "positions"), CHOICES)
def test_only_what_is_chosen_moves_in_the_inner_loop(random_episodes, layers, positions):
    network, one = smooth_network(batch_norm=True), task(random_episodes())
    learner = tfmeta.ANIL(network, adapt_layers=layers, inner_lr=0.5, inner_steps=3)
    assert list(learner.positions) == positions
    theta = functional.values(network.trainable_variables)
    for fast in (learner.fast_weights(one), learner.adapt(one.support_x, one.support_y).trainable_variables):
        for i, (old, new) in enumerate(zip(theta, fast, strict=True)):
            if i in positions and not (i == 1 and 2 in positions):  # batch norm takes the body's bias away
                assert np.abs(old - new.numpy()).max() > 1e-3
            elif i not in positions:
                np.testing.assert_array_equal(old, new.numpy())


def test_head_steps_agree_with_a_naive_numpy_loop(random_episodes):
    """Softmax regression on the body's fixed features."""
    network, one = smooth_network(), task(random_episodes())
    W, b, V, c = network.get_weights()
    features, labels = np.tanh(one.support_x @ W + b), np.eye(3)[one.support_y]
    for _ in range(4):
        scores = np.exp(features @ V + c)
        error = (scores / scores.sum(axis=1, keepdims=True) - labels) / len(labels)
        V, c = V - 0.4 * features.T @ error, c - 0.4 * error.sum(axis=0)
    learner = tfmeta.ANIL(network, inner_lr=0.4, inner_steps=4)
    assert_same(learner.fast_weights(one)[2:], [V, c], rtol=1e-10)
    np.testing.assert_allclose(learner.query_outputs(one), np.tanh(one.query_x @ W + b) @ V + c, rtol=1e-9, atol=1e-12)


# -- the outer gradient --------------------------------------------------------------------------------------------
@pytest.mark.slow
@both_modes
@pytest.mark.parametrize(("layers", "positions"), CHOICES)
def test_gradient_of_all_weights_equals_finite_differences(random_episodes, mode, layers, positions):
    network, one = smooth_network(batch_norm=True), task(random_episodes())
    learner = tfmeta.ANIL(network, adapt_layers=layers, inner_lr=0.3, inner_steps=2, gradient_mode=mode)
    params = functional.values(network.trainable_variables)

    def loss(moved):  # by hand: the tape is asked for nothing but the chosen tensors
        fast = [tf.identity(w) for w in moved]
        for _ in range(2):
            with tf.GradientTape() as tape:
                chosen = [fast[i] for i in positions]
                tape.watch(chosen)
                value = functional.cross_entropy(one.support_y, functional.forward(network, fast, one.support_x))
            for i, g in zip(positions, tape.gradient(value, chosen), strict=True):
                fast[i] = fast[i] - 0.3 * g
        return functional.cross_entropy(one.query_y, functional.forward(network, fast, one.query_x))

    result = gradient_of(learner, one)
    assert float(result.loss) == pytest.approx(float(loss(params)), rel=1e-12)
    assert_is_gradient(result.gradients, in_graph(loss), params)


@both_modes
def test_first_order_is_the_gradient_at_the_fast_weights(random_episodes, mode):
    network, one = smooth_network(), task(random_episodes())
    options = {"inner_lr": 0.5, "inner_steps": 2, "gradient_mode": mode}
    learner = tfmeta.ANIL(network, first_order=True, **options)
    fast = learner.fast_weights(one)
    with tf.GradientTape() as tape:
        tape.watch(fast)
        loss = functional.cross_entropy(one.query_y, functional.forward(network, fast, one.query_x))
    found, exact = gradient_of(learner, one).gradients, gradient_of(tfmeta.ANIL(network, **options), one).gradients
    assert_same(found, tape.gradient(loss, fast), rtol=1e-10)
    for a, b in zip(found, exact, strict=True):  # the body's gradient has a term through the head's steps
        assert float(tf.reduce_max(tf.abs(a - b))) > 1e-4


def test_the_outer_loop_trains_body_and_head(random_episodes):
    network = smooth_network()
    learner, before = tfmeta.ANIL(network), network.get_weights()
    learner.compile(optimizer=keras.optimizers.SGD(0.1))
    learner.train_on_batch(random_episodes())
    assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(before, network.get_weights(), strict=True))


# -- which layers ------------------------------------------------------------------------------------------------------
def test_positions_follow_the_order_of_trainable_variables():
    network = smooth_network(batch_norm=True)
    assert adapted_positions(network) == [4, 5]
    assert adapted_positions(network, "body") == [0, 1]
    assert adapted_positions(network, ["norm", "body", "norm"]) == [0, 1, 2, 3]
    network.get_layer("body").trainable = False
    assert adapted_positions(network, ["norm"]) == [0, 1]
    network.get_layer("head").trainable = False
    assert adapted_positions(network) == [0, 1], "the last layer that has anything to train"


def test_batch_norm_only_and_boil_on_conv4(tiny):
    network = tfmeta.networks.conv4(3, filters=2, input_shape=(16, 16, 1))
    norms = [layer.name for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    body = [layer.name for layer in network.layers if layer.trainable_variables and layer.name != "head"]
    assert (len(norms), len(body)) == (4, 8)
    for layers in (norms, body):
        learner = tfmeta.ANIL(network, adapt_layers=layers, inner_lr=0.5, inner_steps=2)
        names = [network.trainable_variables[i].path.split("/")[-2] for i in learner.positions]
        assert set(names) == set(layers)
        one = tfmeta.sample_episode(tiny, n_way=3, k_shot=2, n_query=4, seed=0)
        path = learner.adaptation_path(one, 2)["support_loss"].numpy()
        assert path[2] < path[0]


def test_the_default_is_the_last_layer_inside_nested_models_not_the_whole_inner_model():
    inner = smooth_network(batch_norm=True)
    outer = keras.Sequential([keras.Input((6,), dtype="float64"), inner])
    assert adapted_positions(outer) == [4, 5]
    assert adapted_positions(outer, [inner.name]) == [0, 1, 2, 3, 4, 5]
    assert adapted_positions(outer, ["norm"]) == [2, 3]


class Loose(keras.Model):
    """Its weights belong to the model itself, to no layer of it."""

    def __init__(self):
        super().__init__()
        self.kernel = self.add_weight(shape=(6, 3), name="loose")
        self.built = True

    def call(self, x, training=False):
        return x @ self.kernel


@pytest.mark.parametrize(
    ("layers", "received"),
    [([], r"\[\]"), (["neck"], r"\['neck'\]"), (["head", "neck"], r"\['head', 'neck'\]"), (["relu"], r"\['relu'\]")],
)
def test_no_layer_an_unknown_one_and_one_without_weights_are_refused(layers, received):
    body, relu = keras.layers.Dense(4, name="body"), keras.layers.ReLU(name="relu")
    network = keras.Sequential([keras.Input((6,)), body, relu, keras.layers.Dense(3, name="head")])
    message = (
        rf"at least one of the layers with trainable variables, body, head, .*\. Received: adapt_layers={received}"
    )
    with pytest.raises(ValueError, match=message):
        tfmeta.ANIL(network, adapt_layers=layers)
    with pytest.raises(ValueError, match=r"adapt_layers must name at least one of the layers"):
        tfmeta.ANIL(Loose())


def test_a_saved_learner_keeps_its_choice(random_episodes, tmp_path):
    network, one = smooth_network(batch_norm=True), task(random_episodes())
    for layers in ("norm", ["norm"], ("body", "head"), None):
        learner = tfmeta.ANIL(network, adapt_layers=layers, inner_lr=0.2)
        learner.save(tmp_path / "learner.keras")
        loaded = keras.models.load_model(tmp_path / "learner.keras")
        assert loaded.positions == learner.positions
        assert_same(loaded.fast_weights(one), learner.fast_weights(one), rtol=0)


def test_a_name_that_two_layers_have_is_refused_and_the_default_is_the_last_of_them():
    def block(n_outputs):
        return keras.Sequential([keras.Input((6,)), keras.layers.Dense(n_outputs, name="dense")])

    network = keras.Sequential([keras.Input((6,)), block(6), block(3)])
    with pytest.raises(ValueError, match=r"no name that two of them have\. Received: adapt_layers=\['dense'\]"):
        tfmeta.ANIL(network, adapt_layers=["dense"])
    assert tfmeta.ANIL(network).positions == (2, 3)


def test_it_has_the_options_of_maml_and_says_what_adapts(random_episodes):
    network = smooth_network()
    episode = task(random_episodes())
    free, clipped = (tfmeta.ANIL(network, inner_lr=0.3, inner_steps=1, **o) for o in ({}, {"inner_clip_norm": 0.05}))
    start = [v.numpy() for v in network.trainable_variables]
    steps = [
        [a.numpy() - b for a, b in zip(learner.fast_weights(episode), start, strict=True)]
        for learner in (free, clipped)
    ]
    for body in steps[0][:2] + steps[1][:2]:
        np.testing.assert_array_equal(body, np.zeros_like(body))
    norm = np.sqrt(sum(np.sum(s**2) for s in steps[0]))
    assert norm > 0.3 * 0.05
    for a, b in zip(*steps, strict=True):
        np.testing.assert_allclose(b, a * 0.3 * 0.05 / norm, rtol=1e-6, atol=1e-12)
    assert free.evaluation_settings()["adapted"] == "last layer"
    assert tfmeta.ANIL(network, adapt_layers=["body", "head"]).evaluation_settings()["adapted"] == "body, head"
