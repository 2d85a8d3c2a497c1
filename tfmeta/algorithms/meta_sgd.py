"""Meta-SGD (Li, Zhou, Chen, Li 2017): the step sizes are learned, too, one for each weight."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.training import inputs, outer_loop


@keras.saving.register_keras_serializable("tfmeta")
class MetaSGD(outer_loop.MetaLearner):
    """Learns initial parameters together with a rate for each of them, which may come out negative.

    Args:
        learner: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        initial_rates: alpha before training: `(low, high)` to draw every rate from U[low, high] (with Keras's seed, as
            weights are), or one number for all. On the *mean* support loss.
        inner_steps: inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the learner is no Keras model.
        ValueError: if the learner is not built, or a setting is out of range.

    References:
        Li et al. (2017), "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", algorithm 1.
        https://arxiv.org/abs/1707.09835

    Note:
        The outer optimizer learns the rates with the same step as the weights, as in the paper.
    """

    def __init__(
        self,
        learner: keras.Model,
        *,
        initial_rates: float | Sequence[float] = (0.005, 0.1),
        inner_steps: int = 1,
        eval_inner_steps: int | None = None,
        gradient_mode: str = "nested",
        loss=None,
        name: str | None = None,
    ):
        inputs.check_network(learner, "learner")
        inputs.check_gradient_mode(gradient_mode)
        low, high = _range(initial_rates)
        super().__init__(learner, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.initial_rates = [low, high]
        self.gradient_mode = gradient_mode
        draw = keras.initializers.RandomUniform(low, high) if high > low else keras.initializers.Constant(low)
        self.rates = [
            self.add_weight(
                shape=variable.shape, dtype=variable.dtype, initializer=draw.clone(),
                name=f"rate_of_{variable.path.replace('/', '_')}",
            )
            for variable in learner.trainable_variables
        ]  # fmt: skip

    @property
    def meta_variables(self) -> list[keras.Variable]:
        """Weights, then their rates."""
        return [*self.learner.trainable_variables, *self.rates]

    @property
    def without_weight_decay(self) -> list[keras.Variable]:
        """The rates: a rate that is not needed should stay, not go to 0."""
        return self.rates

    def task_gradient(self, params, episode: Episode, salt: tf.Tensor) -> functional.MetaGradient:
        """The exact gradient of one task's query loss with respect to theta and alpha."""
        theta, alpha = params[: len(self.rates)], params[len(self.rates) :]
        return functional.meta_gradient(
            self.learner, theta, episode,
            inner_lr=list(alpha), inner_steps=self.inner_steps, loss=self.task_loss,
            gradient_mode=self.gradient_mode, non_trainable=self._task_state(salt),
        )  # fmt: skip

    def inner_step(self, step: tf.Tensor, state: list[tf.Tensor], episode: Episode) -> list[tf.Tensor]:
        """The update of algorithm 1, theta' = theta - alpha * gradient, element by element."""
        return functional.inner_update(
            self.learner, state, episode.support_x, episode.support_y,
            inner_lr=functional.values(self.rates), loss=self.task_loss, first_order=True,
        )[0]  # fmt: skip

    def get_config(self):
        """All settings and the learner's own configuration, for `save` and `load_model`."""
        return super().get_config() | {"initial_rates": self.initial_rates, "gradient_mode": self.gradient_mode}


def _range(rates: float | Sequence[float]) -> tuple[float, float]:
    pair = list(rates) if isinstance(rates, list | tuple | np.ndarray) else [rates, rates]
    if len(pair) != 2:
        raise ValueError(f"initial_rates must be one number or (low, high). Received: initial_rates={rates!r}")
    for rate in pair:
        inputs.check_number("initial_rates", rate)
    if pair[0] > pair[1]:
        raise ValueError(f"initial_rates must be (low, high) with low <= high. Received: initial_rates={rates!r}")
    return float(pair[0]), float(pair[1])
