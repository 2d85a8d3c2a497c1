"""The outer loop of MAML and its relatives: the mean of the tasks' meta-gradients, applied by the Keras optimizer."""

from __future__ import annotations

import abc

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.training import adapting, base, inputs, replicas


class MetaLearner(adapting.AdaptingLearner, abc.ABC):
    """A learner whose outer loop learns from how its inner loop went. Abstract; `MAML` and its relatives are final.

    Args:
        learner, inner_steps, eval_inner_steps, loss, name: see `AdaptingLearner`.

    References:
        Finn et al. (2017), algorithm 2. https://arxiv.org/abs/1703.03400
    """

    @abc.abstractmethod
    def task_gradient(self, params: functional.Tensors, episode: Episode, salt: tf.Tensor) -> functional.MetaGradient:
        """One task's contribution to an outer step, at the values `params` of `meta_variables`.

        `salt` is a number of the task's own, for random choices.
        """

    @property
    def meta_variables(self) -> list[keras.Variable]:
        """What the outer loop learns."""
        return self.learner.trainable_variables

    @property
    def statistics(self) -> list[keras.Variable]:
        """What takes the mean of the tasks' `MetaGradient.statistics`."""
        return []

    def outer_step(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """One outer step: the mean of the tasks' meta-gradients, applied by the compiled optimizer."""
        params = functional.values(self.meta_variables)
        classification = inputs.is_classification(episodes)

        def one_task(task):
            episode, salt = task
            result = self.task_gradient(params, episode, salt)
            correct = functional.accuracy(episode.query_y, result.query_outputs) if classification else 0.0
            parts = [*result.gradients, *result.rate_gradients, *result.statistics]
            return tf.cast(result.loss, tf.float32), correct, parts

        signature = (base.SCALAR, base.SCALAR, base.like([*params, *functional.values(self.statistics)]))
        loss, accuracy, gradients = base.map_tasks(one_task, (episodes, self._salts(episodes)), signature)
        means = [tf.reduce_mean(g, axis=0) for g in gradients]
        self.optimizer.apply(replicas.share(means[: len(params)]), self.meta_variables)
        replicas.assign(self.statistics, means[len(params) :])
        return {"loss": loss} | ({"accuracy": accuracy} if classification else {})
