"""Model-agnostic meta-learning (Finn, Abbeel, Levine 2017), exact and first-order."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.training import inputs, outer_loop


@keras.saving.register_keras_serializable("tfmeta")
class MAML(outer_loop.MetaLearner):
    """Learns initial parameters from which a few gradient steps solve a new task.

    Args:
        learner: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        inner_lr: alpha, the size of an inner gradient step on the *mean* support loss.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        first_order: FOMAML, which treats the inner gradients as constants.
        gradient_mode: `"nested"` or `"mixed"`, two ways to the same exact gradient: nested tapes are faster, mixed mode
            needs memory that does not grow with `inner_steps`.
        inner_clip_norm: scale an inner step's gradient down to this global norm where it is longer. (The outer loop's
            gradient is clipped by the optimizer: `Adam(global_clipnorm=...)`.)
        adversarial_epsilon: add FGSM examples to the query loss of training; see `functional.query_loss`.
        loss: function of (targets, outputs), a Keras loss or its name. By default cross-entropy of logits for integer
            labels and mean squared error otherwise.
        name: Keras name.

    Raises:
        TypeError: if the learner is no Keras model.
        ValueError: if the learner is not built, or a setting is out of range.

    References:
        Finn et al. (2017), "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", algorithm 2.
        https://arxiv.org/abs/1703.03400

    Note:
        As in the authors' code, batch norm uses the statistics of the batch it sees in both loops and at test time; its
        moving averages are never used. What queries it sees together is `transductive` in `tfmeta.evaluate`. A layer's
        regularisation losses are part of neither loop. Dropout keeps one mask through the steps of a task and is off
        in evaluation.
    """

    def __init__(
        self,
        learner: keras.Model,
        *,
        inner_lr: float = 0.4,
        inner_steps: int = 1,
        eval_inner_steps: int | None = None,
        first_order: bool = False,
        gradient_mode: str = "nested",
        inner_clip_norm: float | None = None,
        adversarial_epsilon: float = 0.0,
        loss=None,
        name: str | None = None,
    ):
        inputs.check_network(learner, "learner")
        inputs.check_number("inner_lr", inner_lr)
        inputs.check_number("adversarial_epsilon", adversarial_epsilon)
        inputs.check_gradient_mode(gradient_mode)
        if inner_clip_norm is not None:
            inputs.check_number("inner_clip_norm", inner_clip_norm, above=True)
            if gradient_mode == "mixed":
                raise ValueError(
                    f"inner_clip_norm needs gradient_mode='nested'. Received: inner_clip_norm={inner_clip_norm!r}"
                )
        super().__init__(learner, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.inner_lr = inner_lr
        self.first_order = first_order
        self.gradient_mode = gradient_mode
        self.inner_clip_norm = inner_clip_norm
        self.adversarial_epsilon = adversarial_epsilon
        self.positions = None  # of the parameter tensors that adapt: all
        self.split = None  # before the first layer that adapts: there is nothing to compute once

    def task_gradient(self, params, episode: Episode, salt: tf.Tensor) -> functional.MetaGradient:
        """The exact meta-gradient of one task, or FOMAML's."""
        return functional.meta_gradient(
            self.learner, params, episode,
            inner_lr=self.inner_lr, inner_steps=self.inner_steps, loss=self.task_loss, first_order=self.first_order,
            gradient_mode=self.gradient_mode, adapted=self.positions, clip_norm=self.inner_clip_norm,
            split=None if self.gradient_mode == "mixed" else self.split, adversarial_epsilon=self.adversarial_epsilon,
            non_trainable=self._task_state(salt),
        )  # fmt: skip

    def inner_step(self, step: tf.Tensor, state: list[tf.Tensor], episode: Episode) -> list[tf.Tensor]:
        """Equation 1 on the support set."""
        return self._test_step(self.learner, state, episode.support_x, episode.support_y)

    def _test_step(self, learner, weights, x, y) -> list[tf.Tensor]:
        return functional.inner_update(
            learner, weights, x, y,
            inner_lr=self.inner_lr, loss=self.task_loss, first_order=True, adapted=self.positions,
            clip_norm=self.inner_clip_norm,
        )[0]  # fmt: skip

    def evaluation_settings(self) -> dict[str, int | float]:
        """Settings at test time that a reader of a score must know."""
        found = super().evaluation_settings() | {"inner_lr": self.inner_lr}
        return found if self.inner_clip_norm is None else found | {"inner_clip_norm": self.inner_clip_norm}

    def get_config(self):
        """All settings and the learner's own configuration, for `save` and `load_model`."""
        return super().get_config() | {
            "inner_lr": self.inner_lr,
            "first_order": self.first_order,
            "gradient_mode": self.gradient_mode,
            "inner_clip_norm": self.inner_clip_norm,
            "adversarial_epsilon": self.adversarial_epsilon,
        }
