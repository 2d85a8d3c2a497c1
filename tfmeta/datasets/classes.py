"""Labelled classes of images in memory: the one input from which image episodes are sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class ImageClasses:
    """Images of many classes, held in memory and sorted by class.

    Args:
        images: uint8 array `[n_images, height, width, channels]`. Ink or object bright, background dark, as in MNIST.
        labels: integer array `[n_images]`, ascending, with every value from 0 to `n_classes - 1` present.
        class_names: one name per class, `"Tagalog/character03"` for Omniglot.
        alphabets: one name per class of the group that the class belongs to (the alphabet of a character, the
            source folder of a user's class); it is what class splits by alphabet and the figures use.
        name: what a report calls this set, `"omniglot vinyals test"`.

    Raises:
        ValueError: if the arrays do not fit together as described.

    References:
        Lake, Salakhutdinov, Tenenbaum (2015), "Human-level concept learning through probabilistic program induction",
        Science 350: images are grouped by character and characters by alphabet.
        https://doi.org/10.1126/science.aab3050
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    alphabets: tuple[str, ...]
    name: str = "images"

    def __post_init__(self):
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(
                "images must be a uint8 array [n_images, height, width, channels]. "
                f"Received: images with shape={self.images.shape}, dtype={self.images.dtype}"
            )
        if self.labels.shape != (len(self.images),) or not np.issubdtype(self.labels.dtype, np.integer):
            raise ValueError(
                f"labels must be an integer array [{len(self.images)}], one per image. "
                f"Received: labels with shape={self.labels.shape}, dtype={self.labels.dtype}"
            )
        if len(self.class_names) != len(self.alphabets):
            raise ValueError(
                "class_names and alphabets must have one entry per class each. "
                f"Received: {len(self.class_names)} class_names, {len(self.alphabets)} alphabets"
            )
        if np.any(np.diff(self.labels) < 0) or not np.array_equal(
            np.unique(self.labels), np.arange(len(self.class_names))
        ):
            raise ValueError(
                f"labels must be ascending and contain every class from 0 to {len(self.class_names) - 1}. "
                f"Received: labels={self.labels}"
            )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of one image."""
        return tuple(int(n) for n in self.images.shape[1:])

    @property
    def counts(self) -> np.ndarray:
        """Images per class, int array `[n_classes]`."""
        return np.bincount(self.labels, minlength=self.n_classes)

    def select(self, classes: Sequence[int] | np.ndarray, name: str | None = None) -> ImageClasses:
        """Keep some classes, relabelled 0, 1, ... in the order given.

        Args:
            classes: distinct class indices `[n]`, each from 0 to `n_classes - 1`.
            name: name of the result; this set's name by default.

        Returns:
            A new `ImageClasses` with `len(classes)` classes.

        Raises:
            ValueError: if an index is out of range or occurs twice, or if there is none.
        """
        chosen = np.asarray(classes)
        if chosen.ndim != 1 or len(chosen) == 0 or not np.issubdtype(chosen.dtype, np.integer):
            raise ValueError(f"classes must be a non-empty list of class indices. Received: classes={classes}")
        if chosen.min() < 0 or chosen.max() >= self.n_classes or len(np.unique(chosen)) != len(chosen):
            raise ValueError(
                f"classes must be distinct indices from 0 to {self.n_classes - 1}. Received: classes={classes}"
            )
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        rows = np.concatenate([np.arange(starts[c], starts[c + 1]) for c in chosen])
        return ImageClasses(
            images=self.images[rows],
            labels=np.repeat(np.arange(len(chosen), dtype=np.int32), self.counts[chosen]),
            class_names=tuple(self.class_names[c] for c in chosen),
            alphabets=tuple(self.alphabets[c] for c in chosen),
            name=self.name if name is None else name,
        )

    def rotated(self) -> ImageClasses:
        """Add every class turned by 90, 180 and 270 degrees as classes of their own (square images only).

        Returns:
            A new `ImageClasses` with `4 * n_classes` classes: first the originals, then those turned by 90 degrees
            (named `"<class>@90"`), and so on.

        Raises:
            ValueError: if images are not square.

        References:
            Santoro et al. (2016), "Meta-Learning with Memory-Augmented Neural Networks", section 4.1;
            Vinyals et al. (2016), section 4.1.1. https://arxiv.org/abs/1606.04080
        """
        height, width, _ = self.image_shape
        if height != width:
            raise ValueError(f"only square images can be rotated. Received: image_shape={self.image_shape}")
        turns = [np.rot90(self.images, k, axes=(1, 2)) for k in range(4)]
        labels = [self.labels + k * self.n_classes for k in range(4)]
        names = tuple(f"{name}@{90 * k}" if k else name for k in range(4) for name in self.class_names)
        return ImageClasses(
            np.concatenate(turns), np.concatenate(labels).astype(np.int32), names, self.alphabets * 4, self.name
        )

    def __repr__(self):
        return f"ImageClasses({self.name!r}, {self.n_classes} classes, {len(self.images)} images {self.image_shape})"


class Splits(NamedTuple):
    """Class-disjoint parts of one data set: `train`, `validation` and `test`, each an `ImageClasses`.

    Classes, not images, are divided: a class of `test` never occurs in `train`. `validation` is `None` where a split
    defines none (Lake's).

    Args:
        train: classes to learn from.
        validation: classes to choose settings by, or `None`.
        test: classes to be judged on.

    References:
        Vinyals et al. (2016), section 4.1. https://arxiv.org/abs/1606.04080
    """

    train: ImageClasses
    validation: ImageClasses | None
    test: ImageClasses
