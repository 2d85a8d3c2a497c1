"""BOIL (Oh, Yoo, Kim, Yun 2021): the body adapts, the head stays; the opposite of ANIL.

Parameters: theta. Update rule: gradient descent of all but the head. Outer gradient: that of the query loss with
respect to all of theta.
"""

from __future__ import annotations

import keras

from tfmeta.algorithms.anil import adapted_positions
from tfmeta.core.updates import only, sgd
from tfmeta.core.validation import check_gradient_mode, check_number
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.network_checks import check_network


@keras.saving.register_keras_serializable("tfmeta")
class BOIL(EpisodicLearner):
    """MAML whose inner loop changes the body only, so that representations change rather than decision boundaries.

    Args:
        network: any built Keras model whose last layer with weights is its head, `[batch, ...]` to logits
            `[batch, n_way]` or to regression outputs; the layers before it are the body.
        inner_lr: alpha, the size of an inner gradient step on the *mean* support loss, for the body.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built or has a head only, or a setting is out of range.

    References:
        Oh et al. (2021), "BOIL: Towards Representation Change for Few-shot Learning", section 3.
        https://arxiv.org/abs/2008.08882
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        inner_lr: float = 0.4,
        inner_steps: int = 1,
        eval_inner_steps: int | None = None,
        gradient_mode: str = "nested",
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_number("inner_lr", inner_lr)
        check_gradient_mode(gradient_mode)
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        head = adapted_positions(network)
        self.positions = tuple(i for i in range(len(network.trainable_variables)) if i not in head)
        if not self.positions:
            raise ValueError(f"network must have a body before its head. Received: network={network.name!r}")
        self.inner_lr = inner_lr
        self.gradient_mode = gradient_mode

    @property
    def method(self) -> Method:
        """Equation 1 of MAML for the body: the head's inner rate is 0."""
        return Method.for_network(
            self.network,
            update=lambda params: only(sgd(self.inner_lr), self.positions),
            gradient_mode=self.gradient_mode,
            settings={"inner_lr": self.inner_lr, "adapted": "body"},
        )
