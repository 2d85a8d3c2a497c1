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

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.core.forward import Predictor, gradient


def meta_gradient(
    learner: keras.Model | Predictor,
    params: functional.Tensors,
    episode: Episode,
    *,
    inner_lr: float | functional.Tensors,
    inner_steps: int,
    loss: functional.Loss = functional.cross_entropy,
    adapted: Sequence[int] | None = None,
    start: Callable[[functional.Tensors], functional.Tensors] | None = None,
    adversarial_epsilon: float = 0.0,
    non_trainable: functional.Tensors | None = None,
) -> functional.MetaGradient:
    """The exact gradient of one task's query loss, by forward-over-reverse differentiation.

    Args:
        learner: a built Keras model; it is not changed.
        params: theta, tensors in the order of `learner.trainable_variables`.
        episode: one task, without a meta-batch axis.
        inner_lr: alpha, one number or one tensor per adapted parameter tensor (then its gradient is returned, too).
        inner_steps: M, at least 1.
        loss: function of (targets, outputs).
        adapted: positions of the tensors that the inner loop changes; all by default.
        start: as for `functional.meta_gradient`.
        adversarial_epsilon: as for `functional.query_loss`.
        non_trainable: as for `tfmeta.functional.forward`.

    Returns:
        A `MetaGradient`, equal to `functional.meta_gradient(..., gradient_mode="nested")` up to rounding.

    Raises:
        ValueError: if `inner_lr` is a list of another length than `params`.

    References:
        Finn et al. (2017), equation 2. https://arxiv.org/abs/1703.03400
    """
    params = [tf.identity(weight) for weight in params]
    with tf.GradientTape() as beginning:
        beginning.watch(params)
        first = params if start is None else [tf.identity(weight) for weight in start(params)]
    positions = list(range(len(first)) if adapted is None else adapted)
    rates = functional.inner_rates(inner_lr, [first[i] for i in positions])
    support = {"x": episode.support_x, "y": episode.support_y}

    def inner_step(k, weights, path):
        path = [stack.write(k, weights[i]) for stack, i in zip(path, positions, strict=True)]
        weights, _, _ = functional.inner_update(
            learner, weights, **support, inner_lr=rates, loss=loss, adapted=positions, non_trainable=non_trainable
        )
        return k + 1, weights, path

    path = [
        tf.TensorArray(first[i].dtype, inner_steps, element_shape=first[i].shape, clear_after_read=True)
        for i in positions
    ]
    _, fast, path = tf.while_loop(
        lambda k, *_: k < inner_steps, inner_step, (tf.constant(0), list(first), path), parallel_iterations=1
    )

    with tf.GradientTape() as tape:
        tape.watch(fast)
        value, outputs = functional.query_loss(
            learner, fast, episode, loss=loss, adversarial_epsilon=adversarial_epsilon, non_trainable=non_trainable
        )
    v = gradient(tape, value, fast)

    def step_back(k, v, rate_gradients):
        weights = list(first)
        tangents = [tf.zeros_like(weight) for weight in first]
        for i, stack, a in zip(positions, path, rates, strict=True):
            weights[i], tangents[i] = stack.read(k), a * v[i]
        with tf.autodiff.ForwardAccumulator(weights, tangents) as forward_mode:
            with tf.GradientTape() as tape:
                tape.watch(weights)
                outputs = functional.forward(learner, weights, support["x"], non_trainable=non_trainable)
                value = tf.reduce_mean(loss(support["y"], outputs))
            gradients = gradient(tape, value, weights)
        curvature = forward_mode.jvp(gradients, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if rate_gradients:  # theta_{k+1} depends on alpha through -alpha * g(theta_k)
            rate_gradients = [
                total - tf.reduce_sum(gradients[i] * v[i]) if total.shape.rank == 0 else total - gradients[i] * v[i]
                for total, i in zip(rate_gradients, positions, strict=True)
            ]
        return k - 1, [u - h for u, h in zip(v, curvature, strict=True)], rate_gradients

    rate_gradients = [tf.zeros_like(rate) for rate in rates] if isinstance(inner_lr, list | tuple) else []
    _, v, rate_gradients = tf.while_loop(
        lambda k, *_: k >= 0,
        step_back,
        (tf.constant(inner_steps - 1), v, rate_gradients),
        parallel_iterations=1,
    )
    if start is not None:
        v = beginning.gradient(first, params, output_gradients=v, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return functional.MetaGradient(value, v, rate_gradients, outputs)
