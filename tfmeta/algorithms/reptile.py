"""Reptile (Nichol, Achiam, Schulman 2018): train on a task, then move a little towards where that led.

Parameters: theta. Update rule: Adam without its first moment, or gradient descent, on mini-batches of the support set.
Outer gradient: theta - theta', in place of a derivative.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.forward import Tensors, values
from tfmeta.core.updates import adam, sgd
from tfmeta.core.validation import check_flags, check_number, check_rate, check_sequence, check_steps
from tfmeta.core.words import counted
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Run, TaskLoss
from tfmeta.training.network_checks import check_network


def reptile_update(params: Tensors, fast_weights: Tensors, outer_lr: float | tf.Tensor) -> list[tf.Tensor]:
    """Move the initial parameters towards the mean of the adapted ones.

    Args:
        params: theta, tensors.
        fast_weights: theta' of every task, tensors like `params` with a leading axis `[meta_batch_size]`.
        outer_lr: epsilon; 1 takes the mean itself.

    Returns:
        The new theta: `theta + epsilon * mean(theta'_i - theta)`.

    Raises:
        TypeError: if one of the two is no sequence.
        ValueError: if there are not as many tensors in both, or epsilon is no finite number of at least 0.

    References:
        Nichol et al. (2018), algorithm 2. https://arxiv.org/abs/1803.02999
    """
    check_sequence("params", params)
    check_sequence("fast_weights", fast_weights)
    check_rate("outer_lr", outer_lr)
    if len(params) != len(fast_weights):
        raise ValueError(
            f"fast_weights must be {counted(len(params), 'tensor')}, like params. "
            f"Received: fast_weights with {len(fast_weights)}"
        )
    return [w + outer_lr * tf.reduce_mean(f - w, axis=0) for w, f in zip(params, fast_weights, strict=True)]


def mini_batch(n: int | tf.Tensor, batch_size: int, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Which examples an inner step sees: the support set in a random order, again and again, cut into batches.

    Args:
        n: size of the support set.
        batch_size: at most `n`.
        step: number of the inner step, from 0.
        seed: integers `[2]`; the same seed gives the same batches.

    Returns:
        Integers `[batch_size]`. In each pass over the support set every example comes once.

    Raises:
        ValueError: if `batch_size` exceeds `n`, where `n` is a plain number.

    References:
        Nichol et al. (2018), section 6: mini-batches without replacement. https://arxiv.org/abs/1803.02999
    """
    if isinstance(n, int) and batch_size > n:
        raise ValueError(
            f"a mini-batch must be at most the {counted(n, 'support image')} of an episode. "
            f"Received: batch_size={batch_size}"
        )
    n, step = tf.cast(n, tf.int32), tf.cast(step, tf.int32)
    places = step * batch_size + tf.range(batch_size)
    first_pass = places[0] // n

    def order(number):
        key = tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), tf.cast(number, tf.int64))
        return tf.argsort(tf.random.stateless_uniform([n], key))

    # A batch touches two passes at most.
    return tf.gather(tf.concat([order(first_pass), order(first_pass + 1)], axis=0), places - first_pass * n)


