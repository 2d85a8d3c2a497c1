import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta import functional, networks
from tfmeta.core.episode import Episode


def conv_case(dtype, downsample):
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        network = networks.conv4(3, filters=4, input_shape=(16, 16, 1), downsample=downsample)
    finally:
        keras.config.set_dtype_policy(policy)
    x = [tf.constant(rng.normal(size=(n, 16, 16, 1)).astype(dtype)) for n in (3, 6)]
    y = [tf.constant(np.tile(np.arange(3), r).astype(np.int32)) for r in (1, 2)]
    return network, Episode(x[0], y[0], x[1], y[1])


def both_modes(network, episode, inner_lr, inner_steps):
    params = functional.values(network.trainable_variables)

    @tf.function
    def compute(mode):
        return functional.meta_gradient(
            network, params, episode, inner_lr=inner_lr, inner_steps=inner_steps, gradient_mode=mode
        )

    return compute("nested"), compute("mixed")


def relative_error(a, b):
    a, b = (np.concatenate([np.ravel(t) for t in tensors]) for tensors in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(a)


@pytest.mark.parametrize("downsample", ["stride", "pool"])
@pytest.mark.parametrize("inner_steps", [1, 5])
def test_both_modes_agree_to_1e_10_in_float64_with_batch_norm(downsample, inner_steps):
    nested, mixed = both_modes(*conv_case("float64", downsample), 0.1, inner_steps)
    assert relative_error(nested.gradients, mixed.gradients) < 1e-10
    assert float(nested.loss) == pytest.approx(float(mixed.loss), rel=1e-12)


def test_both_modes_agree_to_rounding_in_float32():
    nested, mixed = both_modes(*conv_case("float32", "stride"), 0.1, 3)
    assert relative_error(nested.gradients, mixed.gradients) < 1e-5


@pytest.mark.parametrize("shape", ["per tensor", "per weight"])
def test_vector_rates_and_their_own_gradient_agree(shape):
    network, episode = conv_case("float64", "stride")
    rng = np.random.default_rng(3)
    rates = [
        tf.constant(rng.uniform(0.05, 0.2, size=() if shape == "per tensor" else w.shape))
        for w in network.trainable_variables
    ]
    nested, mixed = both_modes(network, episode, rates, 3)
    assert relative_error(nested.gradients, mixed.gradients) < 1e-10
    assert len(nested.rate_gradients) == len(rates)
    assert relative_error(nested.rate_gradients, mixed.rate_gradients) < 1e-10


def test_graph_does_not_grow_with_inner_steps():
    network, episode = conv_case("float32", "stride")
    params = functional.values(network.trainable_variables)

    def nodes(mode, inner_steps):
        graph = tf.function(
            lambda: functional.meta_gradient(
                network, params, episode, inner_lr=0.1, inner_steps=inner_steps, gradient_mode=mode
            )
        ).get_concrete_function().graph.as_graph_def()  # fmt: skip
        return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)

    for mode in ("nested", "mixed"):
        assert nodes(mode, 20) == nodes(mode, 3)
