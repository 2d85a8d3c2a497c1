"""ANIL (Raghu, Raghu, Bengio, Vinyals 2020): almost no inner loop; only chosen layers adapt.

Parameters: theta. Update rule: gradient descent of the head `only`. Outer gradient: that of the query loss with respect
to all of theta, body and head.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from tfmeta.algorithms.maml import adversarial_loss, check_options, gradient_descent, rate_settings
from tfmeta.core.cut import Cut, cut_before
from tfmeta.core.updates import only
from tfmeta.core.validation import check_flags, check_sequence
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.network_checks import check_network


def adapted_positions(network: keras.Model, layers: Sequence[str] | None = None) -> list[int]:
    """Which parameter tensors the inner loop changes.

    Args:
        network: a built Keras model.
        layers: names of layers whose trainable variables adapt; the last layer that has any by default.

    Returns:
        Positions in `network.trainable_variables`.

    Raises:
        ValueError: if a name is unknown or that of two layers, its layer has nothing to train, or no layer is named.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    variables = network.trainable_variables
    position = {id(variable): i for i, variable in enumerate(variables)}
    found = [layer for layer in network._flatten_layers(include_self=False) if layer.trainable_variables]
    positions = [[position[id(v)] for v in layer.trainable_variables] for layer in found]
    if layers is None:
        # A model inside the network holds its last layer, too, and would adapt as a whole.
        ends = [
            at
            for layer, at in zip(found, positions, strict=True)
            if not isinstance(layer, keras.Model) and len(variables) - 1 in at
        ]
        if ends:
            return sorted(ends[0])
        layers = []  # the last weights belong to no layer
    layers = [layers] if isinstance(layers, str) else layers
    check_sequence("adapt_layers", layers)
    layers = list(layers)
    names = [layer.name for layer in found]
    if not layers or any(names.count(name) != 1 for name in layers):
        raise ValueError(
            f"adapt_layers must name at least one of the layers with trainable variables, {', '.join(names)}, and no "
            f"name that two of them have. Received: adapt_layers={layers!r}"
        )
    return sorted({i for name in layers for i in positions[names.index(name)]})


@keras.saving.register_keras_serializable("tfmeta")
class ANIL(EpisodicLearner):
    """MAML whose inner loop changes the head only; the outer loop learns everything.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        adapt_layers: names of the layers that adapt, for other choices than the last one, such as the
            parameter-efficient `["batch_normalization"]`.
        inner_lr: as for `MAML`.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        first_order: as for `MAML`.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        inner_clip_norm: as for `MAML`.
        adversarial_epsilon: as for `MAML`.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built, a layer is unknown, or a setting is out of range.

    References:
        Raghu et al. (2020), "Rapid Learning or Feature Reuse?", section 4. https://arxiv.org/abs/1909.09157

    Note:
        The features before the first layer that adapts are computed once per task instead of once per inner step, which
        gives the same and is faster. This asks for a functional or sequential model whose layers can be cut there
        (`tfmeta.core.cut`); other models adapt as in `MAML`.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        adapt_layers: Sequence[str] | None = None,
        inner_lr: float = 0.4,
        inner_steps: int = 5,
        eval_inner_steps: int | None = None,
        first_order: bool = False,
        gradient_mode: str = "nested",
        inner_clip_norm: float | None = None,
        adversarial_epsilon: float = 0.0,
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_options(inner_lr, gradient_mode, inner_clip_norm, adversarial_epsilon)
        check_flags(first_order=first_order)
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.positions = tuple(adapted_positions(network, adapt_layers))
        self.cut = cut_before(network, self.positions)
        # One name alone is a string, which `list` would take to pieces.
        self.adapt_layers = [adapt_layers] if isinstance(adapt_layers, str) else adapt_layers and list(adapt_layers)
        self.inner_lr = inner_lr
        self.first_order = first_order
        self.gradient_mode = gradient_mode
        self.inner_clip_norm = inner_clip_norm
        self.adversarial_epsilon = adversarial_epsilon

    @property
    def method(self) -> Method:
        """MAML with another update rule; the support set passes through the body once."""
        adapted = "last layer" if self.adapt_layers is None else ", ".join(self.adapt_layers)
        return Method.for_network(
            self.network,
            update=lambda params: only(gradient_descent(self.inner_lr, self.inner_clip_norm), self.positions),
            first_order=self.first_order,
            label="first-order ANIL" if self.first_order else "ANIL",
            gradient_mode=self.gradient_mode,
            task_loss=adversarial_loss(self, self.adversarial_epsilon),
            settings=rate_settings(self.inner_lr, self.inner_clip_norm) | {"adapted": adapted},
            **({} if self.cut is None else features_once(self, self.cut)),
        )


def features_once(learner: EpisodicLearner, cut: Cut) -> dict:
    """Fields of a `Method` that adapts only what comes after a cut: features of the support set are computed once.

    They follow theta in what the inner loop begins with, so that their gradient is known in constant memory, too.

    Args:
        learner: whose network was cut.
        cut: the network in two parts.

    Returns:
        The fields `start`, `outputs`, `support_loss` and `weights`.
    """
    whole = Method.for_network(learner.network).outputs

    def start(params, episode, run):
        theta = list(params["network"])
        return [*theta, cut.body(theta, episode.support_x, run.state)]

    def support_loss(fast, episode, run, k):
        *theta, features = fast
        return learner.loss_of(episode.support_y, cut.head(theta, features, run.state))

    return {
        "start": start,
        "outputs": lambda fast, x, run, k: whole(fast[:-1], x, run, k),
        "support_loss": support_loss,
        "weights": lambda fast, k: fast[:-1],
    }
