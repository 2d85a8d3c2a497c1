"""Meta-SGD (Li, Zhou, Chen, Li 2017): the step sizes are learned, too, one for each weight.

Parameters: theta and alpha. Update rule: theta' = theta - alpha * gradient, element by element. Outer gradient: that of
the query loss with respect to both.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from tfmeta.core.updates import per_weight
from tfmeta.core.validation import check_gradient_mode, check_number
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.network_checks import check_network


@keras.saving.register_keras_serializable("tfmeta")
class MetaSGD(EpisodicLearner):
    """Learns initial parameters together with a rate for each of them, which may come out negative.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        initial_rates: alpha before training: `(low, high)` to draw every rate from U[low, high] (with Keras's seed, as
            weights are), or one number for all. On the *mean* support loss.
        inner_steps: inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built, or a setting is out of range.

    References:
        Li et al. (2017), "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", algorithm 1.
        https://arxiv.org/abs/1707.09835

    Note:
        The outer optimizer learns the rates with the same step as the weights, as in the paper. For another one say
        `compile(optimizer, group_optimizers={"rates": ...})`.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        initial_rates: float | Sequence[float] = (0.005, 0.1),
        inner_steps: int = 1,
        eval_inner_steps: int | None = None,
        gradient_mode: str = "nested",
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_gradient_mode(gradient_mode)
        low, high = _range(initial_rates)
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.initial_rates = [low, high]
        self.gradient_mode = gradient_mode
        draw = keras.initializers.RandomUniform(low, high) if high > low else keras.initializers.Constant(low)
        self.rates = [
            self.add_weight(
                shape=variable.shape, dtype=variable.dtype, initializer=draw.clone(),
                name=f"rate_of_{variable.path.replace('/', '_')}",
            )
            for variable in network.trainable_variables
        ]  # fmt: skip

    @property
    def method(self) -> Method:
        """The update of algorithm 1; a rate that is not needed should stay, so weight decay spares the rates."""
        return Method.for_network(
            self.network,
            own={"rates": self.rates},
            undecayed=("rates",),
            update=lambda params: per_weight(params["rates"]),
            gradient_mode=self.gradient_mode,
        )


def _range(rates: float | Sequence[float]) -> tuple[float, float]:
    pair = list(rates) if isinstance(rates, list | tuple | np.ndarray) else [rates, rates]
    if len(pair) != 2:
        raise ValueError(f"initial_rates must be one number or (low, high). Received: initial_rates={rates!r}")
    for rate in pair:
        check_number("initial_rates", rate)
    if pair[0] > pair[1]:
        raise ValueError(f"initial_rates must be (low, high) with low <= high. Received: initial_rates={rates!r}")
    return float(pair[0]), float(pair[1])
