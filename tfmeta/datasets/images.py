"""Your own images as classes: from arrays, or from a folder per class; and their division into splits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfmeta.datasets.classes import ImageClasses, Splits

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


def from_arrays(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str] | None = None, name: str = "images"
) -> ImageClasses:
    """Make labelled classes from arrays.

    Args:
        images: `[n, h, w]` or `[n, h, w, channels]`; uint8, or floating-point values from 0 to 1.
        labels: `[n]`, any integers; sorted, they become the classes 0, 1, ...
        class_names: one name per distinct label, in ascending order of the labels; the labels themselves by default.
            What stands before the last "/" of a name, or else the whole name, is the class's alphabet.
        name: what a report calls this set.

    Returns:
        `ImageClasses` with uint8 images `[n, h, w, channels]` sorted by class, in the given order within a class.

    Raises:
        ValueError: if shapes, types or values are not as described, NaN included, or there are no images.

    References:
        The format is that of Lake et al. (2015)'s characters, grouped by alphabet. https://doi.org/10.1126/science.aab3050

    Note:
        Floating-point images are rounded to 256 steps.
    """
    if not hasattr(images, "shape"):
        shapes = sorted({np.shape(image) for image in images})
        if len(shapes) > 1:
            raise ValueError(f"images must all have the same shape. Received: images of shapes {shapes[:3]}")
    pixels = _as_uint8(np.asarray(images))
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) != len(pixels):
        raise ValueError(
            f"labels must be one-dimensional, one per image ({len(pixels)}). Received: labels.shape={labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers. Received: labels.dtype={labels.dtype}")
    values, index = np.unique(labels, return_inverse=True)
    names = tuple(str(value) for value in (values if class_names is None else class_names))
    if len(names) != len(values) or len(set(names)) != len(names):
        raise ValueError(
            f"class_names must be {len(values)} distinct names, one per distinct label. Received: class_names={names}"
        )
    order = np.argsort(index, kind="stable")
    return ImageClasses(pixels[order], index[order].astype(np.int32), names, tuple(map(_group, names)), name)


def _as_uint8(images: np.ndarray) -> np.ndarray:
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise ValueError(
            "images must be [n, h, w] or [n, h, w, channels] with at least one image. "
            f"Received: images.shape={images.shape}"
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images must be uint8, or floating-point from 0 to 1. Received: images.dtype={images.dtype}")
    bad = ~np.isfinite(images)
    if bad.any():
        first = int(np.flatnonzero(bad.any(axis=(1, 2, 3)))[0])
        raise ValueError(f"images must be finite; image {first} has NaN or infinite values. Received: {bad.sum()} such")
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise ValueError(f"floating-point images must lie between 0 and 1. Received: images from {low:g} to {high:g}")
    return np.rint(images * np.asarray(255, images.dtype)).astype(np.uint8)


def from_directory(
    path: str | os.PathLike, image_size: int | tuple[int, int] | None = None, grayscale: bool = False,
    name: str | None = None,
) -> ImageClasses:  # fmt: skip
    """Read a folder per class: every folder that holds image files is a class, at any depth.

    `path/cat/1.png` is of class `"cat"`; `path/Tagalog/character03/0967_01.png`, Omniglot's own layout, of class
    `"Tagalog/character03"` in the alphabet `"Tagalog"`. Hidden files and files of other types are passed over.

    Args:
        path: folder with PNG, JPEG, BMP or GIF files (the first frame) below it.
        image_size: height and width to resize to, or one number for both, in pixels; without it all images must have
            the same shape. Shrinking averages over areas.
        grayscale: turn colour images grey. Without it, the images have three channels if any file is in colour.
        name: what a report calls this set; the folder's name by default.

    Returns:
        `ImageClasses`, uint8 `[n, h, w, 1 or 3]`; classes and the files within one in alphabetical order. Values are
        those of the files: dark ink on white paper stays so.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there are no images, a file cannot be read, shapes differ and `image_size` is not given, or a
            class has fewer than two images; the message names the files or the class.

    References:
        Layout: https://github.com/brendenlake/omniglot (folder per alphabet, folder per character).
    """
    root = Path(path).expanduser()
    size = _checked_size(image_size)
    if not root.is_dir():
        raise FileNotFoundError(
            f"path must be a folder with a folder of images per class. Received: path={str(path)!r}"
        )
    files = _files_by_class(root)
    for class_name, members in files.items():
        if len(members) < 2:
            raise ValueError(
                f"class {class_name!r} must have at least 2 images, one to learn from and one to be judged on. "
                f"Received: {members[0]} alone"
            )
    paths = [member for members in files.values() for member in members]
    pictures = [_read(member, size, grayscale) for member in paths]
    if not all(picture.ndim == 2 for picture in pictures):
        pictures = [np.repeat(p[..., None], 3, -1) if p.ndim == 2 else p for p in pictures]
    for member, picture in zip(paths, pictures, strict=True):
        if picture.shape[:2] != pictures[0].shape[:2]:
            raise ValueError(
                "images must all have the same height and width unless image_size is given. Received: "
                f"{paths[0]} with {pictures[0].shape[:2]}, {member} with {picture.shape[:2]}"
            )
    labels = np.repeat(np.arange(len(files)), [len(members) for members in files.values()])
    return from_arrays(np.stack(pictures), labels, tuple(files), root.resolve().name if name is None else name)


def _checked_size(image_size) -> tuple[int, int] | None:
    if image_size is None:
        return None
    size = tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    if len(size) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in size):
        raise ValueError(f"image_size must be one or two positive integers. Received: image_size={image_size!r}")
    return int(size[0]), int(size[1])


def _files_by_class(root: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for member in sorted(root.rglob("*")):
        inner = member.relative_to(root).parts
        if member.suffix.lower() in SUFFIXES and member.is_file() and not any(part.startswith(".") for part in inner):
            files.setdefault("/".join(inner[:-1]), []).append(member)
    loose = files.pop("", None)
    if not files:
        hint = f"; {loose[0].name!r} lies in no class folder" if loose else ""
        raise ValueError(
            f"path must hold a folder of images ({', '.join(SUFFIXES)}) per class{hint}. Received: path={str(root)!r}"
        )
    if loose:
        raise ValueError(f"every image must lie in the folder of its class. Received: {loose[0]} in none")
    return dict(sorted(files.items()))


def _read(file: Path, size: tuple[int, int] | None, grayscale: bool) -> np.ndarray:
    """One image, uint8 `[h, w]` if grey and `[h, w, 3]` if in colour."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            if picture.mode.startswith(("I", "F")):
                # Pillow cuts such values off at 255 instead of scaling them.
                wide = np.asarray(picture, np.float64)
                picture = Image.fromarray(np.rint(wide * (255 / max(65535.0, wide.max()))).astype(np.uint8))
            if picture.mode in ("P", "RGBA", "LA", "PA") or "transparency" in picture.info:
                paper = Image.new("RGBA", picture.size, "white")  # what shows through is paper, not black
                picture = Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")
                values = np.asarray(picture)
                if (values == values[..., :1]).all():
                    picture = picture.convert("L")
            picture = picture.convert("L" if grayscale or picture.mode in ("1", "L") else "RGB")
            if size is not None and picture.size != size[::-1]:
                picture = picture.resize(size[::-1], Image.Resampling.BOX if _shrinks(picture, size) else None)
            return np.array(picture, np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"an image must be readable ({type(error).__name__}: {error}). Received: {file}") from error


