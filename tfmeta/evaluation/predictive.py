"""What a learner of regression believes of new targets: a mixture of Gaussians, one for each adapted model."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core import casting
from tfmeta.core.episode import Episode
from tfmeta.core.validation import check_number
from tfmeta.training import inputs, judging
from tfmeta.training.averaging import output_dtype
from tfmeta.training.episode_checks import is_classification
from tfmeta.training.episodic import EpisodicLearner

# Halvings of an interval that holds a quantile: 20 standard deviations to below rounding.
_HALVINGS = 60


@dataclasses.dataclass(frozen=True, eq=False)
class Predictive:
    """A mixture of Gaussians with equal weights over each target; several outputs are independent given the member.

    Args:
        means: of the members, `[members, n, m]`.
        variances: of what each member expects to be observed, noise included, `[members, n, m]`.

    Raises:
        ValueError: if shapes differ, or a variance is not above 0.

    References:
        Lakshminarayanan et al. (2017), section 2.4, for ensembles as mixtures. https://arxiv.org/abs/1612.01474
    """

    means: np.ndarray
    variances: np.ndarray

    def __post_init__(self):
        means, variances = (np.asarray(part, np.float64) for part in (self.means, self.variances))
        if means.ndim != 3 or means.shape != variances.shape or not len(means):
            raise ValueError(
                "means and variances must be [members, n, m]. "
                f"Received: means with shape={means.shape}, variances with shape={variances.shape}"
            )
        if np.any(variances <= 0):
            raise ValueError(f"variances must be above 0. Received: variances with {variances.min()}")
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "variances", variances)

    @property
    def mean(self) -> np.ndarray:
        """The mixture's mean, `[n, m]`."""
        return self.means.mean(axis=0)

    @property
    def variance(self) -> np.ndarray:
        """The mixture's variance, `[n, m]`: the members' mean variance, and the variance of their means."""
        return self.variances.mean(axis=0) + self.means.var(axis=0)

    def nll(self, targets: Any) -> np.ndarray:
        """Negative log-likelihood of targets `[n, m]` in nats, `[n]`; of all m outputs together."""
        targets = self._checked(targets)
        squares = (targets - self.means) ** 2 / self.variances
        of_members = -0.5 * np.sum(np.log(2 * math.pi * self.variances) + squares, axis=-1)  # [members, n]
        largest = of_members.max(axis=0)
        return -largest - np.log(np.mean(np.exp(of_members - largest), axis=0))

    def cdf(self, targets: Any) -> np.ndarray:
        """Probability that an observation is at most `targets` `[n, m]`, for each output `[n, m]`."""
        return self._cdf(self._checked(targets))

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the central intervals that hold an observation with probability `level`, each `[n, m]`."""
        tail = (1 - _level(level)) / 2
        return self._quantile(tail), self._quantile(1 - tail)

    def covered(self, targets: Any, level: float) -> np.ndarray:
        """Whether targets `[n, m]` lie in the central intervals of probability `level`, bool `[n, m]`."""
        return np.abs(self.cdf(targets) - 0.5) <= _level(level) / 2

    def _cdf(self, targets: np.ndarray) -> np.ndarray:
        distances = (targets - self.means) / np.sqrt(2 * self.variances)
        return np.mean(0.5 * (1 + tf.math.erf(distances).numpy()), axis=0)

    def _quantile(self, share: float) -> np.ndarray:
        spread = 10 * np.sqrt(self.variances)
        low, high = (self.means - spread).min(axis=0), (self.means + spread).max(axis=0)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = self._cdf(middle) < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def _checked(self, targets: Any) -> np.ndarray:
        found = np.asarray(targets, np.float64)
        if found.shape != self.means.shape[1:]:
            raise ValueError(
                f"targets must be [n, m], {self.means.shape[1:]} here. Received: targets with shape={found.shape}"
            )
        return found


def predictive(
    learner, episode: Episode, *, noise: float | None = None, transductive: bool = True, key: int = 0
) -> Predictive:
    """What a learner believes of a task's query targets.

    Args:
        learner: a learner of regression; or anything with a method `adapt(support_x, support_y)` that returns a Keras
            model, or a Keras model.
        episode: one task, without a meta-batch axis; its query targets are not looked at.
        noise: standard deviation of what is observed around the function, in units of the targets. It must be given for
            a learner that only says a value, and must not for one that has a variance of its own.
        transductive: let batch norm see all queries together, where the algorithm uses batch statistics.
        key: whole number, the task's randomness for methods that sample.

    Returns:
        A `Predictive` with a member for each adapted model of the method.

    Raises:
        TypeError: if `episode` is no episode, or the learner neither adapts nor predicts.
        ValueError: if targets are labels, or `noise` is missing, not needed or not above 0.

    References:
        Harrison et al. (2018), section 3.1. https://arxiv.org/abs/1807.08912; Finn et al. (2018), algorithm 2, for
        several adapted models. https://arxiv.org/abs/1806.02817
    """
    check_noise(learner, noise)
    if isinstance(learner, EpisodicLearner):
        episode = learner._seen(inputs.check_task(learner, episode, 0, transductive))
        _check_targets(episode)
        found = judging.member_outputs(learner, episode, transductive, tf.constant(key, tf.int64))
        return mixture(found.outputs, found.variances, noise)
    episode = casting.as_episode(episode, 1)
    _check_targets(episode)
    model = learner.adapt(*episode[:2]) if callable(getattr(learner, "adapt", None)) else learner
    if not isinstance(model, keras.Model) and not callable(getattr(model, "predict_on_batch", None)):
        raise TypeError(f"learner must adapt or predict. Received: learner of type {type(learner).__name__}")
    outputs = model.predict_on_batch(tf.nest.map_structure(lambda x: x.numpy(), episode.query_x))
    return mixture(np.asarray(outputs)[None], None, noise)


def predictives(
    learner: EpisodicLearner,
    episodes: Episode,
    *,
    noise: float | None = None,
    transductive: bool = True,
    first: int = 0,
) -> list[Predictive]:
    """As `predictive`, for every task of a meta-batch, in a graph that is kept.

    Args:
        learner: a learner of regression.
        episodes: a meta-batch.
        noise: as for `predictive`.
        transductive: as for `predictive`.
        first: number of the first task in its stream, which is the tasks' randomness.

    Returns:
        A `Predictive` for each task.

    Raises:
        TypeError: if `learner` is no learner of tfmeta.
        ValueError: as `predictive`.

    References:
        Harrison et al. (2018), section 3.1. https://arxiv.org/abs/1807.08912
    """
    if not isinstance(learner, EpisodicLearner):
        raise TypeError(f"learner must be a tfmeta learner. Received: learner of type {type(learner).__name__}")
    check_noise(learner, noise)
    episodes = learner.check_episode(episodes)
    _check_targets(tf.nest.map_structure(lambda tensor: tensor[0], episodes))
    knows, dtype = learner.method.variance is not None, output_dtype(learner.network)

    def one_task(task):
        found = judging.member_outputs(learner, learner._seen(Episode(*task[0])), transductive, task[1])
        return (found.outputs, found.variances) if knows else (found.outputs,)

    like = (tf.TensorSpec([learner.method.samples, None, None], dtype),) * (1 + knows)
    keys = first + tf.range(episodes.support_y.shape[0], dtype=tf.int64)
    means, *spread = learner.map_compiled(one_task, (episodes, keys), like, key=("predictive", transductive))
    spread = spread[0].numpy() if knows else [None] * len(means)
    return [mixture(m, v, noise) for m, v in zip(means.numpy(), spread, strict=True)]


def mixture(outputs: Any, variances: Any | None, noise: float | None) -> Predictive:
    """The mixture of what adapted models say.

    Args:
        outputs: `[members, n, ...]`.
        variances: likewise, or None.
        noise: standard deviation of observations, where there are no variances.

    Returns:
        A `Predictive`.
    """
    means = np.asarray(outputs, np.float64)
    means = means.reshape(*means.shape[:2], -1)
    spread = np.full(means.shape, noise**2) if variances is None else np.asarray(variances).reshape(means.shape)
    return Predictive(means, spread)


def check_noise(learner, noise: float | None) -> None:
    """Refuse a noise that is missing, not needed or no number.

    Args:
        learner: of which the predictive distribution is asked.
        noise: what was given.

    Raises:
        ValueError: naming the learner.
    """
    own = isinstance(learner, EpisodicLearner) and learner.method.variance is not None
    if noise is not None:
        check_number("noise", noise, above=True)
    if own == (noise is not None):
        kind = type(learner).__name__
        wanted = f"None for {kind}, which has a variance of its own" if own else (
            f"given for {kind}, which says a value and not how sure it is: the standard deviation of observations"
        )  # fmt: skip
        raise ValueError(f"noise must be {wanted}. Received: noise={noise!r}")


def _check_targets(episode: Episode) -> None:
    if is_classification(episode):
        raise ValueError(
            "a predictive distribution is of floating-point targets; probabilities of classes are the softmax of "
            f"outputs. Received: support_y with dtype={episode.support_y.dtype.name}"
        )


def _level(level: float) -> float:
    check_number("level", level)
    if level > 1:
        raise ValueError(f"level must be a share from 0 to 1. Received: level={level!r}")
    return level
