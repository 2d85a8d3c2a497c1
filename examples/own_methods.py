"""Three methods outside the package: momentum with a learned decay, BOIL, CAVIA. docs/your_own_method.md explains."""

from tfmeta.functional import Update, only, sgd
from tfmeta.training import EpisodicLearner, Method

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("own")
class MomentumMAML(EpisodicLearner):
    def __init__(self, network, *, inner_lr=0.01, inner_steps=3, name=None):
        super().__init__(network, inner_steps=inner_steps, name=name)
        self.inner_lr = inner_lr
        self.decay = self.add_weight(shape=(), initializer=keras.initializers.Constant(0.5), name="decay")

    @property
    def method(self):
        def step(k, weights, gradients, velocity, learned):
            velocity = [learned[0] * v + g for v, g in zip(velocity, gradients, strict=True)]
            return [w - self.inner_lr * v for w, v in zip(weights, velocity, strict=True)], velocity

        zeros = lambda weights: [tf.zeros_like(w) for w in weights]
        rule = lambda params: Update(zeros, step, tuple(params["decay"]))
        return Method.for_network(self.network, {"decay": [self.decay]}, update=rule, undecayed=("decay",))


@keras.saving.register_keras_serializable("own")
class BOIL(EpisodicLearner):  # all but the head's two tensors move
    method = property(
        lambda self: Method.for_network(self.network, update=lambda p: only(sgd(0.1), range(len(p["network"]) - 2)))
    )


@keras.saving.register_keras_serializable("own")
class CAVIA(EpisodicLearner):  # only the network's first tensor moves, the context, from 0 in every task
    @property
    def method(self):
        start = lambda params, episode, run: [0 * params["network"][0], *params["network"][1:]]
        return Method.for_network(self.network, start=start, update=lambda params: only(sgd(1.0), [0]))
