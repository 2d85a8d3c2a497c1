"""MAML in plain TensorFlow: one outer tape around a Python loop over the tasks, unrolled into one graph."""

import keras
import tensorflow as tf

from benchmarks.cases import ADAM_EPSILON, IMAGE_SHAPE, NORM_EPSILON, OUTER_LR


class BatchNorm(keras.layers.Layer):
    """Batch norm that always uses the batch's statistics and has a second derivative.

    Keras' own layer takes the variance from `tf.nn.moments`, which stops the gradient at the mean. That leaves the
    first derivative as it is and makes the second one wrong, without an error: 2 % on a small dense layer.
    """

    def build(self, shape):
        """Scale and offset."""
        self.gamma = self.add_weight(shape=shape[-1:], initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape[-1:], initializer="zeros", name="beta")

    def call(self, x):
        """Normalise every channel of [images, height, width, channels]."""
        mean = tf.reduce_mean(x, axis=(0, 1, 2))
        variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axis=(0, 1, 2))
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, NORM_EPSILON)


def cross_entropy(labels, logits):
    """Mean cross-entropy with integer labels."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def make_model(case, arrays):
    """conv4 as an ordinary Keras model holding the given weights."""
    weights = list(arrays["weights"].values())
    dtype = weights[0].dtype.name
    pool = case.downsample == "pool"
    model = keras.Sequential([keras.Input(IMAGE_SHAPE, dtype=dtype)])
    for _ in range(4):
        strides = 1 if pool else 2
        model.add(keras.layers.Conv2D(case.filters, 3, strides, padding="same", use_bias=case.conv_bias, dtype=dtype))
        model.add(BatchNorm(dtype=dtype))
        model.add(keras.layers.ReLU(dtype=dtype))
        if pool:
            model.add(keras.layers.MaxPooling2D(2, dtype=dtype))
    model.add(keras.layers.GlobalAveragePooling2D(dtype=dtype))
    model.add(keras.layers.Dense(case.n_way, dtype=dtype))
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)
    return model


def _gradient(case, model, batch):
    """Mean query loss and its gradient, with two nested tapes."""
    variables = model.trainable_variables
    constants = [v.value for v in model.non_trainable_variables]

    def loss_of(params, x, y):
        logits, _ = model.stateless_call(params, constants, x, training=True)
        return cross_entropy(y, logits)

    with tf.GradientTape() as outer:
        losses = []
        for i in range(case.tasks):
            params = [tf.convert_to_tensor(v.value) for v in variables]
            for _ in range(case.inner_steps):
                with tf.GradientTape() as inner:
                    inner.watch(params)
                    loss = loss_of(params, batch["support_x"][i], batch["support_y"][i])
                gradients = inner.gradient(loss, params)
                params = [p - case.inner_lr * g for p, g in zip(params, gradients, strict=True)]
            losses.append(loss_of(params, batch["query_x"][i], batch["query_y"][i]))
        loss = tf.reduce_mean(losses)
    return loss, outer.gradient(loss, [v.value for v in variables])


def _make(case, arrays):
    return make_model(case, arrays), {name: tf.constant(value) for name, value in arrays["batch"].items()}


def meta_gradient(case, arrays):
    """Loss and meta-gradient at the initial weights."""
    model, batch = _make(case, arrays)
    loss, gradients = tf.function(lambda: _gradient(case, model, batch))()
    return float(loss), {name: g.numpy() for name, g in zip(arrays["weights"], gradients, strict=True)}


def meta_loss(case, arrays):
    """Loss at the given weights, without Adam: for difference quotients."""
    return float(_gradient(case, *_make(case, arrays))[0])


def build(case, arrays):
    """The outer step."""
    model, batch = _make(case, arrays)
    optimizer = keras.optimizers.Adam(OUTER_LR, epsilon=ADAM_EPSILON)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=False)
    def update(batch):
        loss, gradients = _gradient(case, model, batch)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return lambda: float(update(batch))
