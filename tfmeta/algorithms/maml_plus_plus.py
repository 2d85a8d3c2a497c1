"""MAML++ (Antoniou, Edwards, Storkey 2019): MAML with four repairs, each of which can be switched off."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.core.forward import full_precision, gradient
from tfmeta.core.moments import exact_moments
from tfmeta.training import copies, inputs, outer_loop


def step_weights(inner_steps: int, outer_step: int | tf.Tensor, anneal_steps: int) -> tf.Tensor:
    """How much the query loss after each inner step counts, while training goes on.

    Args:
        inner_steps: M.
        outer_step: number of outer steps taken.
        anneal_steps: outer steps after which only the last inner step counts.

    Returns:
        Weights v `[inner_steps]` that sum to 1: all alike at first, then falling in a straight line to no less than
        3 % of an equal share for all but the last; from `anneal_steps` on the last alone.

    References:
        Antoniou et al. (2019), section 4, "Multi-Step Loss Optimization", and the authors' code for the schedule.
        https://arxiv.org/abs/1810.09502
    """
    share = 1.0 / inner_steps
    done = tf.minimum(tf.cast(outer_step, tf.float32) / anneal_steps, 1.0)
    other = tf.where(done < 1.0, tf.maximum(share * (1.0 - done), 0.03 * share), 0.0)
    others = tf.fill([inner_steps - 1], other)
    return tf.concat([others, 1.0 - tf.reduce_sum(others, keepdims=True)], axis=0)


@keras.saving.register_keras_serializable("tfmeta")
class MAMLPlusPlus(outer_loop.MetaLearner):
    """MAML that trains steadily: learned rates, a loss after every step, batch norm of each step, first order early.

    The fifth part of the paper, an outer rate that falls along a cosine, is an optimizer's affair:
    `compile(optimizer=Adam(CosineDecay(1e-3, steps, alpha=0.01)))`.

    Args:
        learner: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        inner_lr: alpha, on the *mean* support loss; where the learned rates start.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default. Steps beyond M use what was
            learned for the last one.
        learn_rates: learn a rate for each parameter tensor and each inner step.
        multi_step_loss: number of outer steps over which the loss moves from all inner steps to the last one (the
            paper's code: 10 to 15 epochs), whose queries alone are judged from then on; 0 for that from the start.
        per_step_batch_norm: batch norm has its own scale, offset and moving averages after each number of inner steps,
            and scale and offset are not adapted. Judged with `transductive=False`, queries are then normalised by the
            moving averages instead of by their own statistics.
        first_order_steps: number of outer steps at the start that use first-order gradients.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the learner is no Keras model.
        ValueError: if the learner is not built, or a setting is out of range.

    References:
        Antoniou et al. (2019), "How to train your MAML", section 4. https://arxiv.org/abs/1810.09502

    Note:
        With all four switched off this is `MAML`. Batch norm's sets are counted by the inner steps taken, M + 1 of
        them, where the authors' code has M and shares them between a step's support and query pass.
    """

    def __init__(
        self,
        learner: keras.Model,
        *,
        inner_lr: float = 0.4,
        inner_steps: int = 5,
        eval_inner_steps: int | None = None,
        learn_rates: bool = True,
        multi_step_loss: int = 1000,
        per_step_batch_norm: bool = True,
        first_order_steps: int = 0,
        loss=None,
        name: str | None = None,
    ):
        inputs.check_network(learner, "learner")
        inputs.check_number("inner_lr", inner_lr)
        inputs.check_steps(multi_step_loss=multi_step_loss, first_order_steps=first_order_steps)
        if inner_steps == 0:
            raise ValueError("inner_steps must be a whole number of at least 1. Received: inner_steps=0")
        super().__init__(learner, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.inner_lr = inner_lr
        self.learn_rates = learn_rates
        self.multi_step_loss = multi_step_loss
        self.per_step_batch_norm = per_step_batch_norm
        self.first_order_steps = first_order_steps
        normalisers = copies.batch_norm_layers(learner) if per_step_batch_norm else []
        own = {id(v) for layer in normalisers for v in layer.variables}
        trainable, fixed = learner.trainable_variables, learner.non_trainable_variables
        # Positions of what batch norm has once per number of steps, and of what the inner loop adapts.
        self._scales_at = tuple(i for i, v in enumerate(trainable) if id(v) in own)
        self._moving_at = tuple(i for i, v in enumerate(fixed) if id(v) in own)
        self._adapted = tuple(i for i, v in enumerate(trainable) if id(v) not in own)
        self.rates = [
            self._table(trainable[i], "rates", [inner_steps], keras.initializers.Constant(inner_lr))
            for i in self._adapted * bool(learn_rates)
        ]
        sets = inner_steps + 1
        self.scales = [self._copies_of(trainable[i], "per_step", sets, True) for i in self._scales_at]
        self.moving = [self._copies_of(fixed[i], "per_step", sets, False) for i in self._moving_at]

    def _table(self, variable, what, shape, initializer, trainable=True):
        name = f"{what}_{variable.path.replace('/', '_')}"
        return self.add_weight(
            shape=shape, dtype=variable.dtype, initializer=initializer, trainable=trainable, name=name
        )

    def _copies_of(self, variable, what, n, trainable):
        table = self._table(variable, what, [n, *variable.shape], "zeros", trainable)
        table.assign(tf.repeat(variable.value[None], n, axis=0))
        return table

    @property
    def meta_variables(self) -> list[keras.Variable]:
        """Weights, then rates `[inner_steps]`, then batch norm's scales and offsets `[inner_steps + 1, channels]`."""
        return [*self.learner.trainable_variables, *self.rates, *self.scales]

    @property
    def without_weight_decay(self) -> list[keras.Variable]:
        """The rates."""
        return self.rates

    def call(self, x, training=False):
        """The network's own output before any adaptation, with the batch norm of no step; leaves the state as it is."""
        if not self.scales:
            return super().call(x, training=training)
        scales, moving = functional.values(self.scales), functional.values(self.moving)
        predict, _ = self._network(tf.constant(0), scales, moving, training=training)
        return tf.cast(predict(functional.values(self.learner.trainable_variables), x), self.learner.compute_dtype)

    @property
    def statistics(self) -> list[keras.Variable]:
        """Batch norm's moving averages `[inner_steps + 1, channels]`."""
        return self.moving

    def _split(self, params: functional.Tensors) -> tuple:
        n, m = len(self.learner.trainable_variables), len(self.rates)
        return list(params[:n]), list(params[n : n + m]), list(params[n + m :])

    def _network(self, steps_taken, scales, moving, state=None, training=True):
        """The network after so many inner steps as a function of (weights, inputs); its list takes new averages."""
        at = tf.minimum(steps_taken, self.inner_steps)
        state = functional.values(self.learner.non_trainable_variables) if state is None else list(state)
        for i, table in zip(self._moving_at, moving, strict=True):
            state[i] = tf.gather(table, at)
        seen: list[tf.Tensor] = []

        def predict(weights, x):
            weights = list(weights)
            for i, table in zip(self._scales_at, scales, strict=True):
                weights[i] = tf.gather(table, at)
            with exact_moments():
                outputs, new = self.learner.stateless_call(weights, state, x, training=training)
            seen[:] = [tf.stop_gradient(new[i]) for i in self._moving_at]
            return full_precision(outputs)

        return predict, seen

    def _rates_of(self, step, rates):
        at = tf.minimum(step, self.inner_steps - 1)
        return [tf.gather(rate, at) for rate in rates] if self.learn_rates else self.inner_lr

    def task_gradient(self, params, episode: Episode, salt: tf.Tensor) -> functional.MetaGradient:
        """The gradient of the weighted query losses of one task, by two nested tapes."""
        if not self.first_order_steps:
            return self._task_gradient(params, episode, salt, first_order=False)
        early = self.optimizer.iterations.value < self.first_order_steps
        found = tf.cond(
            early,
            lambda: tuple(self._task_gradient(params, episode, salt, first_order=True)),
            lambda: tuple(self._task_gradient(params, episode, salt, first_order=False)),
        )
        return functional.MetaGradient(*found)

    def _task_gradient(self, params, episode, salt, first_order) -> functional.MetaGradient:
        params = [tf.identity(value) for value in params]
        moving, state = functional.values(self.moving), self._task_state(salt)
        outer_step = self.optimizer.iterations.value
        weights = step_weights(self.inner_steps, outer_step, max(self.multi_step_loss, 1))
        with tf.GradientTape() as outer:
            outer.watch(params)
            theta, rates, scales = self._split(params)

            def judge(steps_taken, fast):
                predict, seen = self._network(steps_taken, scales, moving, state)
                value, outputs = functional.query_loss(predict, fast, episode, loss=self.task_loss)
                return value, outputs, seen

            def update(k, fast, averages):
                predict, seen = self._network(k, scales, moving, state)
                fast, _, _ = functional.inner_update(
                    predict, fast, episode.support_x, episode.support_y,
                    inner_lr=self._rates_of(k, rates), loss=self.task_loss, first_order=first_order,
                    adapted=self._adapted,
                )  # fmt: skip
                return fast, [stack.write(k, new) for stack, new in zip(averages, seen, strict=True)]

            def step(k, fast, total, averages):
                fast, averages = update(k, fast, averages)
                if self.multi_step_loss:
                    total += tf.cond(
                        outer_step < self.multi_step_loss,
                        lambda: tf.cast(tf.gather(weights, k), total.dtype) * judge(k + 1, fast)[0],
                        lambda: tf.zeros([], total.dtype),
                    )
                return k + 1, fast, total, averages

            averages = [
                tf.TensorArray(table.dtype, self.inner_steps + 1, element_shape=table.shape[1:]) for table in moving
            ]
            last_step = self.inner_steps - 1  # after the loop: its queries are judged once, for loss and report
            fast, total = theta, tf.zeros([], theta[0].dtype)
            if last_step:  # XLA cannot do a loop of no rounds
                _, fast, total, averages = tf.while_loop(
                    lambda k, *_: k < last_step,
                    step,
                    (tf.constant(0), fast, total, averages),
                    parallel_iterations=1,
                    maximum_iterations=last_step,  # XLA must know
                )
            fast, averages = update(tf.constant(last_step), fast, averages)
            value, outputs, seen = judge(tf.constant(self.inner_steps), fast)
            last = tf.cast(weights[-1], value.dtype) if self.multi_step_loss else 1.0
            total += last * value
        averages = [stack.write(self.inner_steps, new).stack() for stack, new in zip(averages, seen, strict=True)]
        return functional.MetaGradient(value, gradient(outer, total, params), [], outputs, averages)

    # -- at test time: the state holds the weights and the number of steps taken -------------------------------------
    def first_state(self, episode: Episode):
        """Theta, and no step taken."""
        return super().first_state(episode), tf.constant(0)

    def weights_in(self, state):
        """Fast weights, with batch norm's scales and offsets of as many steps as were taken."""
        weights, taken = state
        weights = list(weights)
        for i, table in zip(self._scales_at, self.scales, strict=True):
            weights[i] = tf.gather(table.value, tf.minimum(taken, self.inner_steps))
        return weights

    def inner_step(self, step: tf.Tensor, state, episode: Episode):
        """One gradient step with the rates and the batch norm of this step."""
        weights, taken = state
        predict, _ = self._network(taken, functional.values(self.scales), functional.values(self.moving))
        weights, _, _ = functional.inner_update(
            predict, weights, episode.support_x, episode.support_y,
            inner_lr=self._rates_of(step, functional.values(self.rates)), loss=self.task_loss, first_order=True,
            adapted=self._adapted,
        )  # fmt: skip
        return weights, taken + 1

    def query_outputs(self, episode: Episode, *, transductive: bool = True) -> tf.Tensor:
        """Outputs on the query set after adaptation; see `AdaptingLearner` and `per_step_batch_norm`."""
        if transductive or not self.moving:
            return super().query_outputs(episode, transductive=transductive)
        fast, scales = self.fast_weights(episode), functional.values(self.scales)
        predict, _ = self._network(
            tf.constant(self.eval_inner_steps), scales, functional.values(self.moving), training=False
        )
        return predict(fast, episode.query_x)

    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""
        if self.moving and not transductive:
            return "moving averages of the inner step"
        return super().batch_norm_mode(transductive=transductive)

    def evaluation_settings(self) -> dict[str, int | float]:
        """Settings at test time that a reader of a score must know; learned rates are weights."""
        return super().evaluation_settings() | ({} if self.learn_rates else {"inner_lr": self.inner_lr})

    def get_config(self):
        """All settings and the learner's own configuration, for `save` and `load_model`."""
        return super().get_config() | {
            "inner_lr": self.inner_lr,
            "learn_rates": self.learn_rates,
            "multi_step_loss": self.multi_step_loss,
            "per_step_batch_norm": self.per_step_batch_norm,
            "first_order_steps": self.first_order_steps,
        }
