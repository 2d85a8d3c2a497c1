"""Networks that cannot be differentiated twice are named; those that can are left alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfmeta
from tfmeta import functional
from tfmeta.core.exact import exact_derivatives
from tfmeta.core.second_derivatives import check_twice_differentiable

pytestmark = pytest.mark.slow


def network(*middle, shape=(6, 6, 3)):
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(3, 3, padding="same", name="first")
    return keras.Sequential([keras.Input(shape), conv, *middle, layers.Flatten(), layers.Dense(2)])


def own(function):
    class Own(layers.Layer):
        def call(self, x):
            return function(x)

    return Own(name="own")


def in_numpy(x):
    y = tf.numpy_function(lambda a: 2 * a, [x], x.dtype)
    y.set_shape(x.shape)
    return y


SILENT = {
    "fake quantisation": (lambda: own(tf.quantization.fake_quant_with_min_max_args), "FakeQuantWithMinMaxArgsGradient"),
    "hue": (lambda: own(lambda x: tf.image.hsv_to_rgb(tf.nn.sigmoid(x))), "HSVToRGB"),
    "numpy": (lambda: own(in_numpy), "PyFunc"),
    "raw resize": (
        lambda: own(lambda x: tf.raw_ops.ResizeBilinear(images=x, size=[3, 3])), "ResizeBilinearGrad"),
}  # fmt: skip
LOUD = {
    "softsign": (lambda: layers.Activation("softsign", name="own"), "SoftsignGrad"),
    "nearest": (lambda: layers.Resizing(3, 3, interpolation="nearest", name="own"), "ResizeNearestNeighborGrad"),
    "bicubic": (lambda: layers.UpSampling2D(2, interpolation="bicubic", name="own"), "ResizeBicubicGrad"),
    "local response": (lambda: own(tf.nn.local_response_normalization), "LRNGrad"),
}


@pytest.mark.parametrize(("layer", "operation"), [*SILENT.values(), *LOUD.values()], ids=[*SILENT, *LOUD])
def test_layer_and_operation_are_named_before_training(layer, operation):
    model = network(layer())
    with pytest.raises(ValueError, match=rf"twice differentiable.*layer 'own' uses {operation}"):
        check_twice_differentiable(model, tf.zeros([2, 6, 6, 3]))
    y = tf.constant([[0, 1]])
    episodes = tfmeta.Episode(tf.ones([1, 2, 6, 6, 3]), y, tf.zeros([1, 2, 6, 6, 3]), y)
    learner = tfmeta.MAML(model)
    learner.compile("sgd")
    with pytest.raises(ValueError, match=f"uses {operation}"):
        learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0)


def test_first_order_methods_take_them():
    y = tf.constant([[0, 1]])
    x = tf.constant(np.random.default_rng(0).normal(size=(1, 2, 6, 6, 3)).astype(np.float32))
    episodes = tf.data.Dataset.from_tensors(tfmeta.Episode(x, y, x, y))
    for learner in (tfmeta.MAML(network(layers.Activation("softsign")), first_order=True),
                    tfmeta.Reptile(network(layers.Activation("softsign")))):  # fmt: skip
        learner.compile("sgd")
        assert np.isfinite(learner.fit(episodes, verbose=0).history["loss"][0])


@pytest.mark.parametrize(
    "middle",
    [
        [],
        [layers.UpSampling2D(2, interpolation="bilinear")],
        [layers.BatchNormalization(), layers.LayerNormalization()],
        [layers.MaxPooling2D(), layers.Activation("gelu")],
        [layers.Reshape((6, 18)), layers.GRU(2, use_cudnn=False)],
        [layers.RandomRotation(0.1), layers.Dropout(0.5)],
    ],
    ids=["convolution", "bilinear", "norms", "pooling", "recurrent", "random"],
)
def test_what_can_be_differentiated_twice_passes(middle):
    check_twice_differentiable(network(*middle), tf.zeros([2, 6, 6, 3]))


def test_an_operation_on_the_inputs_alone_is_no_hindrance():
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(own(tf.image.hsv_to_rgb)(inputs))))
    check_twice_differentiable(model, tf.zeros([2, 6, 6, 3]))


def matrix(before, after):
    """Bilinear resizing along one axis as a matrix `[after, before]`: half-pixel centres, edges repeated."""
    weights = np.zeros((after, before), np.float32)
    for i in range(after):
        at = (i + 0.5) * before / after - 0.5
        low = int(np.floor(at))
        for j, share in ((low, 1 - (at - low)), (low + 1, at - low)):
            weights[i, min(max(j, 0), before - 1)] += share
    return weights


@pytest.mark.parametrize("mode", ["nested", "mixed"])
def test_bilinear_resizing_has_the_second_derivative_of_its_matrix(mode):
    up = tf.constant(matrix(6, 9))
    twin = own(lambda x: tf.einsum("ph,bhwc,qw->bpqc", up, x, up))
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype(np.float32))
    episode = tfmeta.Episode(x, tf.constant([0, 1, 0, 1]), x + 0.3, tf.constant([0, 1, 0, 1]))

    def gradient(middle):
        keras.utils.set_random_seed(0)
        model = network(layers.Activation("tanh"), middle, layers.Conv2D(2, 3, activation="tanh"))
        params = functional.values(model.trainable_variables)
        return functional.meta_gradient(model, params, episode, inner_lr=0.5, inner_steps=2, gradient_mode=mode)

    found, wanted = gradient(layers.Resizing(9, 9)), gradient(twin)
    assert float(found.loss) == pytest.approx(float(wanted.loss), rel=1e-5)
    for a, b in zip(found.gradients, wanted.gradients, strict=True):
        assert float(tf.norm(a - b)) < 1e-3 * float(tf.norm(b))


@pytest.mark.parametrize("size", [(9, 3), (2, 2), (7, 5)])
def test_exact_resizing_gives_tensorflows_numbers(size):
    images = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32))
    outside = tf.image.resize(images, size)
    with exact_derivatives():
        for one, other in ((images, outside), (images[0], outside[0])):
            found = tf.image.resize(one, size)
            assert found.shape == other.shape
            np.testing.assert_array_equal(found, other)
        kept = tf.image.resize(images, size, antialias=True)
    np.testing.assert_array_equal(kept, tf.image.resize(images, size, antialias=True))
    assert tf.image.resize.__module__.startswith("tensorflow")
