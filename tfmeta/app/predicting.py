"""Predictions for picture files: classes learned from a folder of few pictures, names instead of numbers."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfmeta.app import data
from tfmeta.app.building import Learner
from tfmeta.app.settings import TrainSettings
from tfmeta.core.words import counted
from tfmeta.datasets.folders import LITTER, _files_by_class
from tfmeta.datasets.loading import read_images
from tfmeta.datasets.picture_files import is_picture
from tfmeta.machine import files
from tfmeta.training.finishing import predict_classes


class Prediction(NamedTuple):
    """What is said of one picture.

    Args:
        file: its path, as it was given.
        name: of the class that is likeliest.
        probability: of that class, in [0, 1].
    """

    file: str
    name: str
    probability: float


def predict(
    learner: Learner, settings: TrainSettings, support: Path, images: Sequence[Path], *, invert: bool = False,
    warn: Callable[[str], None] = warnings.warn,
) -> list[Prediction]:  # fmt: skip
    """Learn classes from a folder of pictures and classify others.

    Args:
        learner: a trained learner.
        settings: of its training, which say how pictures are read.
        support: a folder with a folder of pictures per class, one or more each.
        images: pictures, and folders of pictures.
        invert: swap black and white.
        warn: takes a line where black and white seem to be swapped.

    Returns:
        A `Prediction` for each picture, in the order given; those of a folder by their names.

    Raises:
        ValueError: if there are no pictures, one cannot be read, or the number of classes is not the learner's.
    """
    classes = _files_by_class(Path(support))[0]
    _check_ways(learner, settings, classes)
    asked = _pictures(images)
    shape = data.image_shape(learner)
    size = shape[:2] if shape else _pair(settings.image_size)
    members = [file for group in classes.values() for file in group]
    channels = shape[2] if shape else None
    support_x, query_x = (
        read_images(group, size, channels, invert=invert, grayscale=settings.grayscale) for group in (members, asked)
    )
    if support_x.shape[-1] != query_x.shape[-1]:  # of a learner that takes any: grey ones beside coloured ones
        support_x, query_x = (np.repeat(x, 3, -1) if x.shape[-1] == 1 else x for x in (support_x, query_x))
    labels = np.repeat(np.arange(len(classes)), [len(group) for group in classes.values()]).astype(np.int32)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        adapted = learner.adapt(support_x, labels, class_names=list(classes))
    for line in dict.fromkeys(str(one.message) for one in met):
        if "look inverted" in line:
            line = line.split(". ")[0] + ("; without --invert they are as the files have them" if invert else
                                          "; --invert turns dark ink on white into white ink on black")  # fmt: skip
        warn(line)
    found = predict_classes(adapted, query_x)
    return [
        Prediction(str(file), name, float(row.max()))
        for file, name, row in zip(asked, found.names, found.probabilities, strict=True)
    ]


def _check_ways(learner: Learner, settings: TrainSettings, classes: dict) -> None:
    """Refuse another number of classes than a network with a head of its own has outputs."""
    if len(classes) < 2:
        raise ValueError(f"support must hold two classes or more. Received: {', '.join(map(repr, classes))} alone")
    if not learner.sizes_depend_on_data and len(classes) != settings.n_way:
        raise ValueError(
            f"support must have {settings.n_way} classes, because the network of {type(learner).__name__} has "
            f"{counted(settings.n_way, 'output')} (n_way={settings.n_way}); a prototypical network takes any number. "
            f"Received: {counted(len(classes), 'class', 'classes')}, {', '.join(map(repr, list(classes)[:5]))}"
            + (", ..." if len(classes) > 5 else "")
        )


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _pictures(paths: Sequence[Path]) -> list[Path]:
    """The files among them, and those in the folders among them."""
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if not _hidden(file.relative_to(path)))
        inside = [file for file in inside if file.is_file() and is_picture(file)]
        if not inside:
            raise ValueError(f"images must be a picture or a folder of pictures. Received: {path}, which has none")
        found += inside
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part.lower() in LITTER for part in path.parts)


def write_csv(rows: Sequence[Prediction], path: Path) -> None:
    """Write predictions as a table with the columns file, class and probability, whole or not at all.

    Args:
        rows: the predictions.
        path: the file; an older one is replaced.
    """
    with files.whole(path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "class", "probability"])
        table.writerows([row.file, row.name, f"{row.probability:.4f}"] for row in rows)
