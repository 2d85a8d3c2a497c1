"""Check of tutorial 09: the head that starts from prototypes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import Result, judge, require


def prototypical_head(answer) -> Result:
    """Check the linear layer that Proto-MAML starts from.

    Args:
        answer: `answer(prototypes)` with `[n_way, dim]`; returns a kernel `[dim, n_way]` and a bias `[n_way]` for which
            `softmax(x @ kernel + bias)` is what a prototypical network gives.

    Returns:
        A `Result`. Rejected with words of their own: a forgotten factor of 2, a bias with the wrong sign or left out,
        lengths that were not squared, a transposed kernel.

    References:
        Triantafillou et al. (2020), section 3.2. https://arxiv.org/abs/1903.03096; Snell et al. (2017), equation 8.
    """
    return judge("prototypical_head", answer, _examine)


def _examine(call) -> str:
    rng = np.random.default_rng(0)
    for n_way, dim in ((3, 4), (4, 4)):
        prototypes = rng.normal(size=(n_way, dim))
        found = call(tf.constant(prototypes, tf.float32))
        require(isinstance(found, list | tuple) and len(found) == 2, "return two things: the kernel, and the bias.")
        kernel, bias = (np.asarray(part) for part in found)
        require(
            bias.shape == (n_way,), f"the bias has one number for each class, shape {(n_way,)}; yours has {bias.shape}."
        )
        require(
            kernel.shape == (dim, n_way) or kernel.shape != (n_way, dim),
            "the kernel is transposed: x @ kernel needs one column for each class, [dim, n_way].",
        )
        require(
            kernel.shape == (dim, n_way),
            f"the kernel must have shape {(dim, n_way)}; yours has {kernel.shape}.",
        )
        squares = (prototypes**2).sum(axis=1)
        exact_kernel, exact_bias = 2 * prototypes.T, -squares

        def close(a, b):
            return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-4, atol=1e-5)

        if close(kernel, exact_kernel) and close(bias, exact_bias):
            continue
        require(not close(kernel, 2 * prototypes), "the kernel is transposed: one column for each class.")
        require(
            not (close(kernel, prototypes.T) and close(bias, -squares)),
            "the factor 2 is missing in the kernel: multiply out -|x - c|^2.",
        )
        require(
            not (close(kernel, prototypes.T) and close(bias, -squares / 2)),
            "this is half of it: the same classes win, but as if at twice the temperature, and steps of gradient "
            "descent start from other probabilities.",
        )
        require(not close(bias, squares), "the bias has the wrong sign: a long prototype must not win by its length.")
        require(not close(bias, 0 * squares), "the bias is missing: without -|c|^2 a long prototype wins.")
        require(not close(bias, -np.sqrt(squares)), "the bias has lengths where squared lengths belong, -|c|^2.")
        require(False, "multiply out -|x - c|^2 and leave away what is the same for every class.")
    return "W = 2c and b = -|c|^2: with 0 steps, Proto-MAML is a prototypical network."
