"""What tells one data set from another."""

from __future__ import annotations

import zlib

import numpy as np

from tfmeta.datasets.classes import ImageClasses


def fingerprint(data: ImageClasses) -> tuple:
    """Tell a data set from others by its name, its classes and a sample of its images.

    Args:
        data: labelled classes.

    Returns:
        Something that can be compared and hashed; the same for the same data loaded again.
    """
    some = data.images[:: max(1, len(data.images) // 256)]
    return (data.name, data.class_names, data.images.shape, zlib.crc32(np.ascontiguousarray(some)))
