"""ANIL (Raghu, Raghu, Bengio, Vinyals 2020): almost no inner loop; only chosen layers adapt."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfmeta.algorithms.maml import MAML
from tfmeta.core.cut import split_before
from tfmeta.core.episode import Episode


def adapted_positions(learner: keras.Model, layers: Sequence[str] | None = None) -> list[int]:
    """Which parameter tensors the inner loop changes.

    Args:
        learner: a built Keras model.
        layers: names of layers whose trainable variables adapt; the last layer that has any by default.

    Returns:
        Positions in `learner.trainable_variables`.

    Raises:
        ValueError: if a name is unknown or that of two layers, its layer has nothing to train, or no layer is named.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    variables = learner.trainable_variables
    position = {id(variable): i for i, variable in enumerate(variables)}
    found = [layer for layer in learner._flatten_layers(include_self=False) if layer.trainable_variables]
    positions = [[position[id(v)] for v in layer.trainable_variables] for layer in found]
    if layers is None:
        # A model inside the learner holds its last layer, too, and would adapt as a whole.
        ends = [
            at
            for layer, at in zip(found, positions, strict=True)
            if not isinstance(layer, keras.Model) and len(variables) - 1 in at
        ]
        if ends:
            return sorted(ends[0])
        layers = []  # the last weights belong to no layer
    layers = [layers] if isinstance(layers, str) else list(layers)
    names = [layer.name for layer in found]
    if not layers or any(names.count(name) != 1 for name in layers):
        raise ValueError(
            f"adapt_layers must name at least one of the layers with trainable variables, {', '.join(names)}, and no "
            f"name that two of them have. Received: adapt_layers={layers!r}"
        )
    return sorted({i for name in layers for i in positions[names.index(name)]})


@keras.saving.register_keras_serializable("tfmeta")
class ANIL(MAML):
    """MAML whose inner loop changes the head only; the outer loop learns everything.

    Args:
        learner: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        adapt_layers: names of the layers that adapt, for other choices than the last one: the parameter-efficient
            case, `["batch_normalization"]`, or all but the head, as in BOIL.
        inner_steps: M, inner steps in training.
        **options: all others of `MAML`: `inner_lr`, `eval_inner_steps`, `first_order`, `gradient_mode`,
            `inner_clip_norm`, `adversarial_epsilon`, `loss`, `name`.

    Raises:
        TypeError: if the learner is no Keras model.
        ValueError: if the learner is not built, a layer is unknown, or a setting is out of range.

    References:
        Raghu et al. (2020), "Rapid Learning or Feature Reuse?", section 4. https://arxiv.org/abs/1909.09157

    Note:
        What comes before the first layer that adapts is computed once per task, not once per inner step, which is the
        same and faster: in training with nested tapes, and at test time. It asks for a functional or sequential model
        whose layers can be cut there (`tfmeta.split`); other models adapt as in `MAML`.
    """

    def __init__(
        self, learner: keras.Model, *, adapt_layers: Sequence[str] | None = None, inner_steps: int = 5, **options
    ):
        super().__init__(learner, inner_steps=inner_steps, **options)
        self.positions = tuple(adapted_positions(learner, adapt_layers))
        self.split = split_before(learner, self.positions)
        # One name alone is a string, which `list` would take to pieces.
        self.adapt_layers = [adapt_layers] if isinstance(adapt_layers, str) else adapt_layers and list(adapt_layers)

    def first_state(self, episode: Episode) -> list[tf.Tensor]:
        """Theta, after the features of the support set where the body's part is known."""
        theta = super().first_state(episode)
        return theta if self.split is None else [self.split.body(theta, episode.support_x), *theta]

    def weights_in(self, state: list[tf.Tensor]) -> list[tf.Tensor]:
        """The fast weights in a state."""
        return state if self.split is None else state[1:]

    def inner_step(self, step: tf.Tensor, state: list[tf.Tensor], episode: Episode) -> list[tf.Tensor]:
        """Equation 1 for what adapts."""
        if self.split is None:
            return super().inner_step(step, state, episode)
        features, *weights = state
        return [features, *self._test_step(self.split.head, weights, features, episode.support_y)]

    def evaluation_settings(self) -> dict[str, int | float | str]:
        """Settings at test time that a reader of a score must know."""
        adapted = "last layer" if self.adapt_layers is None else ", ".join(self.adapt_layers)
        return super().evaluation_settings() | {"adapted": adapted}

    def get_config(self):
        """All settings and the learner's own configuration, for `save` and `load_model`."""
        return super().get_config() | {"adapt_layers": self.adapt_layers}
