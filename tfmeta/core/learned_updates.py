"""An update rule that is itself a network: one LSTM that moves every weight, and reads its gradient and the loss.

Gradient descent is the update of a cell state with its gates fixed, theta' = f * theta - i * gradient with f = 1 and
i = alpha. Here a small network, the same for every weight, sets f and i anew at each step.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmeta.core.forward import Tensors
from tfmeta.core.tensor_checks import as_floats
from tfmeta.core.updates import Update
from tfmeta.core.validation import check_number

# p: magnitudes from e^-10 to 1 come out between -1 and 0.
SCALE = 10.0


def preprocess(x: tf.Tensor, p: float = SCALE) -> tf.Tensor:
    """Magnitude and sign of numbers of any size, as two inputs of order one.

    Args:
        x: gradients or losses `[...]`.
        p: how many powers of e a magnitude of -1 lies below 1.

    Returns:
        `[..., 2]`: (log|x| / p, sign x) where |x| is at least e^-p, else (-1, e^p x). Continuous, also at |x| = e^-p.
        It is a constant: no gradient flows through it.

    Raises:
        ValueError: if `p` is not above 0, or `x` holds no floating-point numbers.

    References:
        Ravi, Larochelle (2017), section 3.2, after Andrychowicz et al. (2016), appendix A.
        https://openreview.net/forum?id=rJY0-Kcll
    """
    check_number("p", p, above=True)
    x = tf.stop_gradient(as_floats(x=x))
    threshold = tf.exp(tf.constant(-p, x.dtype))
    large = tf.abs(x) >= threshold
    # The logarithm of the smaller ones is never taken: that of 0 is no number.
    logarithm = tf.math.log(tf.where(large, tf.abs(x), tf.ones_like(x))) / tf.constant(p, x.dtype)
    return tf.stack([tf.where(large, logarithm, -tf.ones_like(x)), tf.where(large, tf.sign(x), x / threshold)], axis=-1)


class UpdateNetwork(NamedTuple):
    """The weights of the LSTM that moves a learner's weights, in the order of `Update.learned`.

    Args:
        kernel: of the LSTM, `[4, 4 * units]`: from the preprocessed gradient and loss to its input gate, forget gate,
            candidate and output gate.
        recurrent: from its output before, `[units, 4 * units]`.
        bias: `[4 * units]`.
        forget: W_F, `[units + 2]`, of (h, theta, the gate's value before).
        forget_bias: b_F, a scalar.
        gain: W_I, `[units + 2]`, of the gate that lets the gradient in.
        gain_bias: b_I, a scalar.
    """

    kernel: tf.Tensor
    recurrent: tf.Tensor
    bias: tf.Tensor
    forget: tf.Tensor
    forget_bias: tf.Tensor
    gain: tf.Tensor
    gain_bias: tf.Tensor


class UpdateState(NamedTuple):
    """What the LSTM remembers between two steps, of each of n weights.

    Args:
        hidden: h, `[n, units]`.
        cell: of the LSTM itself, `[n, units]`.
        forget: the forget gate's value before its sigmoid `[n]`.
        gain: likewise of the gate that lets the gradient in.
    """

    hidden: tf.Tensor
    cell: tf.Tensor
    forget: tf.Tensor
    gain: tf.Tensor


def first_state(n: int | tf.Tensor, units: int, dtype: tf.DType = tf.float32) -> UpdateState:
    """Nothing remembered yet.

    Args:
        n: number of weights that move.
        units: width of the LSTM.
        dtype: type of the weights.

    Returns:
        Zeros.
    """
    wide = tf.zeros([n, units], dtype)
    return UpdateState(wide, wide, wide[:, 0], wide[:, 0])


def lstm_step(
    theta: tf.Tensor, gradient: tf.Tensor, loss: tf.Tensor, state: UpdateState, network: UpdateNetwork
) -> tuple[tf.Tensor, UpdateState]:
    """One step of the learned rule: theta' = f * theta - i * gradient, weight by weight.

    Args:
        theta: the weights that move `[n]`.
        gradient: of the support loss `[n]`; a constant here, as is the loss.
        loss: the support loss, a scalar; or one for each weight `[n]`, where weights of several tasks move together.
        state: from the step before, or `first_state`.
        network: the LSTM's weights, the same for each of the n.

    Returns:
        theta' `[n]`, and the new state.

    References:
        Ravi, Larochelle (2017), section 3.1, the equations of i_t and f_t. https://openreview.net/forum?id=rJY0-Kcll

    Note:
        The gates read their own value before the sigmoid, as in the authors' code; the paper writes the value after it.
    """
    gradient, units = tf.stop_gradient(gradient), state.hidden.shape[-1]
    of_gradient = preprocess(gradient)
    seen = tf.concat([of_gradient, tf.broadcast_to(preprocess(loss), tf.shape(of_gradient))], axis=1)
    sums = seen @ network.kernel + state.hidden @ network.recurrent + network.bias
    into, keep, candidate, out = tf.split(sums, 4, axis=1)
    cell = tf.sigmoid(keep) * state.cell + tf.sigmoid(into) * tf.tanh(candidate)
    hidden = tf.sigmoid(out) * tf.tanh(cell)

    def gate(weights, bias, before):
        return tf.linalg.matvec(hidden, weights[:units]) + weights[units] * theta + weights[units + 1] * before + bias

    forget = gate(network.forget, network.forget_bias, state.forget)
    gain = gate(network.gain, network.gain_bias, state.gain)
    theta = tf.sigmoid(forget) * theta - tf.sigmoid(gain) * gradient
    return theta, UpdateState(hidden, cell, forget, gain)


def lstm(network: Tensors) -> Update:
    """The learned rule, for all weights of a task's network at once.

    Args:
        network: an `UpdateNetwork`, or its tensors in that order; the outer loop learns them.

    Returns:
        The update rule. Its state is an `UpdateState` for all weights in one row. Gradients and losses that it reads
        are constants, so no second derivative is ever taken.

    References:
        Ravi, Larochelle (2017), "Optimization as a Model for Few-Shot Learning", algorithm 1.
        https://openreview.net/forum?id=rJY0-Kcll
    """
    network = UpdateNetwork(*network)
    units = network.recurrent.shape[0]

    def init(params):
        return first_state(sum(weight.shape.num_elements() for weight in params), units, params[0].dtype)

    def step(k, params, gradients, state, learned, loss):
        theta, gradient = (tf.concat([tf.reshape(t, [-1]) for t in part], axis=0) for part in (params, gradients))
        theta, state = lstm_step(theta, gradient, loss, state, UpdateNetwork(*learned))
        pieces = tf.split(theta, [weight.shape.num_elements() for weight in params])
        return [tf.reshape(piece, weight.shape) for piece, weight in zip(pieces, params, strict=True)], state

    return Update(init, step, tuple(network), reads_loss=True)
