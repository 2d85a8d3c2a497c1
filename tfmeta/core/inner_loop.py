"""The inner loop, and the gradient through it that the outer loop follows.

There is no other inner loop in the library: training, evaluation, adaptation curves and `.adapt()` all use this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfmeta.core.forward import Tensors, gradient
from tfmeta.core.updates import Update

# Of the parameters and the number of steps taken: the support loss, or a pair of it and what else is to be kept.
SupportLoss = Callable[[Tensors, tf.Tensor], tf.Tensor | tuple[tf.Tensor, Any]]


class Watch(NamedTuple):
    """Something to look at before every inner step.

    Args:
        look: takes the parameters and the number of steps taken; gives a nest of tensors. Differentiable.
        like: `tf.TensorSpec`s of that nest.
    """

    look: Callable[[Tensors, tf.Tensor], Any]
    like: Any


class Adapted(NamedTuple):
    """Where an inner loop has come to.

    Args:
        params: the fast weights theta', tensors in the order of the initial ones.
        state: the update rule's state. Given to another `adapt`, the loop goes on from here.
        kept: what the support loss gave besides its value, a row for each step.
        seen: what was watched, a row for each step: before it was taken.
    """

    params: list[tf.Tensor]
    state: Any
    kept: Any = ()
    seen: Any = ()


def adapt(
    loss: SupportLoss,
    params: Tensors,
    update: Update,
    steps: int,
    *,
    first_order: bool = False,
    state: Any = None,
    first_step: int = 0,
    keep: Any = (),
    watch: Watch | None = None,
) -> Adapted:
    """Take inner steps on a support loss; differentiable in the parameters and in what the update rule learns.

    Args:
        loss: the support loss, a function of the parameters and the number of steps taken.
        params: theta, tensors.
        update: how they move.
        steps: M, how many steps to take, a number or a scalar tensor; 0 returns `params`.
        first_order: treat gradients as constants, so that no second derivative flows.
        state: the rule's state to go on from; by default a new one.
        first_step: number of steps taken before.
        keep: `tf.TensorSpec`s of what `loss` gives besides its value, which is held constant.
        watch: what to look at before every step.

    Returns:
        An `Adapted`.

    References:
        Finn et al. (2017), algorithm 1, lines 5 and 6. https://arxiv.org/abs/1703.03400
    """
    positions = update.positions(params)
    params = [tf.identity(weight) for weight in params]
    if state is None:
        state = update.init([params[i] for i in positions])
    watch = Watch(lambda params, k: (), ()) if watch is None else watch

    def step(i, params, state):
        k = first_step + i
        seen = watch.look(params, k)
        value, gradients, kept = value_and_gradient(loss, params, k, positions)
        if first_order:
            value, gradients = tf.nest.map_structure(tf.stop_gradient, (value, gradients))
        moving = [params[p] for p in positions]
        moved, state = update.step(k, moving, gradients, state, update.learned, *loss_read(update, value, moving))
        params = list(params)
        for p, weight in zip(positions, moved, strict=True):
            params[p] = weight
        return params, state, (kept, seen)

    if isinstance(steps, int) and steps == 1:  # without the loop's bookkeeping
        params, state, records = step(tf.constant(0), params, state)
        return Adapted(params, state, *tf.nest.map_structure(lambda tensor: tensor[None], records))

    def body(i, params, state, rows):
        params, state, records = step(i, params, state)
        return i + 1, params, state, write(rows, i, records)

    # A loop in the graph keeps the time to trace it the same for any number of steps; in eager code it is Python's.
    # It never runs side by side with itself, so one iteration at a time keeps memory lowest. XLA must know the maximum.
    _, params, state, rows = tf.while_loop(
        lambda i, *_: i < steps, body, (tf.constant(0), params, state, room((keep, watch.like), steps)),
        parallel_iterations=1, maximum_iterations=steps,
    )  # fmt: skip
    return Adapted(params, state, *tf.nest.map_structure(lambda row: row.stack(), rows))


def meta_gradient(task_loss: Callable[[Any], Any], params: Any) -> tuple[Any, Any]:
    """Value and gradient of a task's loss, through all that it computes.

    Args:
        task_loss: function of the parameters. It gives a scalar, or a tuple whose first entry is the scalar.
        params: any nest of tensors, such as named groups of them.

    Returns:
        What `task_loss` gave, and the gradient of its scalar: dense tensors, nested like `params`, zeros where the loss
        does not depend on one.

    References:
        Finn et al. (2017), equation 2 and algorithm 2, line 10. https://arxiv.org/abs/1703.03400
    """
    params = tf.nest.map_structure(tf.identity, params)
    with tf.GradientTape() as tape:
        tape.watch(params)
        found = task_loss(params)
    value = found[0] if isinstance(found, tuple) else found
    gradients = tape.gradient(value, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return found, tf.nest.map_structure(tf.convert_to_tensor, gradients)


def support_gradient(
    loss: SupportLoss, params: Tensors, k: tf.Tensor, positions: list[int]
) -> tuple[list[tf.Tensor], Any]:
    """Gradient of the support loss with respect to the tensors that move, and what the loss gives besides its value.

    Args:
        loss: as for `adapt`.
        params: all parameters.
        k: number of steps taken.
        positions: of the tensors that move.

    Returns:
        Tensors like those that move, and a nest of constants.

    References:
        Finn et al. (2017), equation 1. https://arxiv.org/abs/1703.03400
    """
    return value_and_gradient(loss, params, k, positions)[1:]


def value_and_gradient(
    loss: SupportLoss, params: Tensors, k: tf.Tensor, positions: list[int]
) -> tuple[tf.Tensor, list[tf.Tensor], Any]:
    """As `support_gradient`, with the value of the support loss before it.

    Args:
        loss: as for `adapt`.
        params: all parameters.
        k: number of steps taken.
        positions: of the tensors that move.

    Returns:
        A scalar, tensors like those that move, and a nest of constants.

    References:
        Ravi, Larochelle (2017), section 3.2: a rule that reads both. https://openreview.net/forum?id=rJY0-Kcll
    """
    moving = [params[p] for p in positions]
    with tf.GradientTape() as tape:
        tape.watch(moving)
        value, kept = with_kept(loss(params, k))
    return value, gradient(tape, value, moving), tf.nest.map_structure(tf.stop_gradient, kept)


def loss_read(update: Update, value: tf.Tensor, moving: Tensors) -> list[tf.Tensor]:
    """The value of the support loss for a rule that reads it; else nothing.

    Args:
        update: the rule.
        value: of the support loss.
        moving: the tensors that move, whose type the value gets.

    Returns:
        A list of a scalar, or an empty one.
    """
    return [tf.cast(value, moving[0].dtype)] if update.reads_loss else []


def with_kept(found: tf.Tensor | tuple[tf.Tensor, Any]) -> tuple[tf.Tensor, Any]:
    """What a support loss gave, always as a pair."""
    return found if isinstance(found, tuple) else (found, ())


def room(like: Any, rows: int) -> Any:
    """Arrays for tensors like these.

    Args:
        like: a nest of `tf.TensorSpec`.
        rows: their number.

    Returns:
        `tf.TensorArray`s, nested like `like`.
    """
    return tf.nest.map_structure(
        lambda spec: tf.TensorArray(spec.dtype, rows, element_shape=spec.shape, clear_after_read=False), like
    )


def write(arrays: Any, row: tf.Tensor, values: Any) -> Any:
    """Write tensors into a row of arrays.

    Args:
        arrays: a nest of `tf.TensorArray`.
        row: its number.
        values: tensors, nested like `arrays`.

    Returns:
        The arrays after that.
    """
    flat = [a.write(row, v) for a, v in zip(tf.nest.flatten(arrays), tf.nest.flatten(values), strict=True)]
    return tf.nest.pack_sequence_as(arrays, flat)
