"""The labels of a user's images, whatever they are kept in, as the classes 0, 1, ..."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tfmeta.core.validation import check_sequence

# What NumPy and pandas make of a missing label when they turn labels into strings.
MISSING = ("", "nan", "None", "<NA>", "NaT")


def classes_of(labels, n_images: int, class_names: Sequence[str] | None, stacklevel: int) -> tuple:
    """Number the classes that labels name.

    Args:
        labels: integers (whole floating-point numbers count as such) or strings, `[n_images]` or `[n_images, 1]`: an
            array, a list, or a column of a table.
        n_images: how many there must be.
        class_names: names of the classes: of integer labels in ascending order; of string labels the same strings in
            the order in which the classes are wanted.
        stacklevel: of warnings, seen from the caller.

    Returns:
        The class of each image, int `[n_images]`, and the names of the classes, strings.

    Raises:
        ValueError: if a label is missing or no label, or labels and names do not fit.
    """
    if class_names is not None:
        check_sequence("class_names", class_names)
    column = _as_column(labels, n_images)
    if column.dtype == object:
        _refuse_missing(column)
        if all(isinstance(value, str) for value in column):
            return _named(column, class_names, stacklevel + 1)
        column = _whole_numbers(column)
    values, index = np.unique(column, return_inverse=True)
    if values[0] < 0:
        warnings.warn(
            f"the label {values[0]} is taken as a class like any other; leave such images out if it means that they "
            "have no label",
            stacklevel=stacklevel + 1,
        )
    names = tuple(str(value) for value in (values if class_names is None else class_names))
    if len(names) != len(values) or len(set(names)) != len(names):
        raise ValueError(
            f"class_names must be {len(values)} distinct names, one per distinct label. Received: class_names={names}"
        )
    return index, names


def _as_column(labels, n_images: int) -> np.ndarray:
    """The labels one by one `[n_images]`: integers as they are, all else as objects."""
    if np.ma.is_masked(labels):
        raise ValueError("every image must have a label. Received: labels with masked entries")
    # A list goes by way of objects: NumPy makes strings of all in ["a", None], and None is no label.
    column = np.asarray(labels, dtype=None if hasattr(labels, "shape") or hasattr(labels, "__array__") else object)
    if column.dtype.kind in "mMcV":
        raise ValueError(f"labels must be integers or strings. Received: labels.dtype={column.dtype}")
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim == 2 and len(column) == n_images:
        raise ValueError(
            "labels must be one-dimensional, one per image; one-hot rows become such by labels.argmax(axis=1). "
            f"Received: labels.shape={column.shape}"
        )
    if column.ndim != 1 or len(column) != n_images:
        raise ValueError(
            f"labels must be one-dimensional, one per image ({n_images}). Received: labels.shape={column.shape}"
        )
    if column.dtype == np.bool_:
        raise ValueError("labels must be integers or strings. Received: labels.dtype=bool")
    if column.dtype.kind in "iu":
        return column
    column = column.astype(object)
    for i, value in enumerate(column):
        if hasattr(value, "__array__") and np.ndim(value) == 0:  # a list of tensors, one by one
            column[i] = value = np.asarray(value).item()
        if isinstance(value, bytes):  # strings of TensorFlow and of NumPy's S types
            column[i] = value.decode("utf-8", errors="backslashreplace")
    return column


def _refuse_missing(column: np.ndarray) -> None:
    def missing(value) -> bool:
        if isinstance(value, str):
            return value.strip() in MISSING
        # By name, because NaN is not equal to itself, and pandas's NA is not even unequal.
        return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)

    gaps = [i for i, value in enumerate(column) if missing(value)]
    if gaps:
        hint = "; rename the class if this is its name" if isinstance(column[gaps[0]], str) else ""
        raise ValueError(
            f"every image must have a label, and {len(gaps)} of {len(column)} have none, the first of them image "
            f"{gaps[0]}{hint}. Received: labels[{gaps[0]}]={column[gaps[0]]!r}"
        )


def _whole_numbers(column: np.ndarray) -> np.ndarray:
    for i, value in enumerate(column):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole and not (isinstance(value, float | np.floating) and float(value).is_integer()):
            raise ValueError(
                "labels must be integers or strings, all of one kind. "
                f"Received: labels[{i}]={value!r} of type {type(value).__name__}"
            )
    numbers = [int(value) for value in column]
    if any(not -(2**63) <= number < 2**63 for number in numbers):
        return np.array(numbers, dtype=object)
    return np.array(numbers, dtype=np.int64)


def _named(column: np.ndarray, class_names: Sequence[str] | None, stacklevel: int) -> tuple:
    values = sorted(set(column))
    alike = defaultdict(list)
    for value in values:
        alike[value.strip().casefold()].append(value)
    if twins := next((names for names in alike.values() if len(names) > 1), None):
        warnings.warn(
            f"labels that differ by spaces or case alone are classes of their own: {', '.join(map(repr, twins))}",
            stacklevel=stacklevel + 1,
        )
    names = tuple(values if class_names is None else map(str, class_names))
    if sorted(names) != values:
        raise ValueError(
            "class_names must be the labels themselves, in the order in which the classes are wanted, where labels are "
            f"strings: {', '.join(map(repr, values[:5]))}{', ...' if len(values) > 5 else ''}. "
            f"Received: class_names={names}"
        )
    number = {name: k for k, name in enumerate(names)}
    return np.array([number[value] for value in column]), names
