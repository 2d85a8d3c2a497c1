"""Labelled classes of images in memory: the one input from which image episodes are sampled."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tfmeta.core.words import counted
from tfmeta.datasets.pixels import channels_last_fault


@dataclass(frozen=True, eq=False)
class ImageClasses:
    """Images of many classes, held in memory and sorted by class.

    Args:
        images: uint8 array `[n_images, height, width, channels]`. Ink or object bright, background dark, as in MNIST.
        labels: integer array `[n_images]`, ascending, with every value from 0 to `n_classes - 1` present.
        class_names: one name per class, all different, `"Tagalog/character03"` for Omniglot.
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
        for array in ("images", "labels"):
            if not isinstance(getattr(self, array), np.ndarray):
                raise TypeError(
                    f"{array} must be a NumPy array. Received: {array} of type {type(getattr(self, array)).__name__}"
                )
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a string. Received: name={self.name!r}")
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(
                "images must be a uint8 array [n_images, height, width, channels]. "
                f"Received: images with shape={self.images.shape}, dtype={self.images.dtype}"
            )
        if fault := channels_last_fault(self.images.shape):
            raise ValueError(f"{fault}. Received: images with shape={self.images.shape}")
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
        if len(set(self.class_names)) != len(self.class_names):
            twice = next(name for name in self.class_names if self.class_names.count(name) > 1)
            raise ValueError(f"class_names must all be different. Received: {twice!r} more than once")
        # Compared, not subtracted: differences of unsigned integers are never below 0.
        if np.any(self.labels[1:] < self.labels[:-1]) or not np.array_equal(
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

    def select(self, classes: Sequence[int | str] | np.ndarray, name: str | None = None) -> ImageClasses:
        """Keep some classes, relabelled 0, 1, ... in the order given.

        Args:
            classes: distinct classes `[n]`: indices from 0 to `n_classes - 1`, or names.
            name: name of the result; this set's name by default.

        Returns:
            A new `ImageClasses` with `len(classes)` classes.

        Raises:
            ValueError: if an index is out of range, a name is unknown, a class occurs twice, or there is none.
        """
        chosen = self._indices(classes)
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        rows = np.concatenate([np.arange(starts[c], starts[c + 1]) for c in chosen])
        return ImageClasses(
            images=self.images[rows],
            labels=np.repeat(np.arange(len(chosen), dtype=np.int32), self.counts[chosen]),
            class_names=tuple(self.class_names[c] for c in chosen),
            alphabets=tuple(self.alphabets[c] for c in chosen),
            name=self.name if name is None else name,
        )

    def _indices(self, classes) -> np.ndarray:
        """The numbers of the classes that `select` was given."""
        chosen = np.asarray(classes)
        kind = (
            "s" if chosen.dtype.kind in "UT" or all(isinstance(one, str) for one in chosen.flat) else chosen.dtype.kind
        )
        if chosen.ndim != 1 or len(chosen) == 0 or kind not in "siu":
            raise ValueError(
                f"classes must be a non-empty list of class indices or of class names. Received: classes={classes!r}"
            )
        if kind == "s":
            number = {name: k for k, name in enumerate(self.class_names)}
            for one in map(str, chosen):
                if one not in number:
                    near = difflib.get_close_matches(one, self.class_names, n=1, cutoff=0.0)
                    raise ValueError(
                        f"classes must be among the {self.n_classes} of {self.name!r}. Did you mean {near[0]!r}? "
                        f"Received: {one!r} in classes"
                    )
            chosen = np.array([number[str(one)] for one in chosen])
        if chosen.min() < 0 or chosen.max() >= self.n_classes or len(np.unique(chosen)) != len(chosen):
            raise ValueError(
                f"classes must be distinct, and indices from 0 to {self.n_classes - 1}. Received: classes={classes!r}"
            )
        return chosen

    def rotated(self) -> ImageClasses:
        """Add every class turned by 90, 180 and 270 degrees as classes of their own (square images only).

        Returns:
            A new `ImageClasses` with `4 * n_classes` classes: first the originals, then those turned by 90 degrees
            (named `"<class>@90"`), and so on.

        Raises:
            ValueError: if images are not square, or turned classes are among them already.

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
        size = f"{counted(self.n_classes, 'class', 'classes')}, {counted(len(self.images), 'image')}"
        return f"ImageClasses({self.name!r}, {size} {self.image_shape})"


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
