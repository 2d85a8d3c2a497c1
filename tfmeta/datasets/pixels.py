"""Pixels as they are kept, uint8 from 0 to 255: what can be turned into them, and the scales that are refused."""

from __future__ import annotations

import warnings

import numpy as np

# Twelve-bit values in sixteen-bit files and the digits of scikit-learn (0 to 16) come out no brighter than this.
DARK = 16


def channels_last_fault(shape: tuple[int, ...]) -> str | None:
    """Say what is wrong with the axes of images.

    Args:
        shape: `(n_images, height, width, channels)`.

    Returns:
        A sentence without its end where the second axis holds the channels, as in PyTorch; else `None`.
    """
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] > 4:
        return (
            f"images must have their channels last, [n_images, height, width, channels], and these look like "
            f"{shape[1]} channels first: use np.moveaxis(images, 1, -1)"
        )
    return None


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Turn pixels into uint8.

    Args:
        images: any shape; uint8, bool, or floating-point from 0 to 1.

    Returns:
        uint8 of the same shape; floating-point values in 256 steps, `True` as 255.

    Raises:
        ValueError: if type or values are others, NaN included.
    """
    if images.dtype == np.uint8:
        return images
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            "images must be uint8, or floating-point from 0 to 1; integers from 0 to 255 become uint8 by "
            f"images.astype(np.uint8). Received: images.dtype={images.dtype}"
        )
    bad = ~np.isfinite(images)
    if bad.any():
        first = int(np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))[0])
        raise ValueError(f"images must be finite; image {first} has NaN or infinite values. Received: {bad.sum()} such")
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        hint = "divide them by 255" if low >= 0 and high <= 255 else "scale them, or cut them off by np.clip"
        raise ValueError(
            f"floating-point images must lie between 0 and 1; {hint}. Received: images from {low:g} to {high:g}"
        )
    return np.rint(images * np.asarray(255, images.dtype)).astype(np.uint8)


def check_scale(images: np.ndarray, pixels: np.ndarray, stacklevel: int) -> None:
    """Refuse images that are all but black because of their scale, and warn of very dark ones.

    Args:
        images: what was given, any shape.
        pixels: the same as uint8.
        stacklevel: of the warning, seen from the caller.

    Raises:
        ValueError: if no value is above 1 (uint8) or above 1/255 (floating-point), but some are above 0.
    """
    high = int(pixels.max())
    if images.dtype == np.uint8:
        if high == 1:
            raise ValueError(
                "uint8 images must use the range from 0 (black) to 255 (white); multiply images of 0 and 1 by 255, or "
                "give them as bool. Received: images from 0 to 1"
            )
    # A little above 1/255, which is no float32.
    elif images.dtype != np.bool_ and 0 < (highest := float(images.max())) <= 1.01 / 255:
        raise ValueError(
            "floating-point images must use the range from 0 (black) to 1 (white), and these would be all but black; "
            f"were they divided by 255 twice? Received: images from {float(images.min()):g} to {highest:g}"
        )
    if 0 < high <= DARK:
        warnings.warn(
            f"the brightest pixel of all images is {high} on the scale from 0 to 255, so they are nearly black; were "
            "values of 4 or 12 bits, or of another scale, taken as 8 or 16 bits? Scale them if so",
            stacklevel=stacklevel + 1,
        )
