"""MAML++ (Antoniou, Edwards, Storkey 2019): MAML with four repairs, each of which can be switched off.

Parameters: theta, a rate for each tensor and step, and batch norm's scales and offsets of each step. Update rule:
gradient descent with these rates, of all but batch norm. Outer gradient: that of the query losses after every step,
weighted.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.core.exact import exact_derivatives
from tfmeta.core.forward import forward_with_state, values
from tfmeta.core.inner_loop import Watch, meta_gradient
from tfmeta.core.updates import only, per_step, sgd
from tfmeta.core.validation import check_flags, check_gradient_mode, check_number, check_steps
from tfmeta.training import copies
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Run, TaskLoss
from tfmeta.training.network_checks import check_network


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
class MAMLPlusPlus(EpisodicLearner):
    """MAML that trains steadily: learned rates, a loss after every step, batch norm of each step, first order early.

    The fifth part of the paper, an outer rate that falls along a cosine, is an optimizer's affair:
    `compile(optimizer=Adam(CosineDecay(1e-3, steps, alpha=0.01)))`.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        inner_lr: alpha, on the *mean* support loss; where the learned rates start.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default. Steps beyond M use what was
            learned for the last one.
        learn_rates: learn a rate for each parameter tensor and each inner step.
        multi_step_loss: number of outer steps over which the loss moves from all inner steps to the last one (the
            paper's code: 10 to 15 epochs), whose queries alone are judged from then on; 0 for that from the start.
        per_step_batch_norm: batch norm has its own scale, offset and moving averages after each number of inner steps,
            and scale and offset are not adapted.
        single_query: what normalises a query that is judged by itself (`transductive=False`) with batch norm per step:
            `"moving"`, the moving averages of its step, or `"support"`, the statistics of the support set and the
            query, as in `MAML`.
        first_order_steps: number of outer steps at the start that use first-order gradients.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built, or a setting is out of range.

    References:
        Antoniou et al. (2019), "How to train your MAML", section 4. https://arxiv.org/abs/1810.09502

    Note:
        With all four switched off this is `MAML`. Batch norm's sets are counted by the inner steps taken, M + 1 of
        them, where the authors' code has M and shares them between a step's support and query pass.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        inner_lr: float = 0.4,
        inner_steps: int = 5,
        eval_inner_steps: int | None = None,
        learn_rates: bool = True,
        multi_step_loss: int = 1000,
        per_step_batch_norm: bool = True,
        single_query: str = "moving",
        first_order_steps: int = 0,
        gradient_mode: str = "nested",
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_number("inner_lr", inner_lr)
        check_steps(multi_step_loss=multi_step_loss, first_order_steps=first_order_steps)
        check_gradient_mode(gradient_mode)
        check_flags(learn_rates=learn_rates, per_step_batch_norm=per_step_batch_norm)
        if single_query not in ("moving", "support"):
            raise ValueError(f"single_query must be 'moving' or 'support'. Received: single_query={single_query!r}")
        if inner_steps == 0:
            raise ValueError("inner_steps must be a whole number of at least 1. Received: inner_steps=0")
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.inner_lr = inner_lr
        self.learn_rates = learn_rates
        self.multi_step_loss = multi_step_loss
        self.per_step_batch_norm = per_step_batch_norm
        self.single_query = single_query
        self.first_order_steps = first_order_steps
        self.gradient_mode = gradient_mode
        normalisers = copies.batch_norm_layers(network) if per_step_batch_norm else []
        own = {id(v) for layer in normalisers for v in layer.variables}
        trainable, fixed = network.trainable_variables, network.non_trainable_variables
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
    def method(self) -> Method:
        """The inner loop moves theta; batch norm's tables come after theta and stay where they are."""
        by_moving_averages = self.moving and self.single_query == "moving"
        return Method.for_network(
            self.network,
            own={"rates": self.rates, "scales": self.scales},
            undecayed=("rates",),
            start=lambda params, episode, run: [*params["network"], *params["scales"]],
            outputs=lambda fast, x, run, k: self._pass(fast, x, run, k)[0],
            update=self._update,
            support_loss=self._support_loss,
            keep=[tf.TensorSpec(table.shape[1:], table.dtype) for table in self.moving],
            gradient_mode=self.gradient_mode,
            task_gradient=self._task_gradient,
            statistics=self.moving,
            alone=(self._alone, "moving averages of the inner step") if by_moving_averages else None,
            weights=lambda fast, k: self._weights(fast, tf.constant(k)),
            call=self._unadapted if self.scales else None,
            settings={} if self.learn_rates else {"inner_lr": self.inner_lr},
        )

    def _update(self, params):
        """LSLR: a learned rate for each tensor and step."""
        return only(per_step(params["rates"]) if self.learn_rates else sgd(self.inner_lr), self._adapted)

    def _weights(self, fast, k) -> list[tf.Tensor]:
        """The network's weights after k steps: theta with batch norm's scales and offsets of that step."""
        n = len(fast) - len(self.scales)
        weights = list(fast[:n])
        for i, table in zip(self._scales_at, fast[n:], strict=True):
            weights[i] = tf.gather(table, tf.minimum(k, self.inner_steps))
        return weights

    def _pass(self, fast, x, run: Run, k, training: bool = True):
        """Outputs after k steps, and the moving averages of that step as this batch moves them."""
        state = values(self.network.non_trainable_variables) if run.state is None else list(run.state)
        for i, table in zip(self._moving_at, self.moving, strict=True):
            state[i] = tf.gather(table.value, tf.minimum(k, self.inner_steps))
        with exact_derivatives():
            outputs, new = forward_with_state(self.network, self._weights(fast, k), state, x, training=training)
        return outputs, [tf.stop_gradient(new[i]) for i in self._moving_at]

    def _support_loss(self, fast, episode, run: Run, k):
        outputs, averages = self._pass(fast, episode.support_x, run, k)
        loss = self.loss_of(episode.support_y, outputs)
        return (loss, averages) if run.training else loss

    def _task_gradient(self, params, episode, run: Run):
        """First order early, then exact."""

        def gradient(first_order):
            return meta_gradient(lambda params: self._task_loss(params, episode, run, first_order), params)

        if not self.first_order_steps:
            return gradient(False)
        early = tf.convert_to_tensor(self.optimizer.iterations) < self.first_order_steps
        return tf.cond(early, lambda: gradient(True), lambda: gradient(False))

    def _task_loss(self, params, episode, run: Run, first_order: bool) -> TaskLoss:
        """Multi-step loss: the queries after every step, until only those after the last one count."""
        outer_step, steps = tf.convert_to_tensor(self.optimizer.iterations), self.inner_steps
        weights = step_weights(steps, outer_step, max(self.multi_step_loss, 1))
        dtype = params["network"][0].dtype

        def judge(fast, k):
            loss = self.loss_of(episode.query_y, self._pass(fast, episode.query_x, run, k)[0])
            return tf.cast(tf.gather(weights, k - 1), dtype) * tf.cast(loss, dtype)

        def look(fast, k):  # before step k + 1, that is after step k
            counts = tf.logical_and(k > 0, outer_step < self.multi_step_loss)
            return tf.cond(counts, lambda: judge(fast, k), lambda: tf.zeros([], dtype))

        watch = Watch(look, tf.TensorSpec([], dtype)) if self.multi_step_loss and steps > 1 else None
        end = self.adapted(params, episode, run, first_order=first_order, watch=watch)
        outputs, last = self._pass(end.params, episode.query_x, run, tf.constant(steps))
        loss = self.loss_of(episode.query_y, outputs)
        total = tf.cast(weights[-1], loss.dtype) * loss if self.multi_step_loss else loss
        if watch is not None:
            total += tf.cast(tf.reduce_sum(end.seen), loss.dtype)
        averages = [tf.concat([before, after[None]], axis=0) for before, after in zip(end.kept, last, strict=True)]
        return TaskLoss(total, outputs, averages, reported=loss)

    def _alone(self, fast, episode, run: Run, k):
        """Outputs on queries that are normalised by the moving averages of the step."""
        return self._pass(fast, episode.query_x, run, k, training=False)[0]

    def _unadapted(self, x, training):
        """The network's own output, with the batch norm of no step; leaves the state as it is."""
        fast = values([*self.network.trainable_variables, *self.scales])
        return tf.cast(self._pass(fast, x, Run(), tf.constant(0), training)[0], self.network.compute_dtype)
