"""The papers' networks: shapes, parameters counted by hand, what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta import networks


@pytest.mark.parametrize(
    ("options", "dim"),
    [
        ({}, 256),  # 28 -> 14 -> 7 -> 4 -> 2: 2 * 2 * 64
        ({"downsample": "pool"}, 64),  # 28 -> 14 -> 7 -> 3 -> 1
        ({"input_shape": (16, 16, 1)}, 64),  # 16 -> 8 -> 4 -> 2 -> 1
        ({"input_shape": (16, 16, 1), "downsample": "pool"}, 64),
        ({"input_shape": (84, 84, 3), "downsample": "pool", "filters": 32}, 800),  # 84 -> 42 -> 21 -> 10 -> 5
        ({"input_shape": (84, 84, 3), "filters": 32}, 1152),  # 84 -> 42 -> 21 -> 11 -> 6
        ({"input_shape": (32, 20, 2), "filters": 5}, 20),  # 32 -> .. -> 2 and 20 -> 10 -> 5 -> 3 -> 2
    ],
)
def test_encoders_have_the_papers_dimensions(options, dim):
    encoder = networks.conv4(**options)
    shape = options.get("input_shape", (28, 28, 1))
    assert encoder.input_shape == (None, *shape)
    assert encoder.output_shape == (None, dim)
    assert encoder(np.zeros((3, *shape), np.float32)).shape == (3, dim)


@pytest.mark.parametrize("downsample", ["stride", "pool"])
def test_parameters_by_hand(downsample):
    network = networks.conv4(5, downsample=downsample)
    convolutions = 3 * 3 * 1 * 64 + 3 * (3 * 3 * 64 * 64)
    scale_and_offset = 4 * 2 * 64
    head = 64 * 5 + 5
    trainable = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    assert trainable == convolutions + scale_and_offset + head == 112_005
    assert network.count_params() == trainable + 4 * 2 * 64  # moving averages
    encoder = networks.conv4(filters=7, input_shape=(20, 16, 3), downsample=downsample)
    assert encoder.count_params() == 9 * (3 * 7 + 3 * 7 * 7) + 4 * 4 * 7


def test_the_head_is_a_linear_map_of_the_mean_over_space():
    keras.utils.set_random_seed(0)
    network = networks.conv4(3, filters=4, input_shape=(32, 32, 2), name="mine")
    assert network.name == "mine"
    x = tf.constant(np.random.default_rng(0).normal(size=(6, 32, 32, 2)), tf.float32)
    maps = keras.Model(network.inputs, network.layers[-3].output)(x, training=True).numpy()
    assert maps.shape == (6, 2, 2, 4)
    assert maps.min() == 0.0, "ReLU comes last"
    head = network.get_layer("head")
    expected = maps.mean(axis=(1, 2)) @ head.kernel.numpy() + head.bias.numpy()
    np.testing.assert_allclose(network(x, training=True), expected, rtol=1e-4, atol=1e-5)


def test_a_block_is_convolution_batch_norm_relu_and_perhaps_pooling():
    kinds = {"stride": ["Conv2D", "BatchNormalization", "ReLU"]}
    kinds["pool"] = [*kinds["stride"], "MaxPooling2D"]
    for downsample, block in kinds.items():
        network = networks.conv4(4, downsample=downsample)
        assert [type(layer).__name__ for layer in network.layers[1:-2]] == block * 4
        convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
        assert {layer.strides for layer in convolutions} == {(2, 2) if downsample == "stride" else (1, 1)}
        assert not any(layer.use_bias for layer in convolutions)
        norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert {layer.momentum for layer in norms} == {0.9}


def test_networks_are_ordinary_models_that_are_saved(tmp_path):
    for network, shape in (
        (networks.conv4(3, filters=2, input_shape=(16, 16, 1)), (16, 16, 1)),
        (networks.mlp(), (1,)),
    ):
        network.save(tmp_path / "network.keras")
        x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
        loaded = keras.models.load_model(tmp_path / "network.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), network.predict(x, verbose=0))


def test_mlp_of_the_sinusoid_experiment_by_hand():
    keras.utils.set_random_seed(0)
    network = networks.mlp()
    assert (network.input_shape, network.output_shape) == ((None, 1), (None, 1))
    assert network.count_params() == (1 * 40 + 40) + (40 * 40 + 40) + (40 + 1) == 1761
    x = np.linspace(-5.0, 5.0, 7, dtype=np.float32)[:, None]
    W, b, V, c, u, d = network.get_weights()
    expected = np.maximum(np.maximum(x @ W + b, 0) @ V + c, 0) @ u + d
    np.testing.assert_allclose(network(x), expected, rtol=1e-5, atol=1e-6)


def test_mlp_of_other_sizes():
    network = networks.mlp(3, hidden=(4,), input_shape=(2, 5), activation="tanh", name="small")
    assert network.name == "small"
    assert network.count_params() == 10 * 4 + 4 + 4 * 3 + 3
    x = np.random.default_rng(0).normal(size=(6, 2, 5)).astype(np.float32)
    W, b, V, c = network.get_weights()
    np.testing.assert_allclose(network(x), np.tanh(x.reshape(6, 10) @ W + b) @ V + c, rtol=1e-4, atol=1e-6)
    linear = networks.mlp(2, hidden=(), input_shape=(5,))
    assert linear.count_params() == 5 * 2 + 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_way": 0}, r"at least 1. Received: n_way=0"),
        ({"n_way": 2.0}, r"Received: n_way=2.0"),
        ({"filters": -4}, r"Received: filters=-4"),
        ({"input_shape": (28, 15, 1)}, r"at least 16 pixels each way.*Received: input_shape=\(28, 15, 1\)"),
        ({"input_shape": (28, 28)}, r"\(height, width, channels\).*Received: input_shape=\(28, 28\)"),
        ({"input_shape": (None, None, 1)}, r"\(height, width, channels\).*Received: input_shape=\(None, None, 1\)"),
        ({"input_shape": (28, 28, 0)}, r"\(height, width, channels\).*Received: input_shape=\(28, 28, 0\)"),
        ({"downsample": "max"}, r"'stride' or 'pool'. Received: downsample='max'"),
    ],
)
def test_bad_settings_of_conv4_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        networks.conv4(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_outputs": 0}, r"Received: n_outputs=0"), ({"hidden": (40, 0)}, r"Received: hidden\[1\]=0")],
)
def test_bad_settings_of_mlp_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        networks.mlp(**options)
