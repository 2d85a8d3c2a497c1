"""What a network's outputs mean: logits, probabilities or targets, and what can be counted of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.forward import forward, values
from tfmeta.core.losses import largest
from tfmeta.training.network_checks import known_shape

_SQUASHED = {"Softmax": "a softmax", "Sigmoid": "a sigmoid"}
_ONE_HOT = ("categorical_crossentropy", "categorical_focal_crossentropy")
_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")


class Hits(NamedTuple):
    """How a prediction is compared with a target.

    Args:
        label: of targets `[batch, ...]` the classes that they name, int32 `[batch]`.
        prediction: of outputs `[batch, ...]` the classes that they choose, int32 `[batch]`.
    """

    label: Callable[[tf.Tensor], tf.Tensor]
    prediction: Callable[[tf.Tensor], tf.Tensor]

    def share(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The accuracy of one batch, a float32 scalar."""
        return tf.reduce_mean(tf.cast(self.prediction(outputs) == self.label(targets), tf.float32))


class Outputs(NamedTuple):
    """What is known of a network's outputs before it is used.

    Args:
        shape: of one example's output, `None` where it is not known.
        last: type of the last operation that changes numbers, such as `"Softmax"`.
    """

    shape: tuple[int | None, ...]
    last: str


def outputs_of(network: keras.Model, x: Any) -> Outputs:
    """Trace a network and look at its end.

    Args:
        network: a built Keras model.
        x: inputs `[batch, ...]`, a tensor or a nest of them, of which only types and shapes are looked at.

    Returns:
        `Outputs`.

    Raises:
        ValueError: if there are several outputs.

    References:
        TensorFlow, `tf.Graph`. https://www.tensorflow.org/api_docs/python/tf/Graph
    """
    like = tf.nest.map_structure(lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype), x)
    params = values(network.trainable_variables)
    with tf.init_scope():
        traced = tf.function(lambda x: forward(network, params, x), autograph=False).get_concrete_function(like)
    if not isinstance(traced.structured_outputs, tf.Tensor):
        raise ValueError(
            "a network must have one output, on which the loss is taken. "
            f"Received: network={network.name!r} with {len(tf.nest.flatten(traced.structured_outputs))}"
        )
    operation = traced.outputs[0].op
    while operation.type in ("Identity", "Cast", "Reshape", "Squeeze"):
        operation = operation.inputs[0].op
    return Outputs(tuple(traced.outputs[0].shape[1:]), operation.type)


def check_loss(network: keras.Model, loss, ends: Outputs, x: Any, classification: bool) -> None:
    """Refuse a loss of logits on probabilities, and a loss of probabilities on logits.

    Args:
        network: a built Keras model.
        loss: the learner's loss function; None for its own, cross-entropy of logits or squared error.
        ends: `outputs_of` the network.
        x: inputs `[batch, ...]`.
        classification: whether labels are class indices.

    Raises:
        ValueError: naming the network and its last operation, or the loss.
    """
    from_logits = classification if loss is None else takes_logits(loss)
    squashed = _SQUASHED.get(ends.last)
    if from_logits and squashed:
        raise ValueError(
            "the network must return logits, since the loss applies the softmax itself; take the activation off, or "
            f"give a loss with from_logits=False. Received: network={network.name!r}, which ends in {squashed}"
        )
    if loss is not None and from_logits is False and not squashed:
        outputs = tf.convert_to_tensor(network(x, training=False))
        if float(tf.reduce_min(outputs)) < 0 or float(tf.reduce_max(outputs)) > 1 + 1e-5:
            raise ValueError(
                "a loss with from_logits=False needs probabilities, but the network returns logits; say "
                f"from_logits=True. Received: loss={name_of(loss)}, outputs from {float(tf.reduce_min(outputs)):.3g} "
                f"to {float(tf.reduce_max(outputs)):.3g}"
            )


def loss_named(loss) -> Callable | None:
    """A loss function by its name, itself or None.

    Raises:
        ValueError: if there is no such loss.
    """
    try:
        found = keras.losses.get(loss)
    except (TypeError, ValueError):
        found = None
    if (found is None) != (loss is None):
        raise ValueError(f"loss must be a function of (targets, outputs), a Keras loss or its name. Received: {loss=}")
    return found


def name_of(loss) -> str:
    """A loss function's name, in snake case."""
    name = getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)
    return str(name)


def takes_logits(loss) -> bool | None:
    """Whether a loss takes logits; None where it does not say."""
    if isinstance(loss, keras.losses.Loss):
        return loss.get_config().get("from_logits") if _known(loss.get_config) else None
    try:
        default = inspect.signature(loss).parameters.get("from_logits")
    except (TypeError, ValueError):
        return None
    return None if default is None else bool(default.default)


def _known(get_config: Callable) -> bool:
    try:
        return isinstance(get_config(), dict)
    except NotImplementedError:  # a loss of one's own
        return False


def hits_of(learner, task: Episode) -> Hits | None:
    """How hits on a task of a learner are counted.

    Args:
        learner: an `EpisodicLearner`.
        task: an `Episode` without a meta-batch axis, of which only types and shapes are looked at.

    Returns:
        As `hits_for`.
    """
    shape = (None,) if learner.method.makes_head else known_shape(learner.network, "output_shape")
    shape = learner.ends(task.query_x).shape if shape is None else shape
    return hits_for(learner.loss_function, task.query_y, shape)


def hits_for(loss, targets: tf.TensorSpec | tf.Tensor, outputs: tuple[int | None, ...]) -> Hits | None:
    """How hits are counted, None where there is no such thing.

    Args:
        loss: the learner's loss function; None for its own.
        targets: of one batch `[batch, ...]`; only type and shape are looked at.
        outputs: shape of one example's output.

    Returns:
        For labels `[batch]` and outputs `[batch, n_way]` a hit is the largest output at the label; for one-hot targets
        under a categorical cross-entropy the largest output at the largest target; for targets and a single output
        under a binary cross-entropy the output on the right side of the threshold. Otherwise None: several labels at
        once, distances and values have no accuracy.

    References:
        Vinyals et al. (2016), section 4. https://arxiv.org/abs/1606.04080
    """
    name, rank = "" if loss is None else name_of(loss), len(targets.shape)
    wide = len(outputs) == 1 and outputs[0] != 1
    if rank == 1 and wide:
        return LABELS if targets.dtype.is_integer else None
    if rank == 2 and targets.shape[1] == 1 and wide and targets.dtype.is_integer and name not in _BINARY + _ONE_HOT:
        return Hits(lambda targets: tf.cast(targets[:, 0], tf.int32), largest)
    if rank == 2 and wide and name in _ONE_HOT:
        return Hits(largest, largest)
    single = outputs in ((), (1,)) and (rank == 1 or targets.shape[1:] == (1,))
    if single and name in _BINARY:
        return Hits(_above(0.5), _above(0.0 if takes_logits(loss) else 0.5))
    return None


def _as_they_are(labels: tf.Tensor) -> tf.Tensor:
    return tf.cast(labels, tf.int32)


def _above(threshold: float) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda numbers: tf.cast(tf.cast(tf.reshape(numbers, [-1]), tf.float32) > threshold, tf.int32)


# Of whole numbers [batch] and outputs [batch, n_way].
LABELS = Hits(_as_they_are, largest)
