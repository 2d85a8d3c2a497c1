"""A method with a rule of its own, to see what one costs: MAML whose inner loop has momentum with a learned decay."""

import keras
import tensorflow as tf

from tfmeta.core.updates import Update
from tfmeta.core.validation import check_gradient_mode, check_number
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.network_checks import check_network


def momentum(rate, decay):
    """s' = decay * s + gradient, theta' = theta - rate * s'; both numbers are learned."""

    def step(k, params, gradients, state, learned):
        rate, decay = learned
        state = [decay * s + g for s, g in zip(state, gradients, strict=True)]
        return [w - rate * s for w, s in zip(params, state, strict=True)], state

    return Update(lambda params: [tf.zeros_like(w) for w in params], step, (rate, decay))


@keras.saving.register_keras_serializable("tests")
class MomentumMAML(EpisodicLearner):
    def __init__(self, network, *, inner_lr=0.1, decay=0.5, inner_steps=3, gradient_mode="nested", name=None):
        check_network(network, "network")
        check_number("inner_lr", inner_lr)
        check_gradient_mode(gradient_mode)
        super().__init__(network, inner_steps=inner_steps, name=name)
        self.inner_lr, self.decay, self.gradient_mode = inner_lr, decay, gradient_mode
        dtype = network.trainable_variables[0].dtype
        self.rule = [
            self.add_weight(shape=(), dtype=dtype, initializer=keras.initializers.Constant(value), name=name)
            for name, value in (("rate", inner_lr), ("decay", decay))
        ]

    @property
    def method(self) -> Method:
        return Method.for_network(
            self.network, {"rule": self.rule}, undecayed=("rule",), gradient_mode=self.gradient_mode,
            update=lambda params: momentum(*params["rule"]),
        )  # fmt: skip
