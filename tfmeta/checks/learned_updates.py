"""Checks of tutorial 10: the update of a cell state, and what a learned rule reads of a gradient."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.slopes import examine_slopes
from tfmeta.checks.stops import TENSOR_HINTS
from tfmeta.checks.values import as_array, in_either_precision

# Where the logarithm gives way to a straight line.
THRESHOLD = np.exp(-10.0)


def cell_update(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the update of weights as that of a cell state.

    Args:
        answer: `answer(theta, gradient, forget, gain)` with four tensors of one shape; the last two are the gates
            *before* their sigmoid. Returns theta', through which the outer tape can reach theta and both gates.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: plus the gradient, f = 1 - i, gates exchanged, no sigmoid, a
        sigmoid taken twice, one gate for a whole tensor, a gate left out, a step without theta, a hyperbolic tangent,
        results that are cut off from the gates or from theta.

    References:
        Ravi, Larochelle (2017), equation 2. https://openreview.net/forum?id=rJY0-Kcll
    """
    return judge("cell_update", answer, in_either_precision(_examine_cell), TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_cell(call, dtype: str) -> str:
    rng = np.random.default_rng(0)
    for shape in ((5,), (3, 2)):
        theta, gradient, forget, gain, weights = (tf.constant(rng.normal(size=shape), dtype) for _ in range(5))
        with tf.GradientTape() as tape:
            tape.watch([theta, gradient, forget, gain])
            found = call(theta, gradient, forget, gain)
            _compare_cell(found, *(part.numpy().astype(np.float64) for part in (theta, gradient, forget, gain)))
            loss = tf.reduce_sum(weights * tf.cast(tf.convert_to_tensor(found), dtype))
        slopes = tape.gradient(loss, [theta, forget, gain])
        f, i = tf.sigmoid(forget), tf.sigmoid(gain)
        examine_slopes(
            slopes, [weights * f, weights * theta * f * (1 - f), -weights * gradient * i * (1 - i)],
            ["theta", "forget gate", "gain"], "the rule",
            " The outer loop learns the rule through its gates, and through theta, which holds all earlier ones.",
        )  # fmt: skip
    return "sigmoid(forget) * theta - sigmoid(gain) * gradient, weight by weight. With f = 1 and i = alpha it is SGD."


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _compare_cell(found, theta, gradient, forget, gain) -> None:
    """Refuse an answer of the wrong shape or value."""
    found = as_array(found)
    require(found.shape == theta.shape, f"theta' must have theta's shape, {theta.shape}; yours has {found.shape}.")
    f, i = _sigmoid(forget), _sigmoid(gain)

    def same(values):
        return np.allclose(found, values, rtol=1e-4, atol=1e-5)

    if same(f * theta - i * gradient):
        return
    shared = "you took one gate for the whole tensor. Every weight has its own: multiply element by element."
    twice = "a gate went through the sigmoid twice: what you are given has been through none, so take it once."
    raw = "the gates come *before* their sigmoid: tf.sigmoid(forget) and tf.sigmoid(gain) lie between 0 and 1."
    for values, message in (
        (f * theta + i * gradient, "this climbs: the gradient is let in with a minus."),
        ((1 - i) * theta - i * gradient,
         "you tied the gates, f = 1 - i, as a gated recurrent unit does. Then a rate of 0.1 forgets a tenth of theta "
         "at each step, and gradient descent (f = 1, i = alpha) is out of reach. Use both gates."),
        ((1 - i) * theta + i * gradient,
         "you tied the gates, f = 1 - i, and climb: use both gates, and let the gradient in with a minus."),
        (f * theta - (1 - f) * gradient, "you tied the gates, i = 1 - f. Use both: the gain is given."),
        (f * theta + (1 - f) * gradient, "you tied the gates, i = 1 - f, and climb. Use both, and a minus."),
        (i * theta - f * gradient, "the gates are exchanged: the forget gate belongs to theta."),
        (forget * theta - gain * gradient, raw),
        (f * theta - gain * gradient, raw), (forget * theta - i * gradient, raw),
        (_sigmoid(f) * theta - _sigmoid(i) * gradient, twice),
        (_sigmoid(f) * theta - i * gradient, twice), (f * theta - _sigmoid(i) * gradient, twice),
        (f.mean() * theta - i.mean() * gradient, shared), (f.mean() * theta - i * gradient, shared),
        (f * theta - i.mean() * gradient, shared),
        (_sigmoid(forget.mean()) * theta - _sigmoid(gain.mean()) * gradient, shared),
        (f * theta - _sigmoid(gain.mean()) * gradient, shared),
        (theta - i * gradient, "the forget gate is missing: this keeps all of theta, whatever it says."),
        (f * theta - gradient, "the gain is missing: the gradient is let in whole."),
        (f * theta, "the gradient is missing."),
        (-i * gradient, "this is the step alone. What the forget gate keeps of theta belongs to it."),
        (i * gradient, "this is the step alone. What the forget gate keeps of theta belongs to it."),
        (f * (theta - i * gradient), "the forget gate belongs to theta alone; yours also weakens the step."),
        (f * theta - i * np.tanh(gradient),
         "this is the cell of an LSTM, with a tanh around what comes in. Here the gradient comes in as it is."),
        (f * theta - i * np.sign(gradient), "you let in the gradient's sign alone. Its size counts, too."),
        (np.tanh(forget) * theta - np.tanh(gain) * gradient, "a gate is a sigmoid, between 0 and 1; yours is a tanh."),
        (np.exp(forget) * theta - np.exp(gain) * gradient, "a gate is a sigmoid, between 0 and 1; yours is an exp."),
        (theta, "theta came back unchanged."),
    ):  # fmt: skip
        require(not same(values), message)
    require(False, "this is not sigmoid(forget) * theta - sigmoid(gain) * gradient, element by element.")


def preprocess(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check what the learned rule reads of a gradient, for p = 10.

    Args:
        answer: `answer(x)` with a tensor of any shape; returns `[..., 2]`: (log|x| / 10, sign x) where |x| is at least
            e^-10, else (-1, e^10 x), as a constant for the outer tape.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: a lost sign, the logarithm of a negative number or of 0, a
        logarithm without its p or with another base, the wrong branch for small or for large numbers, branches
        exchanged, a wrong threshold, the two parts exchanged or along another axis, a missing stop_gradient.

    References:
        Ravi, Larochelle (2017), section 3.2, after Andrychowicz et al. (2016), appendix A.
        https://openreview.net/forum?id=rJY0-Kcll
    """
    return judge("preprocess", answer, in_either_precision(_examine_preprocess), TENSOR_HINTS, quiet=quiet,
                 seconds=seconds)  # fmt: skip


# Large and small numbers of both signs, near the threshold e^-10 = 4.54e-5 on both sides, and those a base tells apart.
_NUMBERS = np.array([1.0, -1.0, 0.25, -3.0, 1e-3, -2e-4, 5e-5, -5e-5, 4e-5, -4e-5, 1e-5, -3e-6, 1e-8, 0.0])


def _examine_preprocess(call, dtype: str) -> str:
    for numbers in (_NUMBERS, _NUMBERS[:12].reshape(4, 3), _NUMBERS[2]):
        x = tf.constant(numbers, dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = call(x)
            _compare_preprocessed(found, np.asarray(x.numpy(), np.float64))
        slope = tape.gradient(found, x) if tf.is_tensor(found) else None
        require(
            slope is None or not np.any(slope),
            "the numbers are right, but a gradient flows back through them. The rule's inputs are constants "
            "(tf.stop_gradient): else the outer loop would need second derivatives, and 1/x of a tiny gradient is "
            "enormous.",
        )
    return "magnitude and sign of numbers of any size, between about -1 and 1, and no gradient flows through them."


def _compare_preprocessed(found, x: np.ndarray) -> None:
    """Refuse an answer of the wrong shape or value."""
    raw = np.asarray(found, np.float64)
    size = np.abs(x)
    if not np.all(np.isfinite(raw)):
        negative = not np.all(np.isfinite(raw[x < 0])) if raw.shape[: x.ndim] == x.shape and x.ndim else False
        require(
            not negative,
            "there is a NaN where x is negative: the logarithm is that of |x|, and the sign is the second number.",
        )
        require(
            False,
            "there is a NaN or an infinity where x is 0: its logarithm is taken. tf.where chooses between two values "
            "after both were computed; give the logarithm a harmless number there.",
        )
    wanted = (*x.shape, 2)
    require(
        raw.shape == wanted or raw.shape != (2, *x.shape),
        f"the two numbers stand side by side in the *last* axis, shape {wanted}; yours are in the first. tf.stack "
        "takes axis=-1.",
    )
    require(raw.shape == wanted, f"x of shape {x.shape} gives two numbers each, shape {wanted}; yours has {raw.shape}.")
    large = size >= THRESHOLD
    logarithm = np.log(np.where(size > 0, size, 1.0))
    magnitude, sign = np.where(large, logarithm / 10, -1.0), np.where(large, np.sign(x), x / THRESHOLD)

    def same(first, second):
        return np.allclose(raw[..., 0], first, rtol=1e-4, atol=1e-5) and np.allclose(
            raw[..., 1], second, rtol=1e-4, atol=1e-5
        )

    if same(magnitude, sign):
        return
    floor = np.maximum(logarithm, -10.0) / 10
    lost = "the sign is lost: the second number is sign x where |x| is large, and e^10 x where it is small."
    branch = "the threshold is on |x|, e^-10 = 0.0000454; yours sends numbers to the wrong branch."
    positive = x >= THRESHOLD
    for first, second, message in (
        (sign, magnitude, "the two numbers are exchanged: the logarithm comes first."),
        (magnitude, np.abs(sign), lost), (magnitude, np.ones_like(x), lost), (magnitude, np.zeros_like(x), lost),
        (magnitude, np.where(large, 1.0, x / THRESHOLD), lost),
        (magnitude, np.where(large, np.sign(x), size / THRESHOLD), lost),
        (magnitude, np.sign(x),
         "small numbers get their sign alone: below the threshold the second number is e^10 x, so that it has no jump "
         "at 0."),
        (magnitude, np.where(large, np.sign(x), x),
         "below the threshold the second number is e^10 x, not x, which would jump from 1 to nothing there."),
        (magnitude, np.where(large, np.sign(x), x * THRESHOLD), "below the threshold x is multiplied by e^10, not by "
                                                                "e^-10."),
        (magnitude, x / THRESHOLD, "above the threshold the second number is sign x; yours grows without bound."),
        (magnitude, np.where(large, x, x / THRESHOLD), "above the threshold the second number is sign x, not x."),
        (np.where(large, -1.0, logarithm / 10), np.where(large, x / THRESHOLD, np.sign(x)),
         "the branches are exchanged: the logarithm is for |x| of at least e^-10."),
        (10 * magnitude, sign, "the logarithm is not divided by p = 10: a gradient of e^-10 must give -1."),
        (np.where(large, logarithm, -1.0), sign,
         "the logarithm is not divided by p = 10: a gradient of e^-10 must give -1."),
        (np.where(large, logarithm / 10 / np.log(10), -1.0), sign,
         "the logarithm is natural, and the threshold e^-10; yours is to base 10."),
        (np.where(large, logarithm / 10 / np.log(2), -1.0), sign, "the logarithm is natural; yours is to base 2."),
        (-magnitude, sign, "the logarithm has the wrong sign: smaller numbers come out lower, down to -1."),
        (np.where(large, logarithm / 10, 1.0), sign, "below the threshold the first number is -1, not 1."),
        (np.where(large, logarithm / 10, 0.0), sign, "below the threshold the first number is -1, not 0."),
        (np.where(large, logarithm / 10, logarithm / 10), sign,
         "the first number goes on below the threshold; there it is -1, so that a gradient of 0 has one, too."),
        (np.where(large, logarithm / 10 * np.sign(x), -1.0), sign,
         "the first number has the sign in it: it is the magnitude, log|x| / 10, and the sign is the second."),
        (np.where(positive, logarithm / 10, -1.0), np.where(positive, 1.0, x / THRESHOLD),
         "negative numbers all take the branch of the small ones: the threshold is on |x|, not on x."),
        (np.where(positive, floor, -1.0), np.where(positive, np.sign(x), x / THRESHOLD), branch),
        *(
            (np.where(size >= at, logarithm / 10, -1.0), np.where(size >= at, np.sign(x), x / THRESHOLD), branch)
            for at in (np.exp(-1.0), 1e-10, 0.1, 1.0, 1e-4, 10.0, np.exp(10.0))
        ),
        *(
            (np.where(size > at, logarithm / 10, -1.0), np.where(size > at, np.sign(x), x / THRESHOLD), branch)
            for at in (1.0, 0.0)
        ),
    ):  # fmt: skip
        require(not same(first, second), message)
    if np.allclose(raw[..., 0], magnitude, rtol=1e-4, atol=1e-5):
        require(False, "the first number is right. The second is sign x where |x| is at least e^-10, else e^10 x.")
    if np.allclose(raw[..., 1], sign, rtol=1e-4, atol=1e-5):
        require(False, "the second number is right. The first is log|x| / 10 where |x| is at least e^-10, else -1.")
    require(False, "this is not (log|x| / 10, sign x) where |x| is at least e^-10, else (-1, e^10 x).")
