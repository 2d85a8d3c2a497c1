"""What a learner says of a task's queries, and how sure it is: a mixture of Gaussians."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfmeta.core.casting import as_episode
from tfmeta.core.episode import Episode
from tfmeta.core.noise import without_dropout
from tfmeta.core.validation import check_number
from tfmeta.training.averaging import output_dtype
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Run


@dataclasses.dataclass(frozen=True, eq=False)
class Predictive:
    """The distribution of observations at some inputs: Gaussians with equal weights, one for each adapted model.

    Args:
        means: float64 `[members, n, n_outputs]`.
        variances: of an observation around each, likewise.

    References:
        Lakshminarayanan et al. (2017), section 2.4. https://arxiv.org/abs/1612.01474
    """

    means: np.ndarray
    variances: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean `[n, n_outputs]`."""
        return self.means.mean(axis=0)

    @property
    def variance(self) -> np.ndarray:
        """The variance `[n, n_outputs]`: the mean of the members' own, and that of their means."""
        return self.variances.mean(axis=0) + self.means.var(axis=0)


def predictive(learner: EpisodicLearner, episodes: Episode, *, noise: float | None = None) -> list[Predictive]:
    """Predict the queries of regression tasks with a distribution.

    Args:
        learner: adapts to each task; `BayesianLinearRegressor`, `PLATIPUS`, `MAMLEnsemble`, or any other.
        episodes: a meta-batch of regression tasks.
        noise: standard deviation of an observation in units of the targets, for learners that do not know it. A learner
            that does is not told otherwise.

    Returns:
        A `Predictive` for each task.

    Raises:
        TypeError: if `learner` is no learner of tfmeta.
        ValueError: if the learner does not know the noise and none is given or the other way round, the tasks have
            labels, or they do not fit the learner.

    References:
        Finn, Xu, Levine (2018), section 5, "several models". https://arxiv.org/abs/1806.02817
    """
    if not isinstance(learner, EpisodicLearner):
        raise TypeError(f"learner must be a tfmeta learner. Received: learner of type {type(learner).__name__}")
    knows = learner.method.variance is not None
    if noise is not None:
        check_number("noise", noise, above=True)
    if knows == (noise is not None):
        raise ValueError(
            f"noise must be {'None: the learner knows it' if knows else 'given: the learner does not know it'}. "
            f"Received: noise={noise!r}, learner={learner.label}"
        )
    episodes = learner.check_episode(as_episode(episodes, 2, squeeze=learner.loss_function is None))
    if not episodes.query_y.dtype.is_floating:
        raise ValueError(f"targets must be floating-point numbers. Received: dtype={episodes.query_y.dtype.name}")
    return of_meta_batch(learner, episodes, 0, noise)


def of_meta_batch(learner: EpisodicLearner, episodes: Episode, first: int, noise: float | None) -> list[Predictive]:
    """As `predictive`, of a checked meta-batch in a graph that is kept.

    Args:
        learner: the learner.
        episodes: a meta-batch.
        first: number of its first task in a stream, which is the tasks' randomness.
        noise: as for `predictive`.

    Returns:
        A `Predictive` for each task.
    """
    dtype, knows = output_dtype(learner.network), learner.method.variance is not None

    def one_task(task):
        episode, key = task
        return gaussians(learner, learner._seen(episode), key)

    n_members = learner.method.samples
    signature = (tf.TensorSpec([n_members, None, None], dtype),) * (2 if knows else 1)
    keys = first + tf.range(episodes.support_y.shape[0], dtype=tf.int64)
    found = learner.map_compiled(one_task, (episodes, keys), signature, key=("predictive",))
    means, *variances = (part.numpy().astype(np.float64) for part in found)
    variances = variances[0] if variances else np.full_like(means, noise**2)
    return [Predictive(m, np.broadcast_to(v, m.shape)) for m, v in zip(means, variances, strict=True)]


def gaussians(learner: EpisodicLearner, episode: Episode, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Means, and variances where the learner knows them, of each adapted model on the queries of one task.

    Args:
        learner: the learner.
        episode: one task, without a meta-batch axis.
        key: the task's randomness.

    Returns:
        One or two tensors `[members, n, n_outputs]`.
    """
    method, k = learner.method, tf.constant(learner.eval_inner_steps)
    rows = []
    with without_dropout(learner.network):
        for i in range(method.samples):
            run = Run(key=key * method.samples + i)
            fast = learner.adapted(learner.parameters(), episode, run).params
            row = [method.outputs(fast, episode.query_x, run, k)]
            if method.variance is not None:
                spread = method.variance(fast, episode.query_x, run, k)
                row.append(tf.broadcast_to(tf.cast(spread, row[0].dtype), tf.shape(row[0])))
            rows.append(row)
    return tuple(tf.stack(part) for part in zip(*rows, strict=True))
