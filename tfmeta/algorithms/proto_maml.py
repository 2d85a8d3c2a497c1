"""Proto-MAML (Triantafillou et al. 2020): a linear head that starts from prototypes, adapted by gradient steps."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.algorithms.prototypical import compute_prototypes, prototypical_head
from tfmeta.core.episode import Episode, count_classes
from tfmeta.training import base, copies, inputs, outer_loop


@keras.saving.register_keras_serializable("tfmeta")
class ProtoMAML(outer_loop.MetaLearner):
    """MAML on an encoder whose linear head starts, in every task, as the prototypical network's.

    The head is made from the task, so `n_way` may differ from task to task and from training to test.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        inner_lr: alpha, the size of an inner gradient step on the *mean* support loss, for encoder and head.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        first_order: treat the inner gradients as constants.
        start_gradient: let the outer gradient flow through the prototypes that the head starts from; else they are
            constants, and the encoder learns from the steps alone.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the encoder is no Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]` or a softmax, or a setting is out of
            range.

    References:
        Triantafillou et al. (2020), "Meta-Dataset", section 3.2. https://arxiv.org/abs/1903.03096

    Note:
        The paper trains the first-order variant, `first_order=True`.
    """

    counts_classes = True

    def __init__(
        self,
        encoder: keras.Model,
        *,
        inner_lr: float = 0.01,
        inner_steps: int = 1,
        eval_inner_steps: int | None = None,
        first_order: bool = False,
        start_gradient: bool = True,
        gradient_mode: str = "nested",
        name: str | None = None,
    ):
        inputs.check_network(encoder, "encoder")
        inputs.check_embedding(encoder)
        inputs.check_number("inner_lr", inner_lr)
        inputs.check_gradient_mode(gradient_mode)
        super().__init__(encoder, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=None, name=name)
        self.encoder = encoder
        self.inner_lr = inner_lr
        self.first_order = first_order
        self.start_gradient = start_gradient
        self.gradient_mode = gradient_mode

    def _start(self, episode: Episode, non_trainable=None):
        """Theta with the task's head appended, as a function of theta."""

        def start(theta: functional.Tensors) -> list[tf.Tensor]:
            embeddings = functional.forward(self.encoder, theta, episode.support_x, non_trainable=non_trainable)
            n_way = count_classes(episode)
            head = prototypical_head(compute_prototypes(embeddings, episode.support_y, n_way))
            return [*theta, *(head if self.start_gradient else map(tf.stop_gradient, head))]

        return start

    def _linear(self, non_trainable=None):
        """Logits as a function of [*encoder's parameters, kernel, bias] and inputs."""

        def predict(weights: functional.Tensors, x: tf.Tensor) -> tf.Tensor:
            *theta, kernel, bias = weights
            return tf.matmul(functional.forward(self.encoder, theta, x, non_trainable=non_trainable), kernel) + bias

        return predict

    def first_state(self, episode: Episode) -> list[tf.Tensor]:
        """Theta and the head that the support set gives."""
        return self._start(episode)(super().first_state(episode))

    def predict_with(self, weights: functional.Tensors, x: tf.Tensor) -> tf.Tensor:
        """Logits `[batch, n_way]` under fast weights."""
        return self._linear()(weights, x)

    def task_gradient(self, params, episode: Episode, salt: tf.Tensor) -> functional.MetaGradient:
        """The gradient of one task's query loss with respect to the encoder's parameters."""
        state = self._task_state(salt)
        return functional.meta_gradient(
            self._linear(state), params, episode,
            inner_lr=self.inner_lr, inner_steps=self.inner_steps, first_order=self.first_order,
            gradient_mode=self.gradient_mode, start=self._start(episode, state),
        )  # fmt: skip

    def inner_step(self, step: tf.Tensor, state: list[tf.Tensor], episode: Episode) -> list[tf.Tensor]:
        """One gradient step of encoder and head."""
        return functional.inner_update(
            self._linear(), state, episode.support_x, episode.support_y, inner_lr=self.inner_lr, first_order=True
        )[0]

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch that does not fit the encoder."""
        base.EpisodicModel.check_episode(self, episode)
        inputs.check_labels(self, episode)

    def evaluation_settings(self) -> dict[str, int | float]:
        """Settings at test time that a reader of a score must know."""
        return super().evaluation_settings() | {"inner_lr": self.inner_lr}

    def model_of(self, weights: functional.Tensors, support_x: tf.Tensor) -> keras.Model:
        """A copy of the encoder with a linear head."""
        *theta, kernel, bias = weights
        return copies.with_linear_head(self.encoder, theta, kernel, bias, support_x)

    def get_config(self):
        """All settings and the encoder's own configuration, for `save` and `load_model`."""
        config = super().get_config()
        del config["loss"]
        return config | {
            "inner_lr": self.inner_lr,
            "first_order": self.first_order,
            "start_gradient": self.start_gradient,
            "gradient_mode": self.gradient_mode,
        }
