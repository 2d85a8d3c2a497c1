"""What a learner of trials is given, checked before any work starts: a recurrent policy, and tasks."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from tfmeta.core.trials import Environment


def check_policy(policy: keras.Model, environment: Environment) -> None:
    """Refuse a policy that has no recurrent state, or other sizes than the environment.

    Args:
        policy: what should be as `tfmeta.networks.recurrent_policy` makes it.
        environment: whose observations it reads.

    Raises:
        TypeError: if it is no functional Keras model.
        ValueError: naming what does not fit.
    """
    inputs, outputs = getattr(policy, "inputs", None), getattr(policy, "outputs", None)
    if not isinstance(policy, keras.Model) or not inputs:
        raise TypeError(
            "policy must be a functional Keras model, such as tfmeta.networks.recurrent_policy(environment). "
            f"Received: policy of type {type(policy).__name__}"
        )
    shapes = f"inputs {[tuple(i.shape) for i in inputs]} and outputs {[tuple(o.shape) for o in outputs]}"
    if len(inputs) < 2 or len(outputs) != 1 + len(inputs):
        raise ValueError(
            "policy must have a recurrent state: inputs (sequences, states ...) and outputs (numbers of the choice, "
            f"values, states ...). Received: policy with {shapes}"
        )
    spaces = environment.actions
    wanted = {
        "sequences": (inputs[0].shape, (None, None, environment.observation_size + spaces.code_size + 2)),
        "numbers of the choice": (outputs[0].shape, (None, None, spaces.n_outputs)),
        "values": (outputs[1].shape, (None, None, 1)),
    }
    for i, state in enumerate(inputs[1:]):
        if len(state.shape) != 2 or state.shape[-1] is None:
            raise ValueError(f"policy must have states [batch, units]. Received: policy with {shapes}")
        wanted[f"state {i} after a step"] = (outputs[2 + i].shape, tuple(state.shape))
    for name, (found, right) in wanted.items():
        if tuple(found) != right:
            raise ValueError(
                f"policy must have {name} of shape {right} for {environment!r}. Received: {tuple(found)}, in a policy "
                f"with {shapes}"
            )


@functools.cache
def _spec(environment: Environment) -> Any:
    drawn = environment.sample_tasks(2, tf.constant([0, 0], tf.int64))
    return tf.nest.map_structure(lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), drawn)


def check_tasks(tasks: Any, environment: Environment) -> int:
    """Refuse what are no tasks of an environment, by types and shapes alone.

    Args:
        tasks: a meta-batch.
        environment: whose tasks they should be.

    Returns:
        The number of tasks.

    Raises:
        ValueError: naming what was given and what was expected.
    """
    with tf.init_scope():
        wanted = _spec(environment)
    try:
        tf.nest.assert_same_structure(wanted, tasks)
        found = tf.nest.map_structure(_as_spec, tasks)
        pairs = list(zip(tf.nest.flatten(found), tf.nest.flatten(wanted), strict=True))
        fits = all(t.dtype == s.dtype and t.shape.is_compatible_with(s.shape) for t, s in pairs)
        numbers = {t.shape[0] for t, _ in pairs}
    except (TypeError, ValueError, IndexError):
        fits, numbers = False, set()
    if not fits or len(numbers) != 1 or None in numbers or 0 in numbers:
        raise ValueError(
            f"tasks must be a meta-batch of {environment!r} of a known size, {_in_words(wanted)}, such as "
            f"tfmeta.tasks.task_stream makes. Received: {_in_words(tasks)}"
        )
    return numbers.pop()


def as_task_dataset(given: Any, environment: Environment, name: str) -> tf.data.Dataset:
    """A dataset of meta-batches of tasks, checked by its types and shapes.

    Args:
        given: such a dataset, or one meta-batch.
        environment: whose tasks they should be.
        name: the argument's name, for the message.

    Returns:
        The dataset.

    Raises:
        ValueError: if it holds anything else.
    """
    try:
        if isinstance(given, tf.data.Dataset):
            check_tasks(given.element_spec, environment)
            return given
        check_tasks(given, environment)
    except ValueError as error:
        raise ValueError(f"{name} must be a dataset of tasks: {error}") from error
    return tf.data.Dataset.from_tensors(given)


def _as_spec(value: Any) -> tf.TensorSpec:
    if not isinstance(value, tf.TensorSpec):
        value = tf.convert_to_tensor(value)
    return tf.TensorSpec(value.shape, value.dtype)


def _in_words(tasks: Any) -> str:
    def one(value):
        if not hasattr(value, "shape") or not hasattr(value, "dtype"):
            return type(value).__name__
        return f"{tf.as_dtype(value.dtype).name}{list(value.shape)}"

    try:
        found = tf.nest.map_structure(one, tasks)
    except (TypeError, ValueError):
        return type(tasks).__name__
    return str(found).replace("'", "")
