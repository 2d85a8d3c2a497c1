"""New tasks from old ones: rotated classes, shifted and bent images, wrong labels. All inside the TensorFlow graph.

A transform is a function of a meta-batch and a random key; `augment` applies some of them to a stream. The same seed
gives the same stream, and a stream can start anywhere, as `episode_dataset` does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.streams import as_stream, stream_of
from tfmeta.core.validation import check_number, check_seed, check_sizes, check_steps

Transform = Callable[[Episode, tf.Tensor], Episode]


def augment(dataset: tf.data.Dataset, *transforms: Transform, seed: int, start: int = 0) -> tf.data.Dataset:
    """A stream of meta-batches with transforms applied one after the other.

    Args:
        dataset: meta-batches, `episode_dataset(...)`.
        transforms: `rotate_classes`, or `functools.partial(shift, pixels=2)`: functions of an `Episode` whose tensors
            have a leading axis and a key (integers `[2]`), that return such an `Episode`. Each task comes to them by
            itself, as a meta-batch of one, with a key of its own.
        seed: whole number; the same seed changes the hundredth task in the same way, whatever the size of the
            meta-batches is.
        start: number of meta-batches that the dataset itself has passed over (`episode_dataset(start=...)`).

    Returns:
        A dataset of `Episode`, of the same shapes.

    Raises:
        TypeError: if the dataset's elements are not episodes, or a transform is no function that returns one.
        ValueError: if there is no transform, or the seed or `start` is negative.

    References:
        Santoro et al. (2016), section 4.1, rotated classes as new ones. https://arxiv.org/abs/1605.06065
    """
    if not isinstance(getattr(dataset, "element_spec", None), Episode):
        raise TypeError(f"dataset must hold Episode, as episode_dataset(...) does. Received: {type(dataset).__name__}")
    if not transforms:
        raise ValueError("augment needs at least one transform, such as rotate_classes. Received: transforms=()")
    for i, transform in enumerate(transforms):
        if not callable(transform):
            raise TypeError(
                f"transforms must be functions of an Episode and a key. Received: transforms[{i}]={transform!r}"
            )
    check_seed(seed)
    check_steps(start=start)
    base = tf.constant([seed % 2**31, seed // 2**31], tf.int64)

    def of_one_task(number: tf.Tensor, episode: Episode) -> Episode:
        keys = tf.random.split(tf.random.experimental.stateless_fold_in(base, number), len(transforms))
        episode = Episode(*(tensor[None] for tensor in episode))
        for i, transform in enumerate(transforms):
            episode = transform(episode, keys[i])
            if not isinstance(episode, Episode):
                raise TypeError(f"transforms must return an Episode. Received: {episode!r} of transforms[{i}]")
        return Episode(*(tensor[0] for tensor in episode))

    @tf.autograph.experimental.do_not_convert
    def apply(number: tf.Tensor, episode: Episode) -> Episode:
        tasks = tf.shape(episode.support_y, tf.int64)[0]
        signature = Episode(*(tf.TensorSpec(None, tensor.dtype) for tensor in episode))
        found = tf.map_fn(
            lambda task: of_one_task(*task), (number * tasks + tf.range(tasks), episode), fn_output_signature=signature
        )
        for changed, tensor in zip(found, episode, strict=True):
            changed.set_shape(tensor.shape)
        return found

    stream = stream_of(dataset)
    augmented = dataset.enumerate(start).map(apply).prefetch(2)
    if stream.key is None:
        return augmented
    return as_stream(
        augmented,
        ("augment", stream.key, tuple(map(_named, transforms)), seed, start),
        lambda n: augment(stream.later(n), *transforms, seed=seed, start=start + n),
        n_way=stream.n_way,
    )


def _named(transform: Transform) -> tuple:
    """A transform's name and options, the same when the line that made it is run again."""
    if isinstance(transform, functools.partial):
        return (*_named(transform.func), repr(transform.args), repr(sorted(transform.keywords.items())))
    return (getattr(transform, "__module__", ""), getattr(transform, "__qualname__", repr(transform)))


