"""Two classes that differ in character and rotation at once: episodes that can be read in two ways."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import as_stream
from tfmeta.core.validation import check_flags, check_seed, check_sizes, check_steps
from tfmeta.datasets.classes import ImageClasses
from tfmeta.datasets.fingerprint import fingerprint
from tfmeta.tasks.sampling import episode_dataset

_TURNS = ("@90", "@180", "@270")  # as `ImageClasses.rotated` names them


class Readings(NamedTuple):
    """Both labellings of the queries of an episode, or of a meta-batch with a leading axis `[meta_batch_size, ...]`.

    Args:
        by_character: label of each query's character, int32 `[2 * n_query]`.
        by_rotation: label of each query's rotation, int32 `[2 * n_query]`: always the other one.
        turned: the label whose support images are turned, int32 scalar.
        meant: the reading whose labels the episode's `query_y` are: 0 character, 1 rotation, int32 scalar.
        classes: class of the data behind labels 0 and 1 by character, int32 `[2]`.
        support: rows of `data.images` in the order of `support_x`, int32 `[2 * k_shot]`.
        query: rows in the order of `query_x`, int32 `[2 * n_query]`.

    References:
        Finn, Xu, Levine (2018), "Probabilistic Model-Agnostic Meta-Learning", section 5, ambiguous CelebA.
        https://arxiv.org/abs/1806.02817
    """

    by_character: tf.Tensor
    by_rotation: tf.Tensor
    turned: tf.Tensor
    meant: tf.Tensor
    classes: tf.Tensor
    support: tf.Tensor
    query: tf.Tensor


def two_readings_episodes(
    data: ImageClasses,
    *,
    k_shot: int,
    n_query: int,
    meta_batch_size: int,
    seed: int,
    start: int = 0,
    with_readings: bool = False,
) -> tf.data.Dataset:
    """An endless stream of 2-way episodes whose support set does not say what tells the classes apart.

    One class of the support set is a character upright, the other class another character turned by 90 degrees. So
    the label may mean the character, or the rotation. The queries are the first character turned and the second one
    upright, other drawings of both: each reading gives them the labels that the other one does not. `query_y` are the
    labels by one of the readings, drawn for each episode with equal probability: nobody can be right in both. So the
    accuracy is one half on average, whatever a learner answers, and its likelihood log 2 a query at best. What tells
    learners apart is how sure they are, and `readings_covered`.

    Args:
        data: square images of classes that are not turned copies of each other, `load_omniglot(rotations=False).train`.
        k_shot: support images per class.
        n_query: query images per character.
        meta_batch_size: episodes in a meta-batch.
        seed: whole number; the same seed gives the same episodes in the same order, whatever the size of the
            meta-batches is.
        start: number of meta-batches to pass over, so that a run can be resumed.
        with_readings: give both labellings of the queries beside each meta-batch.

    Returns:
        A dataset of `Episode`: `support_x` float32 `[meta_batch_size, 2 * k_shot, size, size, channels]`, `query_x`
        `[meta_batch_size, 2 * n_query, ...]`, labels int32 0 and 1. Which label is turned is drawn for each episode, so
        that no rotation has a label of its own. With readings a dataset of pairs of `Episode` and `Readings`.

    Raises:
        TypeError: if `data` is no `ImageClasses`.
        ValueError: if a size is not positive, images are not square, classes are turned copies of others, or there are
            too few classes or images.

    References:
        Finn, Xu, Levine (2018), section 5: CelebA with three attributes in the support set, two of which decide
        https://arxiv.org/abs/1806.02817

    Note:
        An analogue of ambiguous CelebA that needs Omniglot alone.
    """
    check_sizes(k_shot=k_shot, n_query=n_query, meta_batch_size=meta_batch_size)
    check_seed(seed)
    check_steps(start=start)
    check_flags(with_readings=with_readings)
    _check_classes(data)
    sizes = {"k_shot": k_shot, "n_query": n_query, "meta_batch_size": meta_batch_size, "seed": seed}
    episodes = episode_dataset(data, n_way=2, **sizes, start=start, with_ids=True)
    base = tf.constant([seed % 2**31, seed // 2**31], tf.int64)

    def coins(task: tf.Tensor) -> tf.Tensor:
        # Beside the numbers that drew the episode, which come from the key of the same task.
        key = tf.random.experimental.stateless_fold_in(tf.random.experimental.stateless_fold_in(base, task), 1)
        return tf.random.stateless_uniform([2], key, 0, 2, tf.int32)

    def turn(counter: tf.Tensor, drawn):
        episode, ids = drawn
        tasks = counter * meta_batch_size + tf.range(meta_batch_size, dtype=tf.int64)
        turned, meant = tf.unstack(tf.map_fn(coins, tasks, fn_output_signature=tf.int32), axis=1)
        by_character, by_rotation = episode.query_y, 1 - episode.query_y
        readings = Readings(by_character, by_rotation, turned, meant, *ids)
        ambiguous = Episode(
            _quarter_turn(episode.support_x, episode.support_y == turned[:, None]),
            episode.support_y,
            _quarter_turn(episode.query_x, episode.query_y != turned[:, None]),
            tf.where(meant[:, None] == 0, by_character, by_rotation),
        )
        return (ambiguous, readings) if with_readings else ambiguous

    options = {**sizes, "with_readings": bool(with_readings)}
    counters = tf.data.Dataset.counter(start=start, dtype=tf.int64)
    return as_stream(
        tf.data.Dataset.zip((counters, episodes)).map(turn),
        ("two_readings_episodes", fingerprint(data), *options.values(), start),
        lambda n: two_readings_episodes(data, **options, start=start + n),
        n_way=2,
    )


def _quarter_turn(images: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
    """Images `[B, n, size, size, channels]`, those with True in `which` `[B, n]` turned as by `np.rot90`."""
    turned = tf.reverse(tf.transpose(images, [0, 1, 3, 2, 4]), axis=[2])
    return tf.where(which[:, :, None, None, None], turned, images)


def _check_classes(data: ImageClasses) -> None:
    if not isinstance(data, ImageClasses):
        raise TypeError(
            "data must be an ImageClasses, such as load_omniglot(rotations=False).train. "
            f"Received: data of type {type(data).__name__}"
        )
    height, width, _ = data.image_shape
    if height != width:
        raise ValueError(f"images must be square to be turned. Received: data with image_shape={data.image_shape}")
    if data.n_classes < 2:
        raise ValueError(f"data must have at least 2 classes. Received: data with {data.n_classes} class")
    met: dict[str, str] = {}
    for name in data.class_names:
        upright = name.rpartition("@")[0] if name.endswith(_TURNS) else name
        if upright in met:
            raise ValueError(
                "data must not hold turned copies of its classes, since then a rotation is a class: load them with "
                f"rotations=False. Received: data with the classes {met[upright]!r} and {name!r}"
            )
        met[upright] = name


def readings_covered(
    outputs: np.ndarray, by_character: np.ndarray, by_rotation: np.ndarray, *, least: float = 0.8
) -> float:
    """The share of the two readings of an episode that a learner's members give between them.

    A reading is covered if at least one member answers at least the share `least` of the queries by it. A single model
    covers one reading at most, and a member that guesses hardly ever covers any.

    Args:
        outputs: of each member on the queries, logits or probabilities `[samples, 2 * n_query, 2]`; one model's may be
            `[2 * n_query, 2]`.
        by_character: labels of the queries by one reading, integers 0 and 1, `[2 * n_query]`.
        by_rotation: labels by the other, likewise.
        least: share of the queries, above 0.5 and at most 1.

    Returns:
        0, 0.5 or 1.

    Raises:
        ValueError: if the arrays do not fit together, the readings agree on a query, or `least` is out of range.

    References:
        Finn, Xu, Levine (2018), section 5, the coverage of ambiguous CelebA, where a sample counts for its most likely
        reading however well it fits. https://arxiv.org/abs/1806.02817

    Note:
        A query whose output is not a number, or equal for both labels, is answered by neither reading. With few
        queries guessing may pass for a reading: of 30 queries it answers 24 or more right once in 1400 times, of 4 all
        four once in 16. The mean over episodes belongs beside the accuracy.
    """
    if isinstance(least, bool) or not isinstance(least, int | float | np.number) or not 0.5 < least <= 1:
        raise ValueError(f"least must be a share above 0.5 and at most 1. Received: least={least!r}")
    labels = [np.asarray(by_character), np.asarray(by_rotation)]
    for name, one in zip(("by_character", "by_rotation"), labels, strict=True):
        if one.ndim != 1 or not len(one) or not np.issubdtype(one.dtype, np.integer) or not np.isin(one, (0, 1)).all():
            raise ValueError(f"{name} must be integers 0 and 1, one a query of one episode. Received: {name}={one!r}")
    if labels[0].shape != labels[1].shape or (labels[0] == labels[1]).any():
        raise ValueError(
            "the two readings must give every query different labels. "
            f"Received: by_character={labels[0]!r}, by_rotation={labels[1]!r}"
        )
    try:
        found = np.asarray(outputs, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"outputs must be numbers. Received: outputs={outputs!r}") from error
    found = found[None] if found.ndim == 2 else found
    if found.ndim != 3 or not len(found) or found.shape[1:] != (len(labels[0]), 2):
        raise ValueError(
            f"outputs must be [samples, {len(labels[0])}, 2], one row a query. Received: outputs with "
            f"shape={np.shape(outputs)}"
        )
    # Not-a-number is larger than nothing, and so on neither side.
    sides = np.stack([found[..., 0] > found[..., 1], found[..., 1] > found[..., 0]], axis=-1)  # [samples, queries, 2]
    shares = [np.take_along_axis(sides, one[None, :, None], axis=2).mean(axis=(1, 2)) for one in labels]
    return float(np.mean([share.max() >= least for share in shares]))
