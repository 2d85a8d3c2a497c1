"""ANIL (Raghu, Raghu, Bengio, Vinyals 2020): almost no inner loop; only chosen layers adapt."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.algorithms import inputs, outer_loop
from tfmeta.episodes import Episode


def adapted_positions(learner: keras.Model, layers: Sequence[str] | None = None) -> list[int]:
    """Which parameter tensors the inner loop changes.

    Args:
        learner: a built Keras model.
        layers: names of layers whose trainable variables adapt; the last layer that has any by default.

    Returns:
        Positions in `learner.trainable_variables`.

    Raises:
        ValueError: if a name is unknown or its layer has nothing to train, or no layer is named.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    variables = learner.trainable_variables
    position = {id(variable): i for i, variable in enumerate(variables)}
    found = [layer for layer in learner._flatten_layers(include_self=False) if layer.trainable_variables]
    known = {layer.name: [position[id(v)] for v in layer.trainable_variables] for layer in found}
    if layers is None:
        # A model inside the learner holds its last layer, too, and would adapt as a whole.
        inside = [layer.name for layer in found if not isinstance(layer, keras.Model)]
        layers = [name for name in inside if len(variables) - 1 in known[name]][:1]
    layers = [layers] if isinstance(layers, str) else list(layers)
    unknown = [name for name in layers if name not in known]
    if unknown or not layers:
        raise ValueError(
            f"adapt_layers must name at least one of the layers with trainable variables, {', '.join(known)}. "
            f"Received: adapt_layers={layers!r}"
        )
    return sorted({i for name in layers for i in known[name]})


@keras.saving.register_keras_serializable("tfmeta")
class ANIL(outer_loop.MetaLearner):
    """MAML whose inner loop changes the head only; the outer loop learns everything.

    Args:
        learner: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        adapt_layers: names of the layers that adapt, for other choices than the last one: the parameter-efficient
            case, `["batch_normalization"]`, or all but the head, as in BOIL.
        inner_lr: alpha, the size of an inner gradient step on the *mean* support loss.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        first_order: treat the inner gradients as constants.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the learner is no Keras model.
        ValueError: if the learner is not built, a layer is unknown, or a setting is out of range.

    References:
        Raghu et al. (2020), "Rapid Learning or Feature Reuse?", section 4. https://arxiv.org/abs/1909.09157
    """

    def __init__(
        self,
        learner: keras.Model,
        *,
        adapt_layers: Sequence[str] | None = None,
        inner_lr: float = 0.4,
        inner_steps: int = 5,
        eval_inner_steps: int | None = None,
        first_order: bool = False,
        gradient_mode: str = "nested",
        loss=None,
        name: str | None = None,
    ):
        inputs.check_network(learner, "learner")
        inputs.check_number("inner_lr", inner_lr)
        inputs.check_gradient_mode(gradient_mode)
        positions = adapted_positions(learner, adapt_layers)
        super().__init__(learner, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        # One name alone is a string, which `list` would take to pieces.
        self.adapt_layers = [adapt_layers] if isinstance(adapt_layers, str) else adapt_layers and list(adapt_layers)
        self.positions = tuple(positions)
        self.inner_lr = inner_lr
        self.first_order = first_order
        self.gradient_mode = gradient_mode

    def task_gradient(self, params, episode: Episode, salt: tf.Tensor) -> functional.MetaGradient:
        """The exact gradient of one task's query loss, with respect to all of theta."""
        return functional.meta_gradient(
            self.learner, params, episode,
            inner_lr=self.inner_lr, inner_steps=self.inner_steps, loss=self.task_loss, first_order=self.first_order,
            gradient_mode=self.gradient_mode, adapted=self.positions, non_trainable=self._task_state(salt),
        )  # fmt: skip

    def inner_step(self, step: tf.Tensor, state: list[tf.Tensor], episode: Episode) -> list[tf.Tensor]:
        """One gradient step of the layers that adapt."""
        return functional.inner_update(
            self.learner, state, episode.support_x, episode.support_y,
            inner_lr=self.inner_lr, loss=self.task_loss, first_order=True, adapted=self.positions,
        )[0]  # fmt: skip

    def evaluation_settings(self) -> dict[str, int | float]:
        """Settings at test time that a reader of a score must know."""
        return super().evaluation_settings() | {"inner_lr": self.inner_lr}

    def get_config(self):
        """All settings and the learner's own configuration, for `save` and `load_model`."""
        return super().get_config() | {
            "adapt_layers": self.adapt_layers,
            "inner_lr": self.inner_lr,
            "first_order": self.first_order,
            "gradient_mode": self.gradient_mode,
        }