def _check(episode: Episode, key: tf.Tensor, *, images: bool = True) -> None:
    """Refuse anything but a meta-batch, of images or of labels, and a key; looks at types and shapes alone."""
    if not isinstance(episode, Episode):
        raise TypeError(f"episode must be an Episode. Received: episode of type {type(episode).__name__}")
    rank = len(getattr(episode.support_x, "shape", ()))
    if images and rank != 5:
        raise ValueError(
            "images must be a meta-batch [meta_batch_size, n, height, width, channels]. "
            f"Received: support_x with shape={getattr(episode.support_x, 'shape', None)}"
        )
    if not images and (len(episode.support_y.shape) != 2 or not tf.as_dtype(episode.support_y.dtype).is_integer):
        raise ValueError(
            "labels must be integers [meta_batch_size, n]. "
            f"Received: support_y with shape={episode.support_y.shape}, dtype={episode.support_y.dtype}"
        )
    whole = key is not None and not isinstance(key, str) and tf.convert_to_tensor(key).dtype in (tf.int32, tf.int64)
    if not whole or not tf.TensorShape([2]).is_compatible_with(tf.convert_to_tensor(key).shape):
        raise ValueError(f"key must be integers [2]. Received: key={key!r}")


def _images(function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], episode: Episode, key: tf.Tensor) -> Episode:
    """Apply a function of images `[n, height, width, channels]` and a key to support and query."""
    _check(episode, key)
    keys = tf.random.split(key, 2)

    def flat(x, part):
        shape = tf.shape(x)
        return tf.reshape(function(tf.reshape(x, tf.concat([[-1], shape[2:]], axis=0)), part), shape)

    return episode._replace(support_x=flat(episode.support_x, keys[0]), query_x=flat(episode.query_x, keys[1]))


def rotate_classes(episode: Episode, key: tf.Tensor) -> Episode:
    """Turn each class of each task by 0, 90, 180 or 270 degrees, its support and query images alike.

    Args:
        episode: a meta-batch of square images `[meta_batch_size, n, size, size, channels]`.
        key: integers `[2]`.

    Returns:
        An `Episode` of the same shapes.

    Raises:
        ValueError: if the images are not square.

    Note:
        For classes that are not turned copies of each other: where turns already are classes of their own, as in
        `load_omniglot()`, two classes of a task can come out with the same images.

    References:
        Santoro et al. (2016), section 4.1. https://arxiv.org/abs/1605.06065
    """
    _check(episode, key)
    height, width = episode.support_x.shape[-3:-1]
    if height != width:
        raise ValueError(f"rotate_classes needs square images. Received: images of {height}x{width} pixels")
    n_way = count_classes(episode)
    turns = tf.random.stateless_uniform([tf.shape(episode.support_y)[0], n_way], key, 0, 4, tf.int32)

    def turned(x, y):
        # All four turns of every image, one of them kept: no branch, so it runs as one operation over the batch.
        flat = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))
        all_four = tf.stack([tf.image.rot90(flat, k) for k in range(4)], axis=1)
        which = tf.reshape(tf.gather(turns, y, batch_dims=1), [-1])
        return tf.reshape(tf.gather(all_four, which, batch_dims=1), tf.shape(x))

    return episode._replace(
        support_x=turned(episode.support_x, episode.support_y), query_x=turned(episode.query_x, episode.query_y)
    )


def shift(episode: Episode, key: tf.Tensor, *, pixels: int = 2) -> Episode:
    """Move every image by up to so many pixels each way; what comes in from outside is 0.

    Args:
        episode: a meta-batch of images `[meta_batch_size, n, height, width, channels]`.
        key: integers `[2]`.
        pixels: largest move.

    Returns:
        An `Episode` of the same shapes.

    Raises:
        ValueError: if `pixels` is not positive.

    References:
        Krizhevsky, Sutskever, Hinton (2012), section 4.1.
        https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks
    """
    check_sizes(pixels=pixels)

    def moved(x, part):
        n, height, width = tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2]
        corner = tf.random.stateless_uniform([n, 2], part, 0, 2 * pixels + 1, tf.int32)
        padded = tf.pad(x, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]])
        rows = tf.gather(padded, corner[:, :1] + tf.range(height), batch_dims=1)
        columns = tf.gather(tf.transpose(rows, [0, 2, 1, 3]), corner[:, 1:] + tf.range(width), batch_dims=1)
        return tf.transpose(columns, [0, 2, 1, 3])

    return _images(moved, episode, key)


