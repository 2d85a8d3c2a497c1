"""Bilinear resizing whose second derivative is right, for networks that change the size of images in an inner loop.

Resizing is linear: its derivative is the transposed map, whose derivative is resizing again. TensorFlow declares the
transposed map not differentiable, so that a second-order MAML gradient through `UpSampling2D`, `Resizing` or
`tf.image.resize` loses, with no error, all that passed there. Within `exact_resize()` it is right to any order.
"""

from __future__ import annotations

import tensorflow as tf

from tfmeta.core.replaced import Replaced

_BILINEAR = (tf.image.ResizeMethod.BILINEAR, "bilinear")


@tf.custom_gradient
def _resized(images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Images `[batch, *size, channels]`."""
    before = tf.shape(images)
    resized = tf.raw_ops.ResizeBilinear(images=images, size=size, half_pixel_centers=True, name="exact_resize")
    return resized, lambda above: (_transposed(above, before), None)


@tf.custom_gradient
def _transposed(above: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """The transposed map of resizing images of this shape, on what has the size after it."""
    size = tf.shape(above)[1:3]
    like = tf.zeros(shape, above.dtype)
    back = tf.raw_ops.ResizeBilinearGrad(
        grads=above, original_image=like, half_pixel_centers=True, name="exact_resize_back"
    )
    return back, lambda images: (_resized(images, size), None)


def resize(
    images, size, method=tf.image.ResizeMethod.BILINEAR, preserve_aspect_ratio=False, antialias=False, name=None
):
    """`tf.image.resize`, differentiable any number of times where it is bilinear.

    Args:
        images: `[batch, height, width, channels]` or `[height, width, channels]`.
        size: new height and width.
        method: as `tf.image.resize`.
        preserve_aspect_ratio: as `tf.image.resize`.
        antialias: as `tf.image.resize`.
        name: as `tf.image.resize`.

    Returns:
        `[batch, *size, channels]` or `[*size, channels]`, the numbers of `tf.image.resize`.

    References:
        TensorFlow, `tf.image.resize`. https://www.tensorflow.org/api_docs/python/tf/image/resize
    """
    images = tf.convert_to_tensor(images)
    plain = method in _BILINEAR and not preserve_aspect_ratio and not antialias
    if not plain or images.dtype not in (tf.float32, tf.float64) or images.shape.rank not in (3, 4):
        return _exact.original(images, size, method, preserve_aspect_ratio, antialias, name)
    size = tf.cast(tf.convert_to_tensor(size), tf.int32)
    batch = images if images.shape.rank == 4 else images[None]
    known = tf.get_static_value(size)
    # TensorFlow gives float32, whatever comes in.
    resized = _resized(tf.cast(batch, tf.float32), size)
    resized.set_shape([batch.shape[0], *((None, None) if known is None else known), batch.shape[3]])
    return resized if images.shape.rank == 4 else resized[0]


_exact = Replaced(tf.image, "resize", resize)


def exact_resize():
    """Within the block, `tf.image.resize`, and with it Keras's layers that resize, can be differentiated twice.

    Returns:
        A context. Values and first derivatives are the same, so other threads that meet the block are not affected.

    References:
        TensorFlow, `tf.image.resize`. https://www.tensorflow.org/api_docs/python/tf/image/resize
    """
    return _exact()
