"""Endless streams of meta-batches that can be told apart and started anywhere."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import NamedTuple

import tensorflow as tf


class Stream(NamedTuple):
    """What makes a dataset a stream.

    Args:
        key: all that its meta-batches depend on, whose `repr` is the same in another process; None if not known.
        later: of a number n to the same stream without its first n meta-batches.
        n_way: classes in an episode, a number or a range (lowest, highest); None if not known.
    """

    key: Hashable
    later: Callable[[int], tf.data.Dataset]
    n_way: int | tuple[int, int] | None = None


_streams: weakref.WeakKeyDictionary[tf.data.Dataset, Stream] = weakref.WeakKeyDictionary()


def as_stream(
    dataset: tf.data.Dataset,
    key: Hashable,
    later: Callable[[int], tf.data.Dataset],
    n_way: int | tuple[int, int] | None = None,
) -> tf.data.Dataset:
    """Say what a dataset's meta-batches depend on, and how it is started later.

    Args:
        dataset: endless.
        key: as in `Stream`.
        later: as in `Stream`.
        n_way: as in `Stream`.

    Returns:
        The same dataset.
    """
    _streams[dataset] = Stream(key, later, n_way)
    return dataset


def stream_of(dataset: tf.data.Dataset) -> Stream:
    """What is known of a dataset: of one that nobody described, only that it can be skipped through.

    Args:
        dataset: any dataset.

    Returns:
        Its `Stream`, whose key is None where nobody described it.
    """
    return _streams.get(dataset) or Stream(None, dataset.skip)


def is_endless(dataset: tf.data.Dataset) -> bool:
    """Whether a dataset is known to have no end."""
    return bool(dataset.cardinality() == tf.data.INFINITE_CARDINALITY)
