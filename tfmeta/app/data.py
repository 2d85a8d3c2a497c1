"""The data set that a run names, read as its settings say, and whether it fits a learner."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from tfmeta import datasets
from tfmeta.app.settings import DATASETS, TrainSettings, check_dataset
from tfmeta.core.words import counted
from tfmeta.datasets import ImageClasses, Splits


def load_data(
    name: str, data_dir: str | os.PathLike | None = None, *, image_size: int | tuple[int, int] = 28,
    grayscale: bool = False, fractions: tuple[float, ...] | None = None,
) -> Splits:  # fmt: skip
    """Load the data set that a run names.

    Args:
        name: `"omniglot"` (Vinyals split), `"omniglot-lake"`, `"glyphs"`, or a folder with a folder of images per
            class.
        data_dir: where Omniglot is kept; see `load_omniglot`.
        image_size: a folder's images are resized to this height and width.
        grayscale: turn a folder's images grey.
        fractions: shares of a folder's classes for training, validation and test, or for training and test. By default
            60:20:20, and two classes one to one.

    Returns:
        `Splits`; a folder's classes are divided with seed 0.

    Raises:
        ValueError: if it is none of these, or the folder cannot be used.
        OmniglotUnavailableError: if Omniglot is neither at hand nor to be had.
    """
    check_dataset(name)
    if name == "omniglot":
        return datasets.load_omniglot(data_dir=data_dir)
    if name == "omniglot-lake":
        return datasets.load_omniglot("lake", data_dir=data_dir)
    if name == "glyphs":
        return datasets.load_glyphs(0)
    classes = datasets.from_directory(name, image_size=image_size, grayscale=grayscale)
    shares = fractions or ((0.5, 0.5) if classes.n_classes == 2 else (0.6, 0.2, 0.2))
    return datasets.split_classes(classes, shares)


def how_to_read(settings: TrainSettings) -> dict:
    """The arguments with which `load_data` reads a folder as a run does."""
    return {"image_size": settings.image_size, "grayscale": settings.grayscale, "fractions": settings.fractions}


def load_part(
    name: str, split: str, data_dir: str | os.PathLike | None = None, *, load: Callable = load_data, **reading
) -> ImageClasses:
    """Load the classes to be judged on.

    Args:
        name: as for `load_data`.
        split: `"train"`, `"validation"`, `"test"`, or `"all"` for all classes of the data set.
        data_dir: where Omniglot is kept.
        load: `load_data`.
        reading: the further arguments of `load_data`.

    Returns:
        The classes.

    Raises:
        ValueError: as `load_data`; or if there is no such split.
    """
    if split == "all" and name not in DATASETS:  # not divided first: it may have too few classes for that
        check_dataset(name)
        sizes = {key: value for key, value in reading.items() if key != "fractions"}
        classes = datasets.from_directory(name, **sizes)
        return classes.select(np.arange(classes.n_classes), name=f"{classes.name} all")
    parts = load(name, data_dir, **reading)
    if split == "all":
        return _joined([part for part in parts if part is not None])
    classes = getattr(parts, split)
    if classes is None:
        raise ValueError(f"{name} defines no validation classes. Received: split={split!r}")
    return classes


def _joined(parts: list[ImageClasses]) -> ImageClasses:
    """The classes of all parts, in the order of the parts."""
    before = np.cumsum([0, *(part.n_classes for part in parts)])
    return ImageClasses(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels + first for part, first in zip(parts, before, strict=False)]).astype(np.int32),
        tuple(name for part in parts for name in part.class_names),
        tuple(name for part in parts for name in part.alphabets),
        f"{parts[0].name.rpartition(' ')[0]} all",
    )


def image_shape(learner) -> tuple[int, int, int] | None:
    """The images that a learner takes.

    Args:
        learner: a learner.

    Returns:
        `(height, width, channels)`; `None` for one that takes any.
    """
    inputs = getattr(getattr(learner, "network", None), "inputs", None)
    shape = tuple(inputs[0].shape[1:]) if inputs else ()
    return shape if len(shape) == 3 and all(shape) else None


def fitted(classes: ImageClasses, learner, name: str) -> ImageClasses:
    """Give images the learner's channels, where that changes nothing to be seen.

    Args:
        classes: what the learner is to be judged on.
        learner: a learner.
        name: of the data set, for the message.

    Returns:
        The classes; grey images of three equal channels for a learner of coloured ones.

    Raises:
        ValueError: if the images do not fit, with the option that makes them fit.
    """
    wanted, found = image_shape(learner), classes.image_shape
    if wanted is None or found == wanted:
        return classes
    if found[:2] == wanted[:2] and (found[2], wanted[2]) == (1, 3):
        grey = np.repeat(classes.images, 3, axis=-1)
        return ImageClasses(grey, classes.labels, classes.class_names, classes.alphabets, classes.name)
    in_words = [f"{height}x{width} with {counted(channels, 'channel')}" for height, width, channels in (wanted, found)]
    folder = name not in DATASETS
    advice = "; give --grayscale" if folder and wanted[2] == 1 < found[2] and found[:2] == wanted[:2] else ""
    raise ValueError(f"images must be {in_words[0]}, as those of the learner's training{advice}. "
                     f"Received: dataset={name!r} of {in_words[1]}")  # fmt: skip
