"""The outer gradient: how one task's loss after adaptation depends on the initial parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


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
