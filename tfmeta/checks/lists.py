"""Updates of lists of tensors: how checks make such lists, and compare them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import require
from tfmeta.checks.values import LEAK, as_array, as_list, same_objects


def random_parameters(rng, lead=()) -> list[tf.Tensor]:
    """Two parameter tensors, with leading axes where there are any.

    Args:
        rng: a NumPy generator.
        lead: leading axes.

    Returns:
        Two tensors.
    """
    shapes = ((3, 2), (2,))
    return [tf.constant(rng.normal(size=(*lead, *shape)), tf.float32) for shape in shapes]


def as_tensors(found, count: int) -> list:
    """The parts of what was returned, one for each parameter tensor.

    Args:
        found: what was returned.
        count: how many parameter tensors there are.

    Returns:
        A list.
    """
    return as_list(found, count, f"return a list of {count} tensors, one for each parameter tensor.")


def compare(found, exact, wrong, otherwise: str) -> None:
    """Stop at the first known wrong answer; else at any other difference.

    Args:
        found: what was returned.
        exact: what is right, arrays.
        wrong: pairs of arrays and what to say.
        otherwise: what to say where none of them fits.

    Raises:
        WrongAnswerError: if it is not right.
    """
    found = [as_array(tensor) for tensor in as_tensors(found, len(exact))]
    for have, want in zip(found, exact, strict=True):
        require(
            have.shape == want.shape,
            f"each result must have its parameter's shape; one of yours has {have.shape}, not {want.shape}.",
        )

    def same(values):
        return all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found, values, strict=True))

    if not same(exact):
        for values, message in wrong:
            require(not same([np.asarray(v) for v in values]), message)
        require(False, otherwise)


def examine_lists(**lists) -> None:
    """Refuse an answer that wrote into a list that it was given."""
    for name, (given, before) in lists.items():
        require(same_objects(given, before), LEAK.format(what=f"the list `{name}`"))
