"""One picture from one file: upright, on paper, scaled to 8 bits. Whatever Pillow reads is read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfmeta.datasets.pixels import to_bytes

# Pillow knows these by name, but has no pixels for them, or needs a program that may be missing.
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# A telephone's photo may hold a second, smaller picture, and a layered file its layers: those are no other frames.
_ONE_PICTURE = {"MPO", "PSD"}
# With a signature of their own, by which a file without a suffix is known.
_SIGNED = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")


class Picture(NamedTuple):
    """One picture and what is to be said of it.

    Args:
        values: uint8 `[h, w]` if grey and `[h, w, 3]` if in colour.
        frames: how many frames the file holds; `values` is the first.
        vanished: whether only its transparency told ink from paper, as in white ink, so that it is now blank.
    """

    values: np.ndarray
    frames: int
    vanished: bool


def is_picture(file: Path) -> bool:
    """Tell by its suffix whether a file is a picture, or by its first bytes where it has none.

    Args:
        file: an existing file.

    Returns:
        Whether it is to be read, and an error if that fails.
    """
    from PIL import Image

    Image.init()
    suffix = file.suffix.lower()
    if suffix:
        kind = Image.registered_extensions().get(suffix)
        return kind in Image.OPEN and kind not in _NO_PICTURES
    try:
        with Image.open(file, formats=_SIGNED):
            return True
    except (OSError, ValueError, SyntaxError):
        return False


def read_picture(file: Path, size: tuple[int, int] | None, grayscale: bool) -> Picture:
    """Read one picture.

    Args:
        file: the file.
        size: height and width to resize to, in pixels, or `None`.
        grayscale: make it grey.

    Returns:
        The `Picture`. It is turned as its camera said, transparent parts are white paper, values of 16 bits are divided
        by 257, and floating-point values are taken to run from 0 to 1.

    Raises:
        ValueError: if it cannot be read, or its values have no scale that is known; the message names the file.
    """
    from PIL import Image

    try:
        # As a stream: from its name Pillow maps a plain TIFF into memory, with the sides of a turned one mixed up.
        with open(file, "rb") as stream, Image.open(stream) as opened:
            frames = 1 if opened.format in _ONE_PICTURE else getattr(opened, "n_frames", 1)
            picture = _upright(opened)
            if picture.mode.startswith(("I", "F")):
                picture = Image.fromarray(_eight_bits(picture))
            picture, vanished = _on_paper(picture)
            picture = picture.convert("L" if grayscale or picture.mode in ("1", "L") else "RGB")
            if size is not None and picture.size != size[::-1]:
                shrinks = picture.size[1] >= size[0] and picture.size[0] >= size[1]
                picture = picture.resize(size[::-1], Image.Resampling.BOX if shrinks else None)
            return Picture(np.array(picture, np.uint8), frames, vanished)
    except MemoryError:
        raise
    except Exception as error:  # damaged files have been met with errors of all kinds, from struct's to zlib's
        raise ValueError(f"an image must be readable ({type(error).__name__}: {error}). Received: {file}") from error


def _upright(picture):
    from PIL import ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about damaged EXIF data, without which a picture is as it is
        return ImageOps.exif_transpose(picture)


def _eight_bits(picture) -> np.ndarray:
    """Wide values as uint8; Pillow would cut them off at 255."""
    wide = np.asarray(picture)
    if picture.mode.startswith("F"):
        return to_bytes(wide)
    if wide.min() < 0 or wide.max() > 65535:
        raise ValueError(
            f"integers of an image must have 8 or 16 bits, and these run from {wide.min()} to {wide.max()}"
        )
    if isinstance(paper := picture.info.get("transparency"), int):
        wide = np.where(wide == paper, 65535, wide)
    return np.rint(wide / 257.0).astype(np.uint8)


def _on_paper(picture) -> tuple:
    """Lay a transparent picture on white paper, and say whether anything can still be seen of it."""
    from PIL import Image

    if picture.mode not in ("P", "RGBA", "LA", "PA", "RGBa") and "transparency" not in picture.info:
        return picture, False
    shown = picture.convert("RGBA")
    laid = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), shown).convert("RGB")
    low, high = zip(*laid.getextrema(), strict=True)
    alpha = shown.getchannel("A").getextrema()
    vanished = low == high and alpha[0] < 255
    values = np.asarray(laid)
    return (laid.convert("L") if (values == values[..., :1]).all() else laid), vanished
