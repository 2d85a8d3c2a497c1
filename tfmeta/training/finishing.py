"""What an adapted model carries beside its network: the range of its images, and the names of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfmeta.training.copies import followed_by
from tfmeta.training.scale import Scale, between, limits


@keras.saving.register_keras_serializable("tfmeta")
class InputRange(keras.layers.Layer):
    """Gives its inputs on as they are, and refuses images in another range than those of training.

    A network takes numbers from 0 to 255 in silence and answers at chance. In a program that XLA compiles the check is
    left out.

    Args:
        low: the smallest number that is still let through.
        high: the largest one.
        options: of `keras.layers.Layer`.

    Raises:
        tf.errors.InvalidArgumentError: when it is called on others.

    References:
        TensorFlow, `tf.debugging.Assert`. https://www.tensorflow.org/api_docs/python/tf/debugging/Assert
    """

    def __init__(self, low: float, high: float, **options):
        super().__init__(**({"autocast": False, "trainable": False} | options))
        self.low, self.high = float(low), float(high)

    def call(self, x):
        """The inputs `[batch, ...]` themselves."""
        least, largest = (tf.cast(end, tf.float32) for end in (tf.reduce_min(x), tf.reduce_max(x)))
        checked = tf.debugging.Assert(
            (self.low <= least) & (largest <= self.high),
            [between(self.low, self.high), least, "to", largest],
        )
        with tf.control_dependencies([] if checked is None else [checked]):
            return tf.identity(x)

    def compute_output_shape(self, input_shape):
        """That of the inputs."""
        return input_shape

    def get_config(self):
        """The limits."""
        return super().get_config() | {"low": self.low, "high": self.high}


@keras.saving.register_keras_serializable("tfmeta")
class ClassNames(keras.layers.Layer):
    """Gives its inputs on as they are, and keeps the names of a model's classes in its file.

    Args:
        class_names: `[n_way]`, name k for output k.
        options: of `keras.layers.Layer`.

    References:
        Vinyals et al. (2016), section 3: the labels of an episode. https://arxiv.org/abs/1606.04080
    """

    def __init__(self, class_names: Sequence[str], **options):
        super().__init__(**({"autocast": False, "trainable": False} | options))
        self.class_names = tuple(class_names)

    def call(self, x):
        """The inputs `[batch, n_way]` themselves."""
        return x

    def compute_output_shape(self, input_shape):
        """That of the inputs."""
        return input_shape

    def get_config(self):
        """The names."""
        return super().get_config() | {"class_names": list(self.class_names)}


def finish(model: keras.Model, example: Any, scale: Scale | None, class_names: Sequence[str] | None) -> keras.Model:
    """An adapted model that knows the range of its images and the names of its classes.

    Args:
        model: `[batch, ...]` to outputs.
        example: inputs `[batch, ...]`, of which only type and shape are looked at.
        scale: range of the images of training; None where there were none.
        class_names: names of the outputs; None where there are none.

    Returns:
        The model itself where there is neither.
    """
    known = scale is not None and scale.high > 0
    before = [InputRange(*limits(scale), name="input_range")] if known else []
    after = [] if class_names is None else [ClassNames(class_names, name="class_names")]
    if (
        isinstance(model, keras.Sequential) and before + after
    ):  # its layers stay in sight, the head the last with weights
        return keras.Sequential([keras.Input(example.shape[1:]), *before, *model.layers, *after], name=model.name)
    for layer in before:
        model = followed_by(model, layer, example)
    for layer in after:
        model = followed_by(layer, model, example)
    return model


def predicting_quietly(model: keras.Model) -> keras.Model:
    """An adapted model whose first `predict` is no reason for TensorFlow's advice: every task has a model of its own.

    Args:
        model: the model.

    Returns:
        The same.
    """
    model.make_predict_function()  # which traces nothing yet
    if hasattr(model.predict_function, "_omit_frequent_tracing_warning"):  # TensorFlow has no public switch
        model.predict_function._omit_frequent_tracing_warning = True
    return model


def labels_and_names(support_y: Any, class_names: Sequence[str] | None) -> tuple[Any, tuple[str, ...] | None]:
    """Labels as numbers, and what they are called.

    Args:
        support_y: labels `[n]`, numbers or names; or targets.
        class_names: names of the classes `[n_way]`; of names by default those, in alphabetical order.

    Returns:
        Numbers `[n]`, or what was given where it holds no names; and the names, None where there are none.

    Raises:
        ValueError: if there are other names than labels, one twice, or `class_names` is no list of texts.
    """
    given = None if class_names is None else tuple(class_names) if not isinstance(class_names, str) else (0,)
    if given is not None and (not all(isinstance(n, str) and n for n in given) or len(set(given)) < len(given)):
        raise ValueError(f"class_names must be different texts, one a class. Received: class_names={class_names!r}")
    found = None if tf.is_tensor(support_y) else np.asarray(support_y)
    words = found is not None and found.ndim == 1 and len(found) and all(isinstance(y, str) for y in found.tolist())
    if words:
        names = tuple(sorted(set(found.tolist()))) if given is None else given
        if unknown := sorted(set(found.tolist()) - set(names)):
            raise ValueError(f"labels must be among class_names, {', '.join(names)}. Received: {unknown[0]!r}")
        number = {name: k for k, name in enumerate(names)}
        return np.array([number[name] for name in found.tolist()], np.int32), names
    if given is not None:
        largest = int(np.max(np.asarray(support_y))) if np.asarray(support_y).dtype.kind in "iu" else None
        if largest is None or largest != len(given) - 1:
            raise ValueError(
                f"class_names must have one name for each label from 0 on. Received: {len(given)} class_names, "
                + ("targets that are no labels" if largest is None else f"labels up to {largest}")
            )
    return support_y, given


class ClassPredictions(NamedTuple):
    """What a model says of some inputs.

    Args:
        labels: the class that is most probable, int64 `[n]`.
        names: its name, `[n]`; "class 0" and so on where the model has no names.
        probabilities: of all classes, float64 `[n, n_way]`.

    References:
        Snell et al. (2017), equation 2. https://arxiv.org/abs/1703.05175
    """

    labels: np.ndarray
    names: list[str]
    probabilities: np.ndarray


def class_names_of(model: keras.Model) -> tuple[str, ...] | None:
    """The names of an adapted model's classes, None where it has none.

    Args:
        model: what `adapt(..., class_names=...)` returned, or the same loaded from its file.

    Returns:
        `[n_way]`, name k for output k.

    References:
        Keras, `keras.Model.layers`. https://keras.io/api/models/model/
    """
    found = [layer.class_names for layer in getattr(model, "layers", []) if isinstance(layer, ClassNames)]
    return found[-1] if found else None


def predict_classes(model: keras.Model, x: Any) -> ClassPredictions:
    """Predict by name: the model's `predict` gives logits, and this probabilities and class names.

    Args:
        model: a model that classifies, such as an adapted one.
        x: inputs `[n, ...]`, scaled as in training.

    Returns:
        `ClassPredictions`. Outputs that are probabilities already are taken as they are.

    Raises:
        TypeError: if `model` has no `predict`.
        ValueError: if its outputs are not `[n, n_way]` with at least two classes.

    References:
        Snell et al. (2017), equation 2. https://arxiv.org/abs/1703.05175
    """
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"model must be a Keras model. Received: model of type {type(model).__name__}")
    outputs = np.asarray(model.predict(x, verbose=0), np.float64)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(f"outputs must be [n, n_way], n_way at least 2. Received: outputs of shape {outputs.shape}")
    if outputs.min() < 0 or not np.allclose(outputs.sum(axis=1), 1.0, atol=1e-3):
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        outputs = shifted / shifted.sum(axis=1, keepdims=True)
    labels = outputs.argmax(axis=1)
    names = class_names_of(model) or tuple(f"class {k}" for k in range(outputs.shape[1]))
    return ClassPredictions(labels, [names[k] for k in labels], outputs)
