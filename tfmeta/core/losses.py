"""What the two loops lower, and what is counted: losses and accuracy on one batch or one task."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.forward import Predictor, Tensors, forward, gradient
from tfmeta.core.tensor_checks import check_labels_of
from tfmeta.core.validation import check_rate

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of a batch.

    Args:
        labels: integers `[batch]` from 0 to `n_way - 1`.
        logits: `[batch, n_way]`.

    Returns:
        A scalar.

    References:
        Finn et al. (2017), equation 3. https://arxiv.org/abs/1703.03400

    Note:
        The paper's code sums over the classes of a task where this takes the mean over examples, so its inner step
        sizes are `n_way` times smaller for the same update.
    """
    check_labels_of(labels, logits)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def default_loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of logits for whole numbers, mean squared error for other targets.

    Args:
        targets: integers `[batch]`, or targets `[batch, n_outputs]`.
        outputs: logits `[batch, n_way]`, or values `[batch, n_outputs]`.

    Returns:
        A scalar.

    References:
        Finn et al. (2017), equations 2 and 3. https://arxiv.org/abs/1703.03400
    """
    targets = tf.convert_to_tensor(targets)
    if targets.dtype.is_integer:
        return cross_entropy(targets, outputs)
    check_same_shape(targets, outputs)
    return tf.reduce_mean(tf.math.squared_difference(outputs, tf.cast(targets, outputs.dtype)))


def check_same_shape(targets: tf.Tensor, outputs: tf.Tensor) -> None:
    """Refuse targets that would be compared with all outputs instead of with their own.

    Args:
        targets: `[batch, n_outputs]`.
        outputs: `[batch, n_outputs]`.

    Raises:
        ValueError: naming both shapes.
    """
    if not targets.shape.is_compatible_with(outputs.shape):
        raise ValueError(
            "targets must have the shape of the outputs, and labels must be integers. "
            f"Received: targets of shape {tuple(targets.shape)}, outputs of shape {tuple(outputs.shape)}"
        )


def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Fraction of examples whose largest logit is at the label; logits that are not numbers are wrong.

    Args:
        labels: integers `[batch]`.
        logits: `[batch, n_way]`.

    Returns:
        A float32 scalar from 0 to 1.

    References:
        Vinyals et al. (2016), section 4. https://arxiv.org/abs/1606.04080
    """
    check_labels_of(labels, logits)
    return tf.reduce_mean(tf.cast(largest(logits) == tf.cast(labels, tf.int32), tf.float32))


def largest(logits: tf.Tensor) -> tf.Tensor:
    """The class that each row of logits chooses.

    Args:
        logits: `[batch, n_way]`.

    Returns:
        int32 `[batch]`, -1 where a logit is not a number: such a row has no largest one.
    """
    chosen = tf.argmax(logits, axis=-1, output_type=tf.int32)
    if not logits.dtype.is_floating:
        return chosen
    return tf.where(tf.reduce_any(tf.math.is_nan(logits), axis=-1), -1, chosen)


def check_task(network: keras.Model | Predictor, episode: Episode, loss: Loss) -> None:
    """Refuse anything but a network, one task and a loss function.

    Args:
        network: a built Keras model, or a function of parameters and inputs.
        episode: one task, without a meta-batch axis.
        loss: function of (targets, outputs).

    Raises:
        TypeError: naming what is something else.
    """
    for name, value, kind in (("network", network, "keras.Model or a function"), ("loss", loss, "function")):
        if not callable(value) or isinstance(value, type):
            raise TypeError(f"{name} must be a {kind}. Received: {name}={value!r}")
    if not isinstance(episode, Episode):
        raise TypeError(f"episode must be an Episode. Received: episode of type {type(episode).__name__}")


def query_loss(
    network: keras.Model | Predictor,
    fast: Tensors,
    episode: Episode,
    *,
    loss: Loss = cross_entropy,
    adversarial_epsilon: float = 0.0,
    non_trainable: Tensors | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss that the outer loop lowers, at the fast weights.

    Args:
        network: a built Keras model, or a function of parameters and inputs.
        fast: theta', as for `forward`.
        episode: one task, without a meta-batch axis.
        loss: function of (targets, outputs).
        adversarial_epsilon: if above 0, the mean of the loss on the queries and on the queries moved by
            `epsilon * sign(gradient of the loss)` (FGSM), which is held constant. In units of the inputs: 0.1 is a
            tenth of the way from black to white.
        non_trainable: as for `forward`.

    Returns:
        The loss, a scalar, and the outputs on the queries as they are `[n_way * n_query, n_outputs]`.

    Raises:
        ValueError: if an epsilon is given and the network has several inputs.

    References:
        Finn et al. (2017), equation 2. https://arxiv.org/abs/1703.03400; Goodfellow et al. (2015), section 5, with
        alpha = 0.5. https://arxiv.org/abs/1412.6572

    Note:
        Moved images are not cut off at black and white, since inputs need not be images from 0 to 1.
    """
    check_task(network, episode, loss)
    check_rate("adversarial_epsilon", adversarial_epsilon)
    if not adversarial_epsilon:
        outputs = forward(network, fast, episode.query_x, non_trainable=non_trainable)
        return tf.reduce_mean(loss(episode.query_y, outputs)), outputs
    if not tf.is_tensor(episode.query_x):
        raise ValueError(
            "adversarial_epsilon must be 0 for a network with several inputs, of which some need not be images. "
            f"Received: adversarial_epsilon={adversarial_epsilon}"
        )
    with tf.GradientTape() as tape:
        tape.watch(episode.query_x)
        outputs = forward(network, fast, episode.query_x, non_trainable=non_trainable)
        value = tf.reduce_mean(loss(episode.query_y, outputs))
    (slope,) = gradient(tape, value, [episode.query_x])
    moved = tf.stop_gradient(episode.query_x + adversarial_epsilon * tf.sign(slope))
    moved_value = tf.reduce_mean(loss(episode.query_y, forward(network, fast, moved, non_trainable=non_trainable)))
    return 0.5 * (value + moved_value), outputs
