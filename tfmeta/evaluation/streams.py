"""The episodes that something is judged on: finite, and what they are said to be."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import tensorflow as tf

from tfmeta.core import casting
from tfmeta.core.episode import Episode
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.outputs import Hits

# A stream of unknown length that has given so many episodes may well be endless.
MANY_EPISODES = 10_000


def meta_batches(
    episodes: Episode | list[Episode] | tf.data.Dataset, at_most: int = MANY_EPISODES
) -> Iterator[Episode]:
    """The meta-batches of a set of episodes.

    Args:
        episodes: a meta-batch, a list of episodes without a meta-batch axis, or a dataset of meta-batches.
        at_most: episodes that are read of an endless dataset.

    Returns:
        An iterator of `Episode`s. A dataset whose length TensorFlow does not know (of a generator, or filtered) is read
        to its end, with one warning after 10 000 episodes.

    Raises:
        TypeError: if it is something else.
        ValueError: if a list is empty.
    """
    if isinstance(episodes, Episode):
        return iter([episodes])
    if casting.is_list(episodes):
        if not episodes:
            raise ValueError("episodes must hold at least one episode. Received: an empty list")
        return (tf.nest.map_structure(lambda tensor: tensor[None], one) for one in episodes)
    if not isinstance(episodes, tf.data.Dataset) or not isinstance(episodes.element_spec, Episode):
        raise TypeError(
            "episodes must be an Episode or a dataset of meta-batches of them, or a list of single ones. "
            f"Received: episodes of type {type(episodes).__name__}, elements {getattr(episodes, 'element_spec', None)}"
        )
    cardinality = episodes.cardinality()
    if cardinality == tf.data.INFINITE_CARDINALITY:
        return _first(episodes, at_most)
    return _watched(episodes) if cardinality == tf.data.UNKNOWN_CARDINALITY else iter(episodes)


def _first(episodes: tf.data.Dataset, at_most: int) -> Iterator[Episode]:
    left = at_most
    for meta_batch in episodes:
        kept = tf.nest.map_structure(lambda tensor, left=left: tensor[:left], meta_batch)
        yield kept
        left -= len(kept.support_y)
        if left <= 0:
            return


def _watched(episodes: tf.data.Dataset) -> Iterator[Episode]:
    seen, warned = 0, False
    for meta_batch in episodes:
        if seen >= MANY_EPISODES and not warned:
            warned = True
            warnings.warn(
                f"{seen} episodes of a dataset of unknown length have been read, and there are more; if it is endless, "
                "stop this and give its take(n)",
                stacklevel=3,
            )
        yield meta_batch
        seen += len(meta_batch.support_y)


def check_meta_batch(episodes: Episode, learner, hits: Hits | None) -> dict[str, float]:
    """Refuse what is no meta-batch of episodes, or does not fit a learner.

    Args:
        episodes: what was given.
        learner: an `EpisodicLearner`, which looks at the episodes, too, or anything else.
        hits: how hits are counted; None for regression.

    Returns:
        `n_way`, `k_shot` and `n_query`; 1 way for regression, and no whole numbers where classes are of unequal size.

    Raises:
        ValueError: if the meta-batch axis is missing, examples and labels are not as many, images are uint8, a label is
            below 0 or there is one class alone, or the episodes do not fit the learner.
    """
    ones_own = isinstance(learner, EpisodicLearner) and learner.loss_function is not None
    parts = (("support", episodes.support_x, episodes.support_y), ("query", episodes.query_x, episodes.query_y))
    for part, x, y in ((part, x, y) for part, nest, y in parts for x in tf.nest.flatten(nest)):
        integer = y.dtype.is_integer and not ones_own
        if len(x.shape) < 2 or len(y.shape) < 2 or x.shape[:2] != y.shape[:2] or (integer and len(y.shape) != 2):
            raise ValueError(
                f"{part}_x and {part}_y must be [meta_batch_size, n, ...], with one label or target per example; a "
                "single episode goes into a list, [episode]. "
                f"Received: {part}_x with shape={tuple(x.shape)}, {part}_y with shape={tuple(y.shape)}"
            )
        if integer and (least := int(tf.reduce_min(y))) < 0:
            raise ValueError(f"labels must run from 0 to n_way - 1. Received: {part}_y with {least}")
    if isinstance(learner, EpisodicLearner):
        learner.check_episode(episodes)
    n_way = 1
    if hits is not None:
        flat = [tf.reshape(y, [-1, *y.shape[2:]]) for y in (episodes.support_y, episodes.query_y)]
        n_way = 1 + max(int(tf.reduce_max(hits.label(y))) for y in flat)
    if n_way == 1 and hits is not None:
        raise ValueError("n_way must be at least 2: of one class every answer is right. Received: n_way=1")
    return {
        "n_way": n_way,
        "k_shot": episodes.support_y.shape[1] / n_way,
        "n_query": episodes.query_y.shape[1] / n_way,
    }


class Sizes:
    """Collects the sizes of meta-batches, of which not all need be equal."""

    def __init__(self):
        self._met: dict[str, set[int]] = {}

    def add(self, sizes: dict[str, float]) -> None:
        """Note the sizes of one meta-batch.

        Args:
            sizes: by name; what is not whole lies between two numbers, and both are noted.
        """
        for name, value in sizes.items():
            self._met.setdefault(name, set()).update((math.floor(value), math.ceil(value)))

    @property
    def met(self) -> dict[str, int | tuple[int, int]]:
        """By name the one size met, or the lowest and highest."""
        return {name: min(met) if len(met) == 1 else (min(met), max(met)) for name, met in self._met.items()}
