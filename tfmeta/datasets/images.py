"""Your own images as classes, from arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfmeta.core.validation import check_sequence
from tfmeta.datasets.classes import ImageClasses
from tfmeta.datasets.labels import classes_of
from tfmeta.datasets.pixels import channels_last_fault, check_scale, to_bytes


def from_arrays(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str] | None = None, name: str = "images"
) -> ImageClasses:
    """Make labelled classes from arrays.

    Args:
        images: `[n, h, w]` or `[n, h, w, channels]`; uint8, bool, or floating-point values from 0 to 1.
        labels: `[n]` or `[n, 1]`, any integers or strings, in an array, a list or a column of a table; sorted, they
            become the classes 0, 1, ... Gaps between integers do no harm, and floating-point labels will do if they
            are whole numbers.
        class_names: of integer labels one name per distinct label, in ascending order of the labels, which are the
            names by default. Of string labels, which are names already, the same strings in the order wanted. What
            stands before the last "/" of a name, or else the whole name, is the class's alphabet.
        name: what a report calls this set.

    Returns:
        `ImageClasses` with uint8 images `[n, h, w, channels]` sorted by class, in the given order within a class.

    Raises:
        ValueError: if shapes, types or values are not as described, a label is missing (`None`, NaN, ""), channels come
            first, the scale would leave the images black, or there are none.

    References:
        The format is that of Lake et al. (2015)'s characters, grouped by alphabet. https://doi.org/10.1126/science.aab3050

    Note:
        Floating-point images are rounded to 256 steps. Very dark images and negative labels are warned of.
    """
    return _from_arrays(images, labels, class_names, name, stacklevel=2)


def _from_arrays(images, labels, class_names, name: str, stacklevel: int) -> ImageClasses:
    """`from_arrays` for callers that lie `stacklevel` calls above, to whom warnings are addressed."""
    if not hasattr(images, "shape"):
        check_sequence("images", images)
        shapes = sorted({np.shape(image) for image in images})
        if len(shapes) > 1:
            raise ValueError(f"images must all have the same shape. Received: images of shapes {shapes[:3]}")
    images = np.asarray(images)
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise ValueError(
            "images must be [n, h, w] or [n, h, w, channels] with at least one image. "
            f"Received: images.shape={images.shape}"
        )
    images = images[..., None] if images.ndim == 3 else images
    if fault := channels_last_fault(images.shape):
        raise ValueError(f"{fault}. Received: images.shape={images.shape}")
    pixels = to_bytes(images)
    check_scale(images, pixels, stacklevel + 1)
    index, names = classes_of(labels, len(pixels), class_names, stacklevel + 1)
    order = np.argsort(index, kind="stable")
    return ImageClasses(pixels[order], index[order].astype(np.int32), names, tuple(map(_group, names)), name)


def _group(class_name: str) -> str:
    return class_name.rpartition("/")[0] or class_name
