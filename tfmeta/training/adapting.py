"""What learners with an inner loop share: fast weights, evaluation in both batch-norm modes, adaptation curves."""

from __future__ import annotations

import abc
from typing import Any

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.forward import full_precision
from tfmeta.training import base, copies, inputs

# What the inner loop carries from step to step: the fast weights, and whatever else a method needs.
State = Any


class AdaptingLearner(base.EpisodicModel, abc.ABC):
    """A learner that adapts its parameters to a task step by step. Abstract, and says nothing of how it is trained.

    Args:
        learner: any built Keras model.
        inner_steps: inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        loss: function of (targets, outputs), a Keras loss or its name. By default cross-entropy of logits for integer
            labels and mean squared error otherwise.
        name: Keras name.

    References:
        Finn et al. (2017), algorithm 1. https://arxiv.org/abs/1703.03400
    """

    def __init__(
        self, learner: keras.Model, *, inner_steps: int, eval_inner_steps: int | None, loss, name: str | None = None
    ):
        inputs.check_steps(inner_steps=inner_steps)
        inputs.check_steps(eval_inner_steps=inner_steps if eval_inner_steps is None else eval_inner_steps)
        super().__init__(learner, name=name)
        self.learner = learner
        self.inner_steps = inner_steps
        self.eval_inner_steps = inner_steps if eval_inner_steps is None else eval_inner_steps
        self.loss_function = None if loss is None else keras.losses.get(loss)
        self._track("loss", "accuracy")
        for part in ("query", "support"):
            for moment in ("before", "after"):
                self._track(f"{part}_loss_{moment}", f"{part}_accuracy_{moment}")

    # -- what a method must say ----------------------------------------------------------------------------------
    @abc.abstractmethod
    def inner_step(self, step: tf.Tensor, state: State, episode: Episode) -> State:
        """The state after one more inner step at test time. No derivative is taken through it."""

    def first_state(self, episode: Episode) -> State:
        """The inner loop's state before its first step: theta."""
        return functional.values(self.learner.trainable_variables)

    def weights_in(self, state: State) -> list[tf.Tensor]:
        """The fast weights in a state."""
        return state

    def predict_with(self, weights: functional.Tensors, x: tf.Tensor) -> tf.Tensor:
        """Outputs `[batch, n_outputs]` under fast weights."""
        return functional.forward(self.learner, weights, x)

    # -- one task ------------------------------------------------------------------------------------------------
    def task_loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The loss of both loops on one batch, a scalar."""
        if self.loss_function is not None:
            return tf.reduce_mean(self.loss_function(targets, outputs))
        if targets.dtype.is_integer:
            return functional.cross_entropy(targets, outputs)
        return tf.reduce_mean(tf.math.squared_difference(outputs, tf.cast(targets, outputs.dtype)))

    def fast_weights(self, episode: Episode, inner_steps: int | None = None) -> list[tf.Tensor]:
        """Theta' for one task.

        Args:
            episode: one task, without a meta-batch axis; only its support set is looked at.
            inner_steps: `eval_inner_steps` by default.

        Returns:
            Tensors in the order of `learner.trainable_variables`.

        References:
            Finn et al. (2017), algorithm 1, line 6. https://arxiv.org/abs/1703.03400
        """
        steps = self.eval_inner_steps if inner_steps is None else inner_steps
        with functional.without_dropout(self.learner):
            _, state = tf.while_loop(
                lambda k, _: k < steps,
                lambda k, state: (k + 1, self.inner_step(k, state, episode)),
                (tf.constant(0), self.first_state(episode)),
                parallel_iterations=1,
            )
        return self.weights_in(state)

    def query_outputs(self, episode: Episode, *, transductive: bool = True) -> tf.Tensor:
        """Outputs on the query set after adaptation.

        Args:
            episode: one task, without a meta-batch axis.
            transductive: let batch norm use the statistics of all queries together, as the paper's code does. Else each
                query is judged in a batch of its own with the support set.

        Returns:
            `[n_way * n_query, n_outputs]`.

        References:
            Finn et al. (2017), section 5.2; Nichol et al. (2018), section 6.1, for both modes.
            https://arxiv.org/abs/1803.02999
        """
        fast = self.fast_weights(episode)
        with functional.without_dropout(self.learner):
            if transductive or not copies.batch_norm_layers(self.learner):
                return self.predict_with(fast, episode.query_x)
            dtype = full_precision(fast[-1]).dtype  # of the last layer; else map_fn takes that of its input

            def alone(query):
                outputs = self.predict_with(fast, tf.concat([episode.support_x, query[None]], axis=0))
                return tf.cast(outputs[-1], dtype)

            return tf.map_fn(alone, episode.query_x, fn_output_signature=dtype)

    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""
        if not copies.batch_norm_layers(self.learner):
            return "none in the network"
        return "statistics of all queries together" if transductive else "statistics of the support set and one query"

    def evaluation_settings(self) -> dict[str, int | float]:
        """Settings at test time that a reader of a score must know."""
        return {"inner_steps": self.eval_inner_steps}

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch whose inputs, targets or number of classes do not fit the learner."""
        super().check_episode(episode)
        if self.loss_function is not None:
            return
        shape = inputs.known_shape(self.learner, "output_shape")
        if shape is None:
            shape = tuple(self.learner(episode.support_x[0, :1]).shape[1:])
        if inputs.is_classification(episode):
            n_way = int(count_classes(episode))
            if shape[-1] != n_way:
                raise ValueError(
                    f"the learner's output must be n_way={n_way} wide, one logit per class of an episode. "
                    f"Received: learner={self.learner.name!r} with outputs of shape {shape}"
                )
        # Targets [n] minus outputs [n, 1] would be a matrix [n, n], with no error.
        elif (targets := tuple(episode.support_y.shape[2:])) != shape:
            raise ValueError(
                f"targets must have the shape of the outputs, {shape} for each example, and labels must be integers. "
                f"Received: support_y with {targets}, dtype={episode.support_y.dtype.name}"
            )

    # -- a meta-batch --------------------------------------------------------------------------------------------
    def measure(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """Loss and accuracy on support and query, before and after `eval_inner_steps` steps."""
        classification = inputs.is_classification(episodes)

        def one_task(episode):
            curve = self.adaptation_path(episode, self.eval_inner_steps)
            return {name: tf.stack([value[0], value[-1]]) for name, value in curve.items()}

        names = ["support_loss", "query_loss"] + ["support_accuracy", "query_accuracy"] * classification
        ends = base.map_tasks(one_task, episodes, dict.fromkeys(names, tf.TensorSpec([2], tf.float32)))
        results = {"loss": ends["query_loss"][:, 1]}
        if classification:
            results["accuracy"] = ends["query_accuracy"][:, 1]
        for name in names:
            results[f"{name}_before"], results[f"{name}_after"] = ends[name][:, 0], ends[name][:, 1]
        return results

    def adaptation_path(self, episode: Episode, inner_steps: int) -> dict[str, tf.Tensor]:
        """Loss and accuracy on support and query after each inner step of one task.

        Args:
            episode: one task, without a meta-batch axis.
            inner_steps: steps to follow, any number.

        Returns:
            `support_loss`, `query_loss` and, for classification, `support_accuracy`, `query_accuracy`: float32
            `[inner_steps + 1]`, the first entry before adaptation.

        References:
            Finn et al. (2017), figure 3. https://arxiv.org/abs/1703.03400
        """
        classification = inputs.is_classification(episode)
        names = ["support_loss", "query_loss"] + ["support_accuracy", "query_accuracy"] * classification

        def measure(state):
            found, fast = {}, self.weights_in(state)
            for part, x, y in (
                ("support", episode.support_x, episode.support_y), ("query", episode.query_x, episode.query_y)
            ):  # fmt: skip
                outputs = self.predict_with(fast, x)
                found[f"{part}_loss"] = tf.cast(self.task_loss(y, outputs), tf.float32)
                if classification:
                    found[f"{part}_accuracy"] = functional.accuracy(y, outputs)
            return found

        def step(k, state, path):
            path = {name: path[name].write(k, value) for name, value in measure(state).items()}
            return k + 1, self.inner_step(k, state, episode), path

        path = {name: tf.TensorArray(tf.float32, inner_steps + 1, element_shape=[]) for name in names}
        with functional.without_dropout(self.learner):
            _, state, path = tf.while_loop(
                lambda k, *_: k < inner_steps,
                step,
                (tf.constant(0), self.first_state(episode), path),
                parallel_iterations=1,
            )
            path = {name: path[name].write(inner_steps, value) for name, value in measure(state).items()}
        return {name: array.stack() for name, array in path.items()}

    # -- a new task ----------------------------------------------------------------------------------------------
    def adapt(self, support_x, support_y, inner_steps: int | None = None) -> keras.Model:
        """Adapt to a new task.

        Args:
            support_x: `[n_way * k_shot, ...]`, scaled as in training.
            support_y: integer labels `[n_way * k_shot]` from 0 to `n_way - 1`, or targets.
            inner_steps: inner steps; `eval_inner_steps` by default.

        Returns:
            An ordinary Keras model with the fast weights, for `predict` on new inputs `[batch, ...]`. The learner
            itself is unchanged.

        Raises:
            ValueError: if inputs and labels do not fit each other or the learner.

        References:
            Finn et al. (2017), algorithm 1, line 6. https://arxiv.org/abs/1703.03400

        Note:
            A Keras model that predicts has no batch to take statistics from, so the returned model's batch norm holds
            the statistics of the support set: predictions do not depend on which images come together.
        """
        task = self.checked_support(support_x, support_y)
        if inner_steps is not None:
            inputs.check_steps(inner_steps=inner_steps)
        adapted = self.model_of(self.fast_weights(task, inner_steps), task.support_x)
        copies.set_batch_norm_statistics(adapted, task.support_x)
        return adapted

    def model_of(self, weights: functional.Tensors, support_x: tf.Tensor) -> keras.Model:
        """A Keras model that predicts with these fast weights."""
        return copies.copy_model(self.learner, weights, support_x)

    # -- saving --------------------------------------------------------------------------------------------------
    def get_config(self):
        """All settings and the learner's own configuration, for `save` and `load_model`."""
        return {
            "learner": keras.saving.serialize_keras_object(self.learner),
            "inner_steps": self.inner_steps,
            "eval_inner_steps": self.eval_inner_steps,
            "loss": None if self.loss_function is None else keras.saving.serialize_keras_object(self.loss_function),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        config = dict(config)
        for key in ("learner", "loss"):
            if config.get(key) is not None:
                config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(config.pop("learner"), **config)
