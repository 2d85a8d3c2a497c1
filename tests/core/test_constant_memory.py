import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.algorithms.pieces import two_blocks
from tfmeta import functional, networks
from tfmeta.core.episode import Episode


def conv_case(dtype, make):
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        network = make()
    finally:
        keras.config.set_dtype_policy(policy)
    x = [tf.constant(rng.normal(size=(n, 16, 16, 1)).astype(dtype)) for n in (3, 6)]
    y = [tf.constant(np.tile(np.arange(3), r).astype(np.int32)) for r in (1, 2)]
    return network, Episode(x[0], y[0], x[1], y[1])


def conv4():
    return networks.conv4(3, filters=4, input_shape=(16, 16, 1))


def strides():
    return two_blocks(3)


def pools():
    return two_blocks(3, downsample="pool")


def both_modes(network, episode, inner_lr, inner_steps):
    params = functional.values(network.trainable_variables)

    def compute(mode):
        return functional.meta_gradient(
            network, params, episode, inner_lr=inner_lr, inner_steps=inner_steps, gradient_mode=mode
        )

    # In one graph, which is traced and made ready once.
    return tf.function(lambda: (compute("nested"), compute("mixed")), autograph=False)()


def relative_error(a, b):
    a, b = (np.concatenate([np.ravel(t) for t in tensors]) for tensors in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(a)


# One step has no loop; what networks compute within it does not depend on that.
@pytest.mark.slow
@pytest.mark.parametrize(("make", "inner_steps"), [(strides, 1), (strides, 5), (pools, 5)])
def test_both_modes_agree_to_1e_10_in_float64_with_batch_norm(make, inner_steps):
    nested, mixed = both_modes(*conv_case("float64", make), 0.1, inner_steps)
    assert relative_error(nested.gradients, mixed.gradients) < 1e-10
    assert float(nested.loss) == pytest.approx(float(mixed.loss), rel=1e-12)


@pytest.mark.slow
def test_both_modes_agree_to_rounding_in_float32():
    """On the whole of conv4."""
    nested, mixed = both_modes(*conv_case("float32", conv4), 0.1, 3)
    assert relative_error(nested.gradients, mixed.gradients) < 1e-5


@pytest.mark.slow
def test_vector_rates_and_their_own_gradient_agree():
    """Half of the tensors have a rate each, the other half one for every weight; kernels are of both kinds."""
    network, episode = conv_case("float64", strides)
    rng = np.random.default_rng(3)
    weights = network.trainable_variables
    rates = [tf.constant(rng.uniform(0.05, 0.2, size=w.shape if i % 2 else ())) for i, w in enumerate(weights)]
    assert all({1, 4} <= {len(w.shape) for w in half} for half in (weights[::2], weights[1::2]))
    nested, mixed = both_modes(network, episode, rates, 3)
    assert relative_error(nested.gradients, mixed.gradients) < 1e-10
    assert len(nested.rate_gradients) == len(rates)
    assert relative_error(nested.rate_gradients, mixed.rate_gradients) < 1e-10


def test_graph_does_not_grow_with_inner_steps():
    network, episode = conv_case("float32", lambda: networks.mlp(3, hidden=(4,), input_shape=(16, 16, 1)))
    params = functional.values(network.trainable_variables)

    def nodes(mode, inner_steps):
        graph = tf.function(
            lambda: functional.meta_gradient(
                network, params, episode, inner_lr=0.1, inner_steps=inner_steps, gradient_mode=mode
            ),
            autograph=False,
        ).get_concrete_function().graph.as_graph_def()  # fmt: skip
        return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)

    for mode in ("nested", "mixed"):
        assert nodes(mode, 20) == nodes(mode, 3)
