"""The exact MAML gradient in memory that does not grow with the number of inner steps.

Two nested tapes keep the activations of all M inner steps until the outer gradient has passed back through them. But
the outer gradient needs little of that: writing v_k for the gradient of the query loss with respect to the parameters
after k steps, the chain rule through theta_{k+1} = theta_k - alpha * g(theta_k) is

    v_k = v_{k+1} - H(theta_k) (alpha * v_{k+1}),      v_M = gradient of the query loss at theta_M,

with H the Hessian of the support loss. A Hessian-vector product is one forward-mode derivative of the reverse-mode
gradient, and needs the activations of its own step only. So the parameters theta_0 ... theta_{M-1} are kept, nothing
else, and each step is computed a second time on the way back.

References:
    Pearlmutter (1994), "Fast exact multiplication by the Hessian", https://doi.org/10.1162/neco.1994.6.1.147;
    Kemaev et al. (2025), "Scalable Meta-Learning via Mixed-Mode Differentiation", https://arxiv.org/abs/2505.00793
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.episodes import Episode


def meta_gradient(
    learner: keras.Model,
    params: functional.Tensors,
    episode: Episode,
    *,
    inner_lr: float | functional.Tensors,
    inner_steps: int,
    loss: functional.Loss = functional.cross_entropy,
    non_trainable: functional.Tensors | None = None,
) -> functional.MetaGradient:
    """The exact gradient of one task's query loss, by forward-over-reverse differentiation.

    Args:
        learner: a built Keras model; it is not changed.
        params: theta, tensors in the order of `learner.trainable_variables`.
        episode: one task, without a meta-batch axis.
        inner_lr: alpha, one number or one tensor per parameter tensor (then its gradient is returned, too).
        inner_steps: M, at least 1.
        loss: function of (targets, outputs).
        non_trainable: as for `tfmeta.functional.forward`.

    Returns:
        A `MetaGradient`, equal to `functional.meta_gradient(..., gradient_mode="nested")` up to rounding.

    Raises:
        ValueError: if `inner_lr` is a list of another length than `params`.

    References:
        Finn et al. (2017), equation 2. https://arxiv.org/abs/1703.03400
    """
    params = [tf.identity(weight) for weight in params]
    rates = functional._rates(inner_lr, params)
    support = {"x": episode.support_x, "y": episode.support_y}

    def inner_step(k, weights, path):
        path = [stack.write(k, weight) for stack, weight in zip(path, weights, strict=True)]
        weights, _, _ = functional.inner_update(
            learner, weights, **support, inner_lr=rates, loss=loss, non_trainable=non_trainable
        )
        return k + 1, weights, path

    path = [
        tf.TensorArray(weight.dtype, inner_steps, element_shape=weight.shape, clear_after_read=True)
        for weight in params
    ]
    _, fast, path = tf.while_loop(
        lambda k, *_: k < inner_steps, inner_step, (tf.constant(0), params, path), parallel_iterations=1
    )

    with tf.GradientTape() as tape:
        tape.watch(fast)
        outputs = functional.forward(learner, fast, episode.query_x, non_trainable=non_trainable)
        value = tf.reduce_mean(loss(episode.query_y, outputs))
    v = functional._gradient(tape, value, fast)

    def step_back(k, v, rate_gradients):
        weights = [stack.read(k) for stack in path]
        tangents = [a * u for a, u in zip(rates, v, strict=True)]
        with tf.autodiff.ForwardAccumulator(weights, tangents) as forward_mode:
            with tf.GradientTape() as tape:
                tape.watch(weights)
                outputs = functional.forward(learner, weights, support["x"], non_trainable=non_trainable)
                value = tf.reduce_mean(loss(support["y"], outputs))
            gradients = functional._gradient(tape, value, weights)
        curvature = forward_mode.jvp(gradients, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if rate_gradients:  # theta_{k+1} depends on alpha through -alpha * g(theta_k)
            rate_gradients = [
                total - tf.reduce_sum(g * u) if total.shape.rank == 0 else total - g * u
                for total, g, u in zip(rate_gradients, gradients, v, strict=True)
            ]
        return k - 1, [u - h for u, h in zip(v, curvature, strict=True)], rate_gradients

    rate_gradients = [tf.zeros_like(rate) for rate in rates] if isinstance(inner_lr, list | tuple) else []
    _, v, rate_gradients = tf.while_loop(
        lambda k, *_: k >= 0,
        step_back,
        (tf.constant(inner_steps - 1), v, rate_gradients),
        parallel_iterations=1,
    )
    return functional.MetaGradient(value, v, rate_gradients, outputs)
