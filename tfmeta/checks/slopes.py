"""Whether a gradient flows through an answer, to everything that it should reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfmeta.checks.report import require
from tfmeta.checks.values import as_array, distance


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Exponentials that add up to 1 along an axis.

    Args:
        x: an array.
        axis: along which they add up to 1.

    Returns:
        An array of the same shape.
    """
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def examine_slopes(found: Sequence, wanted: Sequence, names: Sequence[str], who: str, aside: str = "") -> None:
    """Refuse an answer whose numbers are right and whose gradient is not.

    Args:
        found: gradients of a loss of the answer, or None, with respect to each of its arguments.
        wanted: what they must be.
        names: what the arguments are called.
        who: what could not learn.
        aside: what to add where a gradient is missing.

    Raises:
        WrongAnswerError: with what is wrong.
    """
    missing = [name for name, gradient in zip(names, found, strict=True) if gradient is None]
    if len(missing) == len(names):
        what = " or ".join(f"the {name}" for name in names)
        require(
            False,
            f"the numbers are right, but no gradient reaches {what}: {who} could not learn. Use TensorFlow operations "
            f"from beginning to end; .numpy(), float(), NumPy and variables cut the path.{aside}",
        )
    require(
        not missing,
        f"the numbers are right, but no gradient reaches the {' and the '.join(missing)}: {who} would learn from the "
        f"rest alone. Was it stopped (tf.stop_gradient), or turned into NumPy?{aside}",
    )
    for name, gradient, exact in zip(names, found, wanted, strict=True):
        require(
            distance([as_array(gradient)], [np.asarray(exact)]) < 1e-3,
            f"the numbers are right, but the gradient with respect to the {name} is not: a part of the way is cut. Is "
            f"there a tf.stop_gradient, or a part in NumPy?{aside}",
        )
