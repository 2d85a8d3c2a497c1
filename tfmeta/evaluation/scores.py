"""How good a learner is: accuracy with its confidence interval, and all that one must know to read it."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.core.validation import check_sizes
from tfmeta.datasets.classes import ImageClasses
from tfmeta.tasks.sampling import episode_dataset
from tfmeta.training import base

# Two-sided 95 % quantile of the normal distribution; the papers use it for their 600 to 1000 episodes.
Z_95 = 1.959964


def confidence_interval(values: np.ndarray) -> float:
    """Half the width of the 95 % confidence interval of a mean.

    Args:
        values: `[n, ...]`, one row an episode; the interval is over episodes.

    Returns:
        1.96 standard errors, `[...]`; not-a-number for one value, which says nothing about its spread.

    References:
        Snell et al. (2017), section 3: accuracies with 95 % intervals over test episodes.
        https://arxiv.org/abs/1703.05175
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)[()]
    # A loss that has run to infinity, or nearly, has no spread: not-a-number or infinite, too.
    with np.errstate(invalid="ignore", over="ignore"):
        return Z_95 * values.std(axis=0, ddof=1) / np.sqrt(len(values))


@dataclasses.dataclass(frozen=True)
class Score:
    """Accuracy on a set of episodes. `print` it for one line that says all.

    Args:
        accuracy: mean over episodes, in [0, 1].
        interval: half the width of the 95 % confidence interval over episodes.
        episodes: number of episodes.
        n_way: classes in an episode.
        k_shot: support images per class.
        n_query: query images per class.
        data: name of the data set and split.
        method: class of the learner.
        settings: the learner's settings at test time, such as `inner_steps`.
        batch_norm: which statistics batch norm used for queries.
        seed: seed of the episodes.
        model: always a single model, never an ensemble.

    References:
        Nichol et al. (2018), section 6.1, on why the batch-norm mode must be stated. https://arxiv.org/abs/1803.02999
    """

    accuracy: float
    interval: float
    episodes: int
    n_way: int
    k_shot: int
    n_query: int
    data: str
    method: str
    settings: dict[str, int | float]
    batch_norm: str
    seed: int
    model: str = "single model"

    def __str__(self):
        settings = "".join(f", {name.replace('_', ' ')} {value}" for name, value in self.settings.items())
        return (
            f"accuracy {100 * self.accuracy:.2f} % +- {100 * self.interval:.2f} ({self.n_way}-way {self.k_shot}-shot, "
            f"95 % interval over {self.episodes} episodes, {self.n_query} queries a class, {self.data}, {self.method}"
            f"{settings}, batch norm: {self.batch_norm}, {self.model}, seed {self.seed})"
        )

    def to_dict(self) -> dict:
        """All fields, ready for JSON."""
        return dataclasses.asdict(self)


def evaluate(
    learner: base.EpisodicModel,
    data: ImageClasses,
    *,
    n_way: int,
    k_shot: int,
    n_query: int = 15,
    episodes: int = 600,
    seed: int = 0,
    transductive: bool = True,
) -> Score:
    """Accuracy of a learner on episodes of classes that it has not seen.

    Args:
        learner: a trained learner.
        data: labelled classes to draw episodes from, `load_omniglot().test`.
        n_way: classes in an episode.
        k_shot: support images per class.
        n_query: query images per class.
        episodes: number of episodes.
        seed: seed of the episodes; the same seed judges every learner on the same episodes.
        transductive: let batch norm see all queries of an episode together, where the algorithm uses batch statistics.

    Returns:
        A `Score`.

    Raises:
        TypeError: if the learner is none of tfmeta's.
        ValueError: if a size is not positive, `data` has too few classes or images, or the learner's output is not
            `n_way` wide.

    References:
        Vinyals et al. (2016), section 4.1. https://arxiv.org/abs/1606.04080
    """
    if not isinstance(learner, base.EpisodicModel):
        raise TypeError(f"learner must be a tfmeta learner. Received: learner of type {type(learner).__name__}")
    check_sizes(episodes=episodes)
    batch = min(episodes, 20)
    stream = episode_dataset(data, n_way=n_way, k_shot=k_shot, n_query=n_query, meta_batch_size=batch, seed=seed)
    for first in stream.take(1):
        learner.check_episode(first)

    def one_task(episode: Episode) -> tf.Tensor:
        outputs = learner.query_outputs(episode, transductive=transductive)
        return functional.accuracy(episode.query_y, outputs)

    key = ("accuracy", transductive)
    batches = stream.take(-(-episodes // batch))
    found = np.concatenate([learner.map_compiled(one_task, b, base.SCALAR, key=key).numpy() for b in batches])
    found = found[:episodes].astype(np.float64)
    return Score(
        accuracy=float(found.mean()),
        interval=float(confidence_interval(found)),
        episodes=episodes,
        n_way=n_way,
        k_shot=k_shot,
        n_query=n_query,
        data=data.name,
        method=type(learner).__name__,
        settings=learner.evaluation_settings(),
        batch_norm=learner.batch_norm_mode(transductive=transductive),
        seed=seed,
    )
