"""Proto-MAML (Triantafillou et al. 2020): a linear head that starts from prototypes, adapted by gradient steps.

Parameters: phi, those of the encoder. The inner loop begins with phi and a head made from the task's prototypes. Update
rule: gradient descent of both. Outer gradient: that of the query loss, also through the prototypes.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.algorithms.prototypical import compute_prototypes, prototypical_head
from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.forward import Tensors, forward
from tfmeta.core.updates import sgd
from tfmeta.core.validation import check_flags, check_gradient_mode, check_number
from tfmeta.training import copies, network_checks
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Params, Run


@keras.saving.register_keras_serializable("tfmeta")
class ProtoMAML(EpisodicLearner):
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
        TypeError: if the encoder is not a Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]` or a softmax, or a setting is out of
            range.

    References:
        Triantafillou et al. (2020), "Meta-Dataset", section 3.2. https://arxiv.org/abs/1903.03096

    Note:
        The paper trains the first-order variant, `first_order=True`.
    """

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
        network_checks.check_network(encoder, "encoder")
        network_checks.check_embedding(encoder)
        check_number("inner_lr", inner_lr)
        check_gradient_mode(gradient_mode)
        check_flags(first_order=first_order, start_gradient=start_gradient)
        super().__init__(encoder, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, name=name)
        self.encoder = encoder
        self.inner_lr = inner_lr
        self.first_order = first_order
        self.start_gradient = start_gradient
        self.gradient_mode = gradient_mode

    @property
    def method(self) -> Method:
        """Section 3.2: MAML from the prototypes' head."""
        return Method.for_network(
            self.encoder,
            start=self._start,
            outputs=self._outputs,
            update=lambda params: sgd(self.inner_lr),
            first_order=self.first_order,
            label="first-order ProtoMAML" if self.first_order else "ProtoMAML",
            gradient_mode=self.gradient_mode,
            makes_head=True,
            to_keras=self._to_keras,
            settings={"inner_lr": self.inner_lr},
        )

    def _start(self, params: Params, episode: Episode, run: Run) -> list[tf.Tensor]:
        """Phi with the task's head appended, kernel `[dim, n_way]` and bias `[n_way]`."""
        theta = params["network"]
        embeddings = forward(self.encoder, theta, episode.support_x, non_trainable=run.state)
        head = prototypical_head(compute_prototypes(embeddings, episode.support_y, count_classes(episode)))
        return [*theta, *(head if self.start_gradient else map(tf.stop_gradient, head))]

    def _outputs(self, fast: Tensors, x: tf.Tensor, run: Run, k) -> tf.Tensor:
        """Logits `[batch, n_way]`."""
        *theta, kernel, bias = fast
        return tf.matmul(forward(self.encoder, theta, x, non_trainable=run.state), kernel) + bias

    def _to_keras(self, fast: Tensors, support_x, support_y) -> keras.Model:
        """A copy of the encoder with a linear head."""
        *theta, kernel, bias = fast
        return copies.with_linear_head(self.encoder, theta, kernel, bias, support_x)
