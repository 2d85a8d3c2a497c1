"""What checks do with the values that an answer returns: bring them into one form, and compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import StoppedError, require

LEAK = (
    "your function wrote into {what} that it was given. Whoever called it still holds that object, so the next task "
    "starts from this task's weights: information leaks from task to task. Make a new list."
)


def as_list(found: Any, count: int, what: str) -> list:
    """The parts of an answer, whatever holds them: a list, a tuple, a generator, an array, a tensor.

    Args:
        found: what was returned.
        count: how many parts there must be.
        what: what to say where there are not.

    Returns:
        A list of `count` parts.

    Raises:
        WrongAnswerError: if there are not.
    """
    if isinstance(found, np.ndarray) or tf.is_tensor(found):
        found = list(found) if len(found.shape) else None
    elif isinstance(found, Iterable) and not isinstance(found, str | bytes | dict):
        found = list(found)
    else:
        found = None
    require(found is not None and len(found) == count, what)
    return found


def as_array(value: Any) -> np.ndarray:
    """Numbers in double precision.

    Args:
        value: a tensor, a variable, an array, a number or a list of them.

    Returns:
        A float64 array.

    Raises:
        WrongAnswerError: if there is a NaN or an infinity among them.
    """
    if isinstance(value, tf.IndexedSlices):  # the gradient of a gather
        value = tf.convert_to_tensor(value)
    elif isinstance(value, list | tuple):
        value = [as_array(part) for part in value]
    array = np.asarray(value, dtype=np.float64)
    require(np.all(np.isfinite(array)), "there is a NaN or an infinity in what you return. Where does it come from?")
    return array


def as_arrays(values: Sequence) -> list[np.ndarray]:
    """The same for each part of a list."""
    return [as_array(value) for value in values]


def distance(found: Sequence, wanted: Sequence) -> float:
    """Relative distance of two lists of arrays, taken as one long vector.

    Args:
        found: arrays.
        wanted: arrays of the same shapes.

    Returns:
        The length of the difference divided by that of `wanted`.
    """
    a, b = (np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in parts]) for parts in (found, wanted))
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30))


def refuse_known(found: Sequence, known: Iterable[tuple[Sequence, str]], *, tolerance: float = 1e-4) -> None:
    """Stop with the words of the first known wrong answer that equals the one found.

    Args:
        found: arrays.
        known: pairs of a list of arrays of the same shapes, and what to say.
        tolerance: relative distance below which two answers are the same.

    Raises:
        WrongAnswerError: with those words.
    """
    for values, message in known:
        require(distance(found, values) > tolerance, message)


class Remembered:
    """Known wrong answers that are computed one by one, when they are first asked for, and kept for the next check.

    Args:
        known: pairs of arrays and words, as `refuse_known` takes them.
    """

    def __init__(self, known: Iterable[tuple[Sequence, str]]):
        self._rest, self._kept = iter(known), []

    def __iter__(self):
        yield from self._kept
        for values, message in self._rest:
            self._kept.append(([np.asarray(value) for value in values], message))
            yield self._kept[-1]


def same_objects(given: Sequence, before: Sequence) -> bool:
    """Whether a list that an answer was given still holds what it held.

    Args:
        given: the list.
        before: what it held.

    Returns:
        True or False.
    """
    return len(given) == len(before) and all(a is b for a, b in zip(given, before, strict=True))


def constant_by_row(difference: np.ndarray, scale: float) -> bool:
    """Whether each row of `[rows, classes]` is one number, which a softmax over the row does not see.

    Args:
        difference: `[rows, classes]`.
        scale: the size of the numbers that were subtracted.

    Returns:
        True or False.
    """
    return bool(np.ptp(difference, axis=-1).max(initial=0.0) <= 1e-4 * max(scale, 1.0))


def in_either_precision(examine):
    """Examine in single precision, and in double precision where the answer turns out to be written for that.

    Args:
        examine: function of the answer's `Call` and a data type.

    Returns:
        A function of the `Call`.
    """

    def both(call) -> str:
        try:
            return examine(call, "float32")
        except StoppedError as stopped:
            if not any(word in str(stopped) for word in ("float64", "double", "float32", "float tensor")):
                raise
            try:
                return examine(call, "float64")
            except StoppedError:
                raise stopped from None

    return both
