"""What stands behind an accuracy: each episode, each class, and which classes are taken for which."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfmeta.core.words import counted

# In place of a predicted class: the output was not a number, or was that of a label which the episode does not have.
UNDEFINED, NO_CLASS = -1, -2


class ClassScore(NamedTuple):
    """One class of a data set in a score.

    Args:
        accuracy: fraction of its queries that were right, from 0 to 1.
        queries: number of queries.
    """

    accuracy: float
    queries: int


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreDetails:
    """The parts of which a `Score` is the mean: `tfmeta.evaluate(..., details=True).details`.

    Args:
        accuracies: accuracy of each episode, float64 `[episodes]`, in the order of the stream.
        class_names: names of the classes: those of the data set, or "label 0", ... of given episodes.
        answers: int64 `[n, 3]`, rows of true class, predicted class and how often that was. Predicted is -1 where the
            output was not a number, -2 where a label was predicted that the episode does not have.

    References:
        Chen et al. (2019), "A Closer Look at Few-shot Classification", section 4, on what one mean hides.
        https://arxiv.org/abs/1904.04232

    Note:
        A query can only be taken for a class of its own episode, so two classes are confused no oftener than they meet.
    """

    accuracies: np.ndarray
    class_names: tuple[str, ...]
    answers: np.ndarray

    @property
    def confusion(self) -> np.ndarray:
        """Queries by true (row) and predicted class (column), int64 `[n_classes, n_classes]`."""
        matrix = np.zeros((len(self.class_names),) * 2, np.int64)
        true, predicted, count = self.answers[self.answers[:, 1] >= 0].T
        matrix[true, predicted] = count
        return matrix

    @property
    def queries(self) -> np.ndarray:
        """Queries of each class, int64 `[n_classes]`."""
        return np.bincount(self.answers[:, 0], self.answers[:, 2], len(self.class_names)).astype(np.int64)

    @property
    def hits(self) -> np.ndarray:
        """Queries of each class that were right, int64 `[n_classes]`."""
        right = self.answers[self.answers[:, 0] == self.answers[:, 1]]
        return np.bincount(right[:, 0], right[:, 2], len(self.class_names)).astype(np.int64)

    @property
    def undefined(self) -> int:
        """Queries for which the learner's output was not a number."""
        return int(self.answers[self.answers[:, 1] == UNDEFINED, 2].sum())

    @property
    def per_class(self) -> dict[str, ClassScore]:
        """A `ClassScore` for each class that was asked for, by name."""
        return {
            name: ClassScore(int(hits) / int(queries), int(queries))
            for name, hits, queries in zip(self.class_names, self.hits, self.queries, strict=True)
            if queries
        }

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {
            "accuracies": self.accuracies.tolist(),
            "class_names": list(self.class_names),
            "answers": self.answers.tolist(),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ScoreDetails:
        """Read what `to_dict` gave."""
        return cls(
            np.asarray(fields["accuracies"], np.float64),
            tuple(fields["class_names"]),
            np.asarray(fields["answers"], np.int64).reshape(-1, 3),
        )

    def __repr__(self):
        episodes, classes = counted(len(self.accuracies), "episode"), counted(len(self.per_class), "class", "classes")
        return f"ScoreDetails({episodes}, {classes})"


class Tally:
    """Counts answers, meta-batch by meta-batch.

    Args:
        class_names: names of the data set's classes; without them the labels of the episodes are counted.
    """

    def __init__(self, class_names: Sequence[str] | None):
        self._names = None if class_names is None else tuple(class_names)
        self._pairs: list[np.ndarray] = []

    def add(self, labels: np.ndarray, predictions: np.ndarray, classes: np.ndarray | None) -> None:
        """Count the queries of some episodes.

        Args:
            labels: `[n_episodes, n_queries]`.
            predictions: likewise; below 0 where an output was not a number.
            classes: class behind each label, `[n_episodes, n_way]`, where there are names.
        """
        if classes is not None:
            n_way = classes.shape[1]
            found = np.take_along_axis(classes, np.clip(predictions, 0, n_way - 1), axis=1)
            found = np.where(predictions >= n_way, NO_CLASS, found)
            labels = np.take_along_axis(classes, labels, axis=1)
            predictions = np.where(predictions < 0, UNDEFINED, found)
        self._pairs.append(np.stack([labels.ravel(), predictions.ravel()], axis=1).astype(np.int64))

    @property
    def undefined(self) -> int:
        """Queries for which the output was not a number."""
        return sum(int(np.sum(pairs[:, 1] == UNDEFINED)) for pairs in self._pairs)

    def details(self, accuracies: np.ndarray) -> ScoreDetails:
        """What was counted, with the accuracies `[episodes]`."""
        pairs, counts = np.unique(np.concatenate(self._pairs), axis=0, return_counts=True)
        names = self._names or tuple(f"label {k}" for k in range(int(pairs.max()) + 1))
        return ScoreDetails(accuracies, names, np.column_stack([pairs, counts]).astype(np.int64))
