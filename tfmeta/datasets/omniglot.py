"""Omniglot, 1623 handwritten characters of 50 alphabets, as 28x28 images split for few-shot learning."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from tfmeta.core.validation import check_flags
from tfmeta.datasets import omniglot_source as source
from tfmeta.datasets.cache import DamagedCacheError, check_writable, read_arrays, resolve_data_dir, write_arrays
from tfmeta.datasets.classes import ImageClasses, Splits
from tfmeta.datasets.omniglot_source import OmniglotUnavailableError
from tfmeta.datasets.omniglot_split import lake_parts, vinyals_parts

__all__ = ["OmniglotUnavailableError", "load_omniglot"]

IMAGE_SIZE = 28
# A change of the processing below changes this name, so that a cache of the old processing is not read.
CACHE_NAME = "omniglot-28x28-v1.npz"
CACHE_BYTES = 28 * 2**20
ARRAYS = {"images", "alphabet", "character", "background", "count"}


def load_omniglot(split: str = "vinyals", data_dir: str | os.PathLike | None = None, rotations: bool = True) -> Splits:
    """Load Omniglot: from the cache, else packed from a prepared tensorflow-datasets folder, else downloaded.

    Images are uint8 `[n, 28, 28, 1]`, ink bright on a dark background, 20 drawings of every character.

    Args:
        split: `"vinyals"`, 1028 / 172 / 423 characters, the one that published figures mean; or `"lake"`, 964 / 659
            by whole alphabets, without a validation part.
        data_dir: folder of the cache (26 MB), which is also searched first for `omniglot/3.0.0` and downloaded to.
            Default: `$TFMETA_DATA_DIR`, else `data/` of a source checkout, else the user's cache folder.
        rotations: add every character turned by 90, 180 and 270 degrees as classes of their own, in every part:
            4112 / 688 / 1692 classes.

    Returns:
        `Splits` of `ImageClasses`; class names like `"Tagalog/character03"` (`"...@90"` when turned).

    Raises:
        OmniglotUnavailableError: if Omniglot is not on this machine and cannot be downloaded; says what to do.
        OSError: if `data_dir` cannot be written to or the disk is full.
        ValueError: if `split` is unknown or a prepared folder is incomplete or damaged.

    References:
        Lake, Salakhutdinov, Tenenbaum (2015), "Human-level concept learning through probabilistic program induction",
        Science 350. https://doi.org/10.1126/science.aab3050
        Vinyals et al. (2016), "Matching Networks for One Shot Learning", section 4.1.1: split, size and rotations.
        https://arxiv.org/abs/1606.04080

    Note:
        Rotations are added to validation and test too, as in Snell et al. (2017), section 3.1.
    """
    check_flags(rotations=rotations)
    if split not in ("vinyals", "lake"):
        raise ValueError(f"split must be 'vinyals' or 'lake'. Received: split={split!r}")
    packed = _load_packed(resolve_data_dir(data_dir))
    alphabets = tuple(str(name) for name in packed["alphabet"])
    everything = ImageClasses(
        images=packed["images"][..., None],
        labels=np.repeat(np.arange(len(alphabets), dtype=np.int32), packed["count"]),
        class_names=tuple(f"{a}/character{c:02d}" for a, c in zip(alphabets, packed["character"], strict=True)),
        alphabets=alphabets,
        name="omniglot",
    )
    parts = vinyals_parts(alphabets, packed["character"]) if split == "vinyals" else lake_parts(packed["background"])
    loaded = {}
    for part, classes in parts.items():
        loaded[part] = everything.select(classes, name=f"omniglot {split} {part}")
        if rotations:
            loaded[part] = loaded[part].rotated()
    return Splits(train=loaded["train"], validation=loaded.get("validation"), test=loaded["test"])


def shrink(images: np.ndarray) -> np.ndarray:
    """Invert drawings and resize them by area averaging.

    Args:
        images: uint8 `[n, height, width]`, black ink (0) on white (255).

    Returns:
        uint8 `[n, 28, 28]`, bright ink on black: each value is the inked share of its pixel's area, 0 to 255.
    """
    n, height, width = images.shape
    ink = (255 - images).astype(np.float32)
    rows, columns = _area_weights(height), _area_weights(width)
    narrow = (ink.reshape(-1, width) @ columns.T).reshape(n, height, IMAGE_SIZE)
    small = np.matmul(rows, narrow)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def _area_weights(length: int) -> np.ndarray:
    """Share of every source pixel in every target pixel, `[28, length]`, rows adding up to 1."""
    edges = np.arange(IMAGE_SIZE + 1) * (length / IMAGE_SIZE)
    source_left = np.arange(length)
    overlap = np.minimum(edges[1:, None], source_left + 1) - np.maximum(edges[:-1, None], source_left)
    return (np.clip(overlap, 0, None) * (IMAGE_SIZE / length)).astype(np.float32)


def _load_packed(data_dir: Path) -> dict[str, np.ndarray]:
    path = data_dir / CACHE_NAME
    try:
        packed = read_arrays(path)
        if set(packed) == ARRAYS:
            return packed
        damage = f"{path}: it holds {sorted(packed)}"
    except (FileNotFoundError, NotADirectoryError):
        damage = None
    except DamagedCacheError as error:
        damage = str(error)
    if damage:
        warnings.warn(f"the Omniglot cache is damaged and will be rebuilt ({damage})", stacklevel=3)
    from tfmeta.machine import threads  # imports TensorFlow, which a good cache does not need

    threads.prefer_tasks()  # tensorflow-datasets starts TensorFlow, and later it would be too late
    # Before any work: the minutes of a download are not to end in "permission denied".
    check_writable(data_dir, CACHE_BYTES)
    folder = source.find_prepared(data_dir) or source.download(data_dir)
    packed = source.read_prepared(folder, shrink)
    try:
        vinyals_parts(packed["alphabet"].tolist(), packed["character"])
    except ValueError as error:  # before it is written: a cache of damaged names would outlive the damage
        raise ValueError(
            f"the folder must hold the alphabets of Omniglot ({error}); remove or replace it. "
            f"Received: folder={str(folder)!r}"
        ) from error
    write_arrays(path, packed)
    return packed
