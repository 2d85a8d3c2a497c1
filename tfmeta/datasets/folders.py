"""Your own images as classes, from a folder per class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfmeta.core.validation import check_flags
from tfmeta.core.words import counted
from tfmeta.datasets.classes import ImageClasses
from tfmeta.datasets.images import _from_arrays
from tfmeta.datasets.picture_files import is_picture, read_picture

# What operating systems and network disks put beside a user's files, besides names that begin with a dot.
LITTER = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin", "lost+found",
          "system volume information", "__pycache__"}  # fmt: skip
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}


def from_directory(
    path: str | os.PathLike, image_size: int | tuple[int, int] | None = None, grayscale: bool = False,
    name: str | None = None,
) -> ImageClasses:  # fmt: skip
    """Read a folder per class: every folder that holds image files is a class, at any depth.

    `path/cat/1.png` is of class `"cat"`; `path/Tagalog/character03/0967_01.png`, Omniglot's own layout, of class
    `"Tagalog/character03"` in the alphabet `"Tagalog"`. Hidden files and folders are passed over, and what operating
    systems leave about (`__MACOSX`, `Thumbs.db`). Other files that are no images, and folders without any, are passed
    over with a warning that counts them.

    Args:
        path: folder with image files below it: PNG, JPEG, WebP, TIFF, BMP, GIF and whatever else Pillow reads, by
            their suffixes in upper or lower case; without a suffix, by their first bytes. Of several frames the first
            is read, with a warning.
        image_size: height and width to resize to, or one number for both, in pixels; without it all images must have
            the same shape. Shrinking averages over areas.
        grayscale: turn colour images grey. Without it, the images have three channels if any file is in colour.
        name: what a report calls this set; the folder's name by default.

    Returns:
        `ImageClasses`, uint8 `[n, h, w, 1 or 3]`; classes and the files within one in alphabetical order. Photos are
        turned upright as their cameras noted (EXIF). Values are those of the files: dark ink on white paper stays so,
        and what is transparent is white paper.

    Raises:
        FileNotFoundError: if there is no such folder.
        OSError: if a folder cannot be looked into.
        ValueError: if there are no images, a file cannot be read, shapes differ and `image_size` is not given, or a
            class has fewer than two images; the message names the files or the class.

    References:
        Layout: https://github.com/brendenlake/omniglot (folder per alphabet, folder per character).
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a string or a path. Received: path={path!r}")
    check_flags(grayscale=grayscale)
    root = Path(path).expanduser()
    size = _checked_size(image_size)
    if not root.is_dir():
        raise FileNotFoundError(
            f"path must be a folder with a folder of images per class. Received: path={str(path)!r}"
        )
    files, others, empty = _files_by_class(root)
    for class_name, members in files.items():
        if len(members) < 2:
            raise ValueError(
                f"class {class_name!r} must have at least 2 images, one to learn from and one to be judged on. "
                f"Received: {members[0]} alone"
            )
    paths = [member for members in files.values() for member in members]
    read = [read_picture(member, size, grayscale) for member in paths]
    pictures = [picture.values for picture in read]
    if not all(picture.ndim == 2 for picture in pictures):
        pictures = [np.repeat(p[..., None], 3, -1) if p.ndim == 2 else p for p in pictures]
    for member, picture in zip(paths, pictures, strict=True):
        if picture.shape[:2] != pictures[0].shape[:2]:
            raise ValueError(
                "images must all have the same height and width unless image_size is given. Received: "
                f"{paths[0]} with {pictures[0].shape[:2]}, {member} with {picture.shape[:2]}"
            )
    if twice := _in_two_parts(files):
        warnings.warn(
            f"{twice[0]!r} and {twice[1]!r} are read as two classes; if they are one class in two parts of a data set, "
            "read each part by itself",
            stacklevel=2,
        )
    several = [member for member, picture in zip(paths, read, strict=True) if picture.frames > 1]
    vanished = [member for member, picture in zip(paths, read, strict=True) if picture.vanished]
    for found, words in (
        (others, "files that are no images were passed over"),
        (empty, "folders hold no images and are no classes"),
        (several, "files hold several frames, of which the first was read"),
        (vanished, "transparent images are blank on white paper (white ink?)"),
    ):
        if found:
            warnings.warn(f"{len(found)} {words}: {_some(found, root)}", stacklevel=2)
    labels = np.repeat(np.arange(len(files)), [len(members) for members in files.values()])
    name = root.resolve().name if name is None else name
    return _from_arrays(np.stack(pictures), labels, tuple(files), name, stacklevel=2)


def _in_two_parts(class_names: Iterable[str]) -> tuple[str, str] | None:
    """Two classes that seem to be one, in folders named like parts of a data set (`train/cat` and `test/cat`)."""
    met: dict[str, str] = {}
    for name in class_names:
        part, _, inner = name.partition("/")
        if part.lower() in PARTS and inner:
            if inner in met:
                return met[inner], name
            met[inner] = name
    return None


def _some(found: Iterable[Path], root: Path, at_most: int = 3) -> str:
    """A few of many files, named from the folder on."""
    names = [repr(one.relative_to(root).as_posix()) for one in found]
    return ", ".join(names[:at_most]) + (", ..." if len(names) > at_most else "")


def _checked_size(image_size) -> tuple[int, int] | None:
    if image_size is None:
        return None
    size = tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    if len(size) != 2 or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in size):
        raise ValueError(f"image_size must be one or two positive integers. Received: image_size={image_size!r}")
    return int(size[0]), int(size[1])


def _files_by_class(root: Path) -> tuple[dict[str, list[Path]], list[Path], list[Path]]:
    """The images of each class, files that are no images, and folders without any, each in alphabetical order."""
    files: dict[str, list[Path]] = {}
    others: list[Path] = []
    empty: list[Path] = []

    def walk(folder: Path, above: tuple[Path, ...]) -> bool:
        """Look through a folder; whether there is an image in it or below."""
        above = (*above, folder.resolve())
        inner = folder.relative_to(root).as_posix()
        found, below = False, []
        try:
            members = sorted(folder.iterdir())
        except OSError as error:
            raise OSError(
                error.errno, f"every folder must let itself be read ({error.strerror}). Received: {folder}"
            ) from error
        for member in members:
            if member.name.startswith(".") or member.name.lower() in LITTER:
                continue
            if member.is_dir():  # also by a link, but not in circles
                if member.resolve() not in above:
                    below.append(member)
            elif is_picture(member):
                files.setdefault("" if inner == "." else inner, []).append(member)
                found = True
            else:
                others.append(member)
        filled = [walk(member, above) for member in below]
        if not found and not any(filled) and folder != root:
            # Only the outermost one is named.
            empty[:] = [one for one in empty if folder not in one.parents] + [folder]
        return found or any(filled)

    walk(root, ())
    loose = files.pop("", None)
    if not files:
        hint = f"; {loose[0].name!r} lies in no class folder" if loose else ""
        hint += (
            f"; {counted(len(others), 'file is no image', 'files are no images')}: {_some(others, root)}"
            if others
            else ""
        )
        raise ValueError(
            f"path must hold a folder of images per class, such as PNG, JPEG, WebP or TIFF files{hint}. "
            f"Received: path={str(root)!r}"
        )
    if loose:
        raise ValueError(f"every image must lie in the folder of its class. Received: {loose[0]} in none")
    return dict(sorted(files.items())), others, empty
