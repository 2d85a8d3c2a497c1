"""Watching a learner adapt: loss and accuracy after each inner step, with intervals over episodes."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode, task_spec
from tfmeta.core.validation import check_sizes
from tfmeta.core.words import counted
from tfmeta.evaluation.intervals import confidence_interval
from tfmeta.evaluation.streams import meta_batches
from tfmeta.training.episode_checks import check_meta_batch_axis
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.judging import path_names


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptationCurve:
    """Means over episodes after 0, 1, ... inner steps; `interval` holds the 95 % half-widths under the same names.

    Args:
        mean: `support_loss`, `query_loss` and, for classification, `support_accuracy`, `query_accuracy`: each
            `[inner_steps + 1]`.
        interval: half-widths of the 95 % confidence intervals, likewise.
        episodes: number of episodes.
        label: what the curve shows, for a legend.
        over: what the interval is over where that is not the episodes, such as "3 trainings" of `mean_over_seeds`.

    References:
        Finn et al. (2017), figure 3. https://arxiv.org/abs/1703.03400
    """

    mean: dict[str, np.ndarray]
    interval: dict[str, np.ndarray]
    episodes: int
    label: str
    over: str | None = None

    @property
    def sample(self) -> str:
        """What the interval is over, in words."""
        return self.over or counted(self.episodes, "episode")

    @property
    def inner_steps(self) -> int:
        """Number of inner steps followed."""
        return len(self.mean["query_loss"]) - 1

    def labelled(self, label: str) -> AdaptationCurve:
        """The same curve under another name.

        Args:
            label: for the legend.

        Returns:
            A new `AdaptationCurve`.

        Raises:
            ValueError: if `label` is no text.

        References:
            Finn et al. (2017), figure 3. https://arxiv.org/abs/1703.03400
        """
        _check_label(label)
        return dataclasses.replace(self, label=label)

    def __str__(self):
        name, scale, unit = ("query_accuracy", 100, " %") if "query_accuracy" in self.mean else ("query_loss", 1, "")
        ends = [
            f"{scale * self.mean[name][k]:.3g} +- {scale * self.interval[name][k]:.2g}{unit}"
            for k in (0, self.inner_steps)
        ]
        return (
            f"{self.label}: {name.replace('_', ' ')} {ends[0]} before, {ends[1]} after "
            f"{counted(self.inner_steps, 'inner step')} (95 % interval over {self.sample})"
        )


def adaptation_curve(
    learner: EpisodicLearner,
    episodes: Episode | list[Episode] | tf.data.Dataset,
    inner_steps: int = 10,
    *,
    at_most: int = 100,
    label: str | None = None,
) -> AdaptationCurve:
    """Follow a learner through its inner loop.

    Args:
        learner: a learner that adapts by gradient steps, such as `MAML`. It is not changed.
        episodes: a meta-batch `[n, ...]`, a list of episodes without a meta-batch axis, or a dataset of meta-batches.
        inner_steps: steps to follow; may exceed what the learner was trained for.
        at_most: episodes that are read of an endless dataset.
        label: what a legend calls the curve; by default the learner's name, if it was given one, or its method.

    Returns:
        An `AdaptationCurve`.

    Raises:
        TypeError: if the learner does not adapt in steps, or `episodes` is none of these.
        ValueError: if there is no episode, a number is not positive, or `label` is no text.

    References:
        Finn et al. (2017), figure 3. https://arxiv.org/abs/1703.03400
    """
    if not isinstance(learner, EpisodicLearner) or not learner.has_inner_loop:
        raise TypeError(
            "only a learner with an inner loop has an adaptation curve. "
            f"Received: learner of type {type(learner).__name__}"
        )
    check_sizes(inner_steps=inner_steps, at_most=at_most)
    _check_label(label)
    if isinstance(episodes, Episode):
        check_meta_batch_axis(learner.network, learner.cast(episodes, axes=2), "episodes")

    def path(episode: Episode) -> dict[str, tf.Tensor]:
        return learner.adaptation_path(episode, inner_steps)

    collected = []
    for meta_batch in meta_batches(episodes, at_most):
        meta_batch = learner.check_episode(meta_batch)
        names = path_names(learner, task_spec(meta_batch))
        signature = dict.fromkeys(names, tf.TensorSpec([inner_steps + 1], tf.float32))
        found = learner.map_compiled(path, meta_batch, signature, key=("path", inner_steps, len(names)))
        collected.append({name: value.numpy() for name, value in found.items()})
    if not collected:
        raise ValueError("episodes must hold at least one meta-batch. Received: an empty dataset")
    # In float64, where large losses of a diverging inner loop can still be added up.
    found = {name: np.concatenate([part[name] for part in collected]).astype(np.float64) for name in collected[0]}
    return AdaptationCurve(
        mean={name: value.mean(axis=0) for name, value in found.items()},
        interval={name: confidence_interval(value) for name, value in found.items()},
        episodes=len(found["query_loss"]),
        label=learner.label if label is None else label,
    )


def _check_label(label: str | None) -> None:
    if label is not None and (not isinstance(label, str) or not label):
        raise ValueError(f"label must be a text. Received: label={label!r}")