def _shrinks(picture, size: tuple[int, int]) -> bool:
    return picture.size[1] >= size[0] and picture.size[0] >= size[1]


def _group(class_name: str) -> str:
    return class_name.rpartition("/")[0] or class_name


def split_classes(
    classes: ImageClasses, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0, by_alphabet: bool = False
) -> Splits:
    """Divide classes at random into train, validation and test; no class is in two parts and no part is empty.

    Args:
        classes: what to divide.
        fractions: shares of the three parts, above 0, adding up to 1.
        seed: seed of the division, 0 or more.
        by_alphabet: keep the classes of an alphabet together, so that test characters come from unseen alphabets; the
            shares then count alphabets.

    Returns:
        `Splits`, each part named after `classes` with its part's name behind.

    Raises:
        ValueError: if the fractions are not as described or there are fewer than three classes (or alphabets).

    References:
        Lake et al. (2015) divide by alphabet, Vinyals et al. (2016), section 4.1.1, by character.
        https://arxiv.org/abs/1606.04080
    """
    shares = np.asarray(fractions, float)
    if shares.shape != (3,) or not np.all(shares > 0) or not np.isclose(shares.sum(), 1):
        raise ValueError(f"fractions must be three numbers above 0 that add up to 1. Received: fractions={fractions}")
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0. Received: seed={seed!r}")
    groups = np.array(classes.alphabets) if by_alphabet else np.arange(classes.n_classes)
    distinct = np.unique(groups)
    unit = "alphabets" if by_alphabet else "classes"
    if len(distinct) < 3:
        raise ValueError(f"three parts need at least 3 {unit}. Received: {len(distinct)} {unit}")
    order = np.random.default_rng(seed).permutation(distinct)
    # At least one each; what rounding leaves over goes to train.
    n_validation, n_test = (max(1, round(share * len(order))) for share in shares[1:])
    while n_validation + n_test >= len(order):
        n_validation, n_test = (n_validation - 1, n_test) if n_validation > n_test else (n_validation, n_test - 1)
    chosen = {
        "validation": order[:n_validation],
        "test": order[n_validation : n_validation + n_test],
        "train": order[n_validation + n_test :],
    }
    return Splits(
        **{
            part: classes.select(np.flatnonzero(np.isin(groups, members)), name=f"{classes.name} {part}")
            for part, members in chosen.items()
        }
    )