@keras.saving.register_keras_serializable("tfmeta")
class Reptile(EpisodicLearner):
    """Learns initial parameters near to those of every task, from the end points of ordinary training alone.

    The compiled optimizer is given `theta - mean(theta')` as the gradient, so `SGD(epsilon)` is the paper's outer step;
    `SGD(PolynomialDecay(1.0, steps, end_learning_rate=0.0))` lets it fall to 0 as in the experiments. A meta-batch of 1
    is the serial version, larger ones the batched version.

    Training looks at the support set only; use episodes of more shots than at test time (`k_shot=10` for 1-shot) and
    `n_query=1`. The queries serve for the accuracy in the progress bar.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        inner_lr: the inner optimizer's step size, on the mean loss of a mini-batch.
        inner_steps: inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        inner_batch_size: examples in an inner step in training; the whole support set by default.
        eval_inner_batch_size: the same when evaluated or adapted; `inner_batch_size` by default.
        inner_optimizer: `"adam"` (with beta1 = 0, so that no momentum is carried over) or `"sgd"`.
        carry_moments: let Adam's second moments go on from task to task, as in the authors' code: they then know how
            large a gradient usually is, and a weight that matters little moves little. Else they start from zero in
            every task, and the first inner step moves every weight by `inner_lr`. Doubles what is saved.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built, or a setting is out of range.

    References:
        Nichol et al. (2018), "On First-Order Meta-Learning Algorithms", algorithms 1 and 2, table 4.
        https://arxiv.org/abs/1803.02999

    Note:
        With mini-batches at test time the order of the support set matters: it says which images a step sees.

        The tasks of a meta-batch run side by side: all start from the same moments, and the mean of where theirs ended
        goes on. In the authors' code they take turns, each with the moments of the one before. Testing uses the moments
        of training and leaves them alone.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        inner_lr: float = 1e-3,
        inner_steps: int = 5,
        eval_inner_steps: int | None = None,
        inner_batch_size: int | None = None,
        eval_inner_batch_size: int | None = None,
        inner_optimizer: str = "adam",
        carry_moments: bool = True,
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_number("inner_lr", inner_lr)
        check_flags(carry_moments=carry_moments)
        if eval_inner_batch_size is None:
            eval_inner_batch_size = inner_batch_size
        for which, size in (
            ("inner_batch_size", inner_batch_size), ("eval_inner_batch_size", eval_inner_batch_size)
        ):  # fmt: skip
            if size is not None:
                check_steps(**{which: size})
                check_number(which, size, above=True)
        if inner_optimizer not in ("adam", "sgd"):
            raise ValueError(f"inner_optimizer must be 'adam' or 'sgd'. Received: inner_optimizer={inner_optimizer!r}")
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.inner_lr = inner_lr
        self.inner_batch_size = None if inner_batch_size is None else int(inner_batch_size)
        self.eval_inner_batch_size = None if eval_inner_batch_size is None else int(eval_inner_batch_size)
        self.inner_optimizer = inner_optimizer
        self.carry_moments = bool(carry_moments)
        self.moments, self.moment_steps = [], []
        if self.carry_moments and inner_optimizer == "adam":
            self.moments = [
                self._statistic(f"moment_{v.path.replace('/', '_')}", v.shape, v.dtype)
                for v in network.trainable_variables
            ]
            self.moment_steps = [self._statistic("moment_steps", (), "float32")]

    def _statistic(self, name, shape, dtype):
        return self.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, name=name)

    @property
    def method(self) -> Method:
        """Algorithm 2. Tasks hand on Adam's second moments, and their number of steps."""
        batch = {} if self.eval_inner_batch_size is None else {"inner_batch": self.eval_inner_batch_size}
        fresh = self.inner_optimizer == "adam" and not self.carry_moments
        return Method.for_network(
            self.network,
            update=lambda params: self._update(),
            support_loss=self._support_loss,
            first_order=True,
            task_gradient=self._task_gradient,
            statistics=[*self.moments, *self.moment_steps],
            settings={"inner_lr": self.inner_lr, "inner_optimizer": self.inner_optimizer}
            | ({"moments": "from zero"} if fresh else {})
            | batch,
            check=self._check_size,
        )

    def _update(self):
        if self.inner_optimizer == "sgd":
            return sgd(self.inner_lr)
        if not self.moments:
            return adam(self.inner_lr)
        return adam(self.inner_lr, moments=values(self.moments), count=self.moment_steps[0].value)

    def _support_loss(self, fast, episode: Episode, run: Run, k):
        """The loss on a mini-batch; at test time in the same order for every task."""
        size = self.inner_batch_size if run.training else self.eval_inner_batch_size
        x, y = episode.support_x, episode.support_y
        if size is not None:
            one = tf.constant(1, tf.int64)
            seed = tf.stack([tf.cast(run.key, tf.int64), one]) if run.training else tf.zeros([2], tf.int64)
            n = y.shape[0] or tf.shape(y)[0]  # a plain number where it is known, which is checked
            rows = mini_batch(n, size, k, seed)
            x, y = tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), (x, y))
        return self.loss_of(y, self.method.outputs(fast, x, run, k))

    def _task_gradient(self, params, episode: Episode, run: Run):
        """`theta - theta'`, whose mean over tasks is the paper's outer direction; the loss is that of the queries."""
        end = self.adapted(params, episode, run, first_order=True)
        outputs = self.method.outputs(end.params, episode.query_x, run, self.inner_steps)
        seen = [*end.state, self.moment_steps[0].value + float(self.inner_steps)] if self.moment_steps else []
        direction = [w - f for w, f in zip(params["network"], end.params, strict=True)]
        return TaskLoss(self.loss_of(episode.query_y, outputs), outputs, seen), {"network": direction}

    def _check_size(self, episode: Episode, training: bool) -> None:
        """Refuse a meta-batch with fewer support images than a mini-batch."""
        name = "inner_batch_size" if training else "eval_inner_batch_size"
        size, n_support = getattr(self, name), episode.support_y.shape[1]
        if None not in (size, n_support) and size > n_support:
            raise ValueError(
                f"{name} must be at most the {counted(n_support, 'support image')} of an episode. "
                f"Received: {name}={size}"
            )