def elastic(episode: Episode, key: tf.Tensor, *, strength: float = 1.5, smoothness: float = 4.0) -> Episode:
    """Bend every image by a smooth random field.

    Args:
        episode: a meta-batch of images `[meta_batch_size, n, height, width, channels]`.
        key: integers `[2]`.
        strength: root mean square of the displacement, in pixels.
        smoothness: standard deviation of the Gaussian that smooths the field, in pixels.

    Returns:
        An `Episode` of the same shapes; outside an image is 0.

    Raises:
        ValueError: if a number is not positive.

    References:
        Simard, Steinkraus, Platt (2003), "Best Practices for Convolutional Neural Networks", section 2.
        https://doi.org/10.1109/ICDAR.2003.1227801
    """
    for name, value in (("strength", strength), ("smoothness", smoothness)):
        check_number(name, value, above=True)
    return _images(functools.partial(_bent, strength=strength, smoothness=smoothness), episode, key)


def _bent(x: tf.Tensor, key: tf.Tensor, strength: float, smoothness: float) -> tf.Tensor:
    n, height, width = tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2]
    reach = int(3 * smoothness)
    bell = tf.exp(-0.5 * (tf.range(-reach, reach + 1, dtype=tf.float32) / smoothness) ** 2)
    bell /= tf.norm(bell)  # so that smoothed white noise keeps variance 1
    field = tf.random.stateless_normal([n, height + 2 * reach, width + 2 * reach, 2], key)
    for kernel in (bell[:, None], bell[None, :]):
        field = tf.nn.depthwise_conv2d(field, tf.tile(kernel[..., None, None], [1, 1, 2, 1]), [1] * 4, "VALID")
    rows, columns = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    places = tf.cast(tf.stack([rows, columns], axis=-1), tf.float32) + strength * field  # [n, height, width, 2]
    corner = tf.floor(places)
    share = places - corner
    corner = tf.cast(corner, tf.int32) + 1  # in an image with a border of one 0
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    result = tf.zeros_like(x)
    for down in (0, 1):
        for right in (0, 1):
            part = tf.abs(share - (1 - down, 1 - right))
            at = tf.clip_by_value(corner + tf.constant([down, right]), 0, [height + 1, width + 1])
            result += tf.reduce_prod(part, axis=-1, keepdims=True) * tf.gather_nd(padded, at, batch_dims=1)
    return result


def label_noise(episode: Episode, key: tf.Tensor, *, fraction: float = 0.2) -> Episode:
    """Give some support images the label of another class of their task. Queries keep the truth.

    Args:
        episode: a meta-batch with integer labels.
        key: integers `[2]`.
        fraction: probability of a wrong label, from 0 to 1.

    Returns:
        An `Episode` with the same images.

    Raises:
        ValueError: if `fraction` is not from 0 to 1.

    References:
        Angluin, Laird (1988), "Learning from noisy examples", section 2. https://doi.org/10.1007/BF00116829
    """
    check_number("fraction", fraction)
    _check(episode, key, images=False)
    if fraction > 1:
        raise ValueError(f"fraction must be from 0 to 1. Received: fraction={fraction!r}")
    keys = tf.random.split(key, 2)
    y = episode.support_y
    n_way = count_classes(episode)
    # 1 to n_way - 1 places on, so never the right one, unless there is no other.
    wrong = (y + tf.random.stateless_uniform(tf.shape(y), keys[0], 1, tf.maximum(n_way, 2), tf.int32)) % n_way
    return episode._replace(support_y=tf.where(tf.random.stateless_uniform(tf.shape(y), keys[1]) < fraction, wrong, y))
