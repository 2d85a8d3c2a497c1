"""Check of tutorial 09: the head that starts from prototypes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.slopes import examine_slopes
from tfmeta.checks.values import as_array, as_list, constant_by_row


def prototypical_head(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the linear layer that Proto-MAML starts from.

    Args:
        answer: `answer(prototypes)` with `[n_way, dim]`; returns a kernel `[dim, n_way]` and a bias `[n_way]` for which
            `softmax(x @ kernel + bias)` is what a prototypical network gives, and through which a gradient reaches the
            prototypes. What is added to all classes alike does no harm.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: a forgotten factor of 2, half of everything, a bias with the wrong
        sign or left out, twice the bias, lengths that were not squared, the mean over dimensions, normalised
        prototypes, a minus sign in the kernel, a transposed kernel, kernel and bias exchanged, results through which no
        gradient flows.

    References:
        Triantafillou et al. (2020), section 3.2. https://arxiv.org/abs/1903.03096; Snell et al. (2017), equation 8.
    """
    return judge("prototypical_head", answer, _examine, quiet=quiet, seconds=seconds)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    shifted = False
    for n_way, dim in ((3, 4), (4, 4)):
        prototypes = tf.constant(rng.normal(size=(n_way, dim)), tf.float32)
        x, target = tf.constant(rng.normal(size=(6, dim)), tf.float32), rng.integers(0, n_way, 6)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(prototypes)
            found = as_list(call(prototypes), 2, "return two things: the kernel, and the bias.")
            shifted |= _examine_values(found, prototypes.numpy().astype(np.float64))
            kernel, bias = (tf.cast(tf.convert_to_tensor(part), tf.float32) for part in found)
            logits = tf.matmul(x, kernel) + tf.reshape(bias, (1, n_way))
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits))
            exact = -tf.reduce_sum((x[:, None] - prototypes) ** 2, axis=-1)
            right = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, exact))
        examine_slopes(
            [tape.gradient(loss, prototypes)], [tape.gradient(right, prototypes)], ["prototypes"], "the encoder",
            " Proto-MAML's outer loop learns through this start: it is what makes the encoder a good one to start "
            "from.",
        )  # fmt: skip
    extra = " (Yours adds the same to every class, which the softmax does not see.)" if shifted else ""
    return f"W = 2c and b = -|c|^2: with 0 steps, Proto-MAML is a prototypical network.{extra}"


def _examine_values(found, c: np.ndarray) -> bool:
    """Refuse a kernel and a bias of the wrong shape or value; returns whether something is added to all classes."""
    n_way, dim = c.shape
    kernel, bias = (as_array(part) for part in found)
    require(
        not (kernel.shape == (n_way,) and bias.ndim == 2), "kernel and bias are exchanged: return the kernel first."
    )
    require(
        bias.shape in ((n_way,), (1, n_way)),
        f"the bias has one number for each class, shape {(n_way,)}; yours has {bias.shape}.",
    )
    bias = bias.reshape(n_way)
    require(
        kernel.shape == (dim, n_way) or kernel.shape != (n_way, dim),
        "the kernel is transposed: x @ kernel needs one column for each class, [dim, n_way].",
    )
    require(kernel.shape == (dim, n_way), f"the kernel must have shape {(dim, n_way)}; yours has {kernel.shape}.")
    squares = (c**2).sum(axis=1)

    def same(kernel_of, bias_of):  # but for what is added to all classes
        rows = np.concatenate([kernel - kernel_of, (bias - bias_of)[None]])
        return constant_by_row(rows, 1.0)

    if same(2 * c.T, -squares):
        return not (np.allclose(kernel, 2 * c.T, atol=1e-4) and np.allclose(bias, -squares, atol=1e-4))
    if n_way == dim:
        require(not same(2 * c, -squares), "the kernel is transposed: one column for each class.")
    unit = c / np.sqrt(squares)[:, None]
    for kernel_of, bias_of, message in (
        (c.T, -squares, "the factor 2 is missing in the kernel: multiply out -|x - c|^2."),
        (c.T, -squares / 2,
         "this is half of it: the same classes win, but as if at twice the temperature, and steps of gradient descent "
         "start from other probabilities."),
        (2 * c.T, squares, "the bias has the wrong sign: a long prototype must not win by its length."),
        (c.T, squares, "the bias has the wrong sign, and the kernel lacks its factor 2: multiply out -|x - c|^2."),
        (2 * c.T, 0 * squares, "the bias is missing: without -|c|^2 a long prototype wins."),
        (c.T, 0 * squares, "the bias is missing, and so is the factor 2: these are the prototypes themselves."),
        (2 * c.T, -np.sqrt(squares), "the bias has lengths where squared lengths belong, -|c|^2."),
        (2 * c.T, -squares / dim, "the bias has the mean of squares where their sum belongs, -|c|^2."),
        (2 * c.T, -2 * squares, "the factor 2 belongs to the kernel alone: the bias is -|c|^2."),
        (2 * c.T, -squares / 2, "the bias was halved: it is -|c|^2."),
        (-2 * c.T, squares, "this is plus the squared distance: the farthest prototype wins. Turn both signs."),
        (-2 * c.T, -squares, "the kernel has the wrong sign: the cross term of -|x - c|^2 is *plus* 2 x c."),
        (2 * unit.T, -np.ones(n_way), "the prototypes were normalised. Squared distances need their lengths."),
        (2 * unit.T, -squares, "the kernel's prototypes were normalised. Squared distances need their lengths."),
    ):  # fmt: skip
        require(not same(kernel_of, bias_of), message)
    require(False, "multiply out -|x - c|^2 and leave out what is the same for every class.")
    return False
