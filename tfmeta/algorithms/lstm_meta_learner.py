"""The LSTM meta-learner (Ravi, Larochelle 2017): the update rule is learned, and with it the weights to start from.

Parameters: theta_0 and the weights of one small LSTM. Update rule: that LSTM, which reads each weight's gradient and
the loss and sets how much of the weight is kept and how much of its gradient is let in. Outer gradient: that of the
query loss, through the gates; gradients of the inner loop are constants.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.forward import values
from tfmeta.core.learned_updates import lstm
from tfmeta.core.validation import check_flags, check_sizes
from tfmeta.training.copies import by_support_statistics
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.network_checks import check_network


@keras.saving.register_keras_serializable("tfmeta")
class LSTMMetaLearner(EpisodicLearner):
    """Learns how to learn: an LSTM, shared by all weights, moves each of them by its gradient and the loss.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        units: width of the LSTM.
        inner_steps: T, updates in training, each on the whole support set.
        eval_inner_steps: updates when evaluated or adapted; `inner_steps` by default. The rule does not carry on well
            beyond those of training.
        learn_start: learn theta_0, too; else it stays as the network was made, and only the rule is learned.
        initial_forget: b_F before training, the gate's value before its sigmoid: `(low, high)` to draw it from, or one
            number. By default about 0.989 of a weight is kept.
        initial_gain: b_I likewise, by default a rate of about 0.011 on the *mean* support loss.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built, or a setting is out of range.

    References:
        Ravi, Larochelle (2017), "Optimization as a Model for Few-Shot Learning", section 3 and algorithm 1.
        https://openreview.net/forum?id=rJY0-Kcll

    Note:
        The other weights of the rule start from U(-0.01, 0.01) as in the authors' code, so that it begins near gradient
        descent; the authors clip the outer gradient: `Adam(1e-3, global_clipnorm=0.25)`. Batch norm has the
        statistics of the batch that it sees in training. At test time a query by itself (`transductive=False`) has
        those of its support set, afresh in every episode, where the authors collect averages over the updates. Batch
        norm's own scale and offset go through the same gates as all weights. An update keeps about 200 numbers for each
        weight: five of a conv4 with 64 filters are half a gigabyte a task.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        units: int = 20,
        inner_steps: int = 5,
        eval_inner_steps: int | None = None,
        learn_start: bool = True,
        initial_forget: float | Sequence[float] = (4.0, 5.0),
        initial_gain: float | Sequence[float] = (-5.0, -4.0),
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_sizes(units=units)
        check_flags(learn_start=learn_start)
        limits = {"initial_forget": initial_forget, "initial_gain": initial_gain}
        limits = {argument: _limits(argument, given) for argument, given in limits.items()}
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.units, self.learn_start = units, learn_start
        self.initial_forget, self.initial_gain = limits["initial_forget"], limits["initial_gain"]
        dtype = network.trainable_variables[0].dtype

        def weight(called, shape, low=-0.01, high=0.01):
            constant = keras.initializers.Constant(low)
            draw = constant if low == high else keras.initializers.RandomUniform(low, high)
            return self.add_weight(shape=shape, dtype=dtype, initializer=draw, name=called)

        self.rule = [
            weight("kernel", (4, 4 * units)),
            weight("recurrent", (units, 4 * units)),
            weight("bias", (4 * units,)),
            weight("forget", (units + 2,)),
            weight("forget_bias", (), *self.initial_forget),
            weight("gain", (units + 2,)),
            weight("gain_bias", (), *self.initial_gain),
        ]

    @property
    def method(self) -> Method:
        """Algorithm 1: theta_0 and the rule are learned through all T updates, in first order."""
        fields = {
            "update": lambda params: lstm(params["rule"]),
            "first_order": True,
            "undecayed": ("rule",),
            "label": "LSTM meta-learner",
            "alone": (self._alone, "statistics of the support set"),
        }
        if self.learn_start:
            return Method.for_network(self.network, {"rule": self.rule}, **fields)
        start = lambda params, episode, run: values(self.network.trainable_variables)  # noqa: E731
        return Method.for_network(self.network, parameters={"rule": self.rule}, start=start, **fields)

    def _alone(self, fast, episode, run, k) -> tf.Tensor:
        """Outputs on queries that batch norm sees by the support set's statistics at the fast weights."""
        return by_support_statistics(self.network, fast, episode.support_x, episode.query_x)


def _limits(name: str, given: float | Sequence[float]) -> list[float]:
    """One number or a pair as a pair, checked."""
    pair = list(given) if isinstance(given, list | tuple | np.ndarray) else [given, given]
    fits = len(pair) == 2 and all(
        isinstance(end, int | float | np.number) and not isinstance(end, bool) and np.isfinite(end) for end in pair
    )
    if not fits or pair[0] > pair[1]:
        raise ValueError(f"{name} must be one number or (low, high), finite. Received: {name}={given!r}")
    return [float(end) for end in pair]
