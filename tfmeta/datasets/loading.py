"""Picture files as the inputs of a learner: its size, its channels, its range."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfmeta.core.validation import check_flags
from tfmeta.datasets.picture_files import is_picture, read_picture


def load_images(
    paths: str | os.PathLike | Sequence[str | os.PathLike], *, like: Any, invert: bool = False
) -> np.ndarray:
    """Read picture files as a learner takes them, for `adapt` and `predict`.

    Args:
        paths: a file, a folder of files, or several files in the order wanted.
        like: who will take them: a learner, a Keras model such as an adapted one, labelled classes (`ImageClasses`),
            or (height, width, channels) in pixels.
        invert: give `1 - image`: for dark ink on white paper, where the learner was trained on Omniglot's white ink on
            black.

    Returns:
        float32 `[n, height, width, channels]` from 0 to 1, resized, turned as the camera noted, and grey or in colour
        like what the learner was trained on.

    Raises:
        TypeError: if `paths` are no paths.
        ValueError: if there is no file, one cannot be read, or `like` says no size.

    References:
        Layout of images: Keras, "channels last". https://keras.io/api/layers/convolution_layers/convolution2d/
    """
    check_flags(invert=invert)
    height, width, channels = _shape(like)
    return read_images(_files(paths), (height, width), channels, invert=invert)


def read_images(
    files: Sequence[Path], size: tuple[int, int], channels: int | None, *, invert: bool = False, grayscale: bool = False
) -> np.ndarray:
    """Read picture files in one size.

    Args:
        files: the files.
        size: height and width to resize to, in pixels.
        channels: 1 or 3; None for what the files have, which is 3 if one is in colour.
        invert: give `1 - image`.
        grayscale: make them grey where `channels` is None.

    Returns:
        float32 `[n, height, width, channels]` from 0 to 1.

    Raises:
        ValueError: if one cannot be read; the message names the file.

    References:
        Pillow, "Image file formats". https://pillow.readthedocs.io/en/stable/handbook/image-file-formats.html
    """
    read = [read_picture(file, size, channels == 1 or (channels is None and grayscale)).values for file in files]
    colour = channels == 3 or any(values.ndim == 3 for values in read)
    whole = [values[..., None] if values.ndim == 2 else values for values in read]
    whole = [np.repeat(values, 3, axis=-1) if colour and values.shape[-1] == 1 else values for values in whole]
    scaled = np.stack(whole).astype(np.float32) / np.float32(255)
    return 1 - scaled if invert else scaled


def _shape(like: Any) -> tuple[int, int, int]:
    if hasattr(like, "image_shape"):
        found = like.image_shape
    elif isinstance(like, tuple | list):
        found = tuple(like)
    else:
        network = getattr(like, "network", like)
        found = (getattr(network, "input_shape", None) or (None,))[1:]
    fits = len(found) == 3 and all(isinstance(n, int | np.integer) and n > 0 for n in found) and found[2] in (1, 3)
    if not fits:
        raise ValueError(
            "like must be a learner of images, a Keras model, ImageClasses or (height, width, 1 or 3). "
            f"Received: like={like if isinstance(like, tuple | list) else type(like).__name__}, whose images would be "
            f"{tuple(found)}"
        )
    return tuple(int(n) for n in found)


def _files(paths) -> list[Path]:
    one = isinstance(paths, str | os.PathLike)
    if not one and not isinstance(paths, list | tuple | np.ndarray):
        raise TypeError(f"paths must be a path or several. Received: paths of type {type(paths).__name__}")
    if one and Path(paths).is_dir():
        found = sorted(file for file in Path(paths).iterdir() if not file.name.startswith(".") and file.is_file())
        found = [file for file in found if is_picture(file)]
    else:
        found = [Path(path) for path in ([paths] if one else paths)]
    if not found:
        raise ValueError(f"paths must name at least one picture. Received: paths={paths!r}")
    for file in found:
        if not file.is_file():
            raise FileNotFoundError(f"paths must be picture files, or one folder of them. Received: {str(file)!r}")
    return found
