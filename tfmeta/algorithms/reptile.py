"""Reptile (Nichol, Achiam, Schulman 2018): train on a task, then move a little towards where that led."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.core.forward import gradient
from tfmeta.training import inputs, outer_loop

# Adam's second-moment decay and its guard against division by zero, TensorFlow's values as in the authors' code.
_BETA_2, _EPSILON = 0.999, 1e-8


def reptile_update(
    params: functional.Tensors, fast_weights: functional.Tensors, outer_lr: float | tf.Tensor
) -> list[tf.Tensor]:
    """Move the initial parameters towards the mean of the adapted ones.

    Args:
        params: theta, tensors.
        fast_weights: theta' of every task, tensors like `params` with a leading axis `[meta_batch_size]`.
        outer_lr: epsilon; 1 takes the mean itself.

    Returns:
        The new theta: `theta + epsilon * mean(theta'_i - theta)`.

    References:
        Nichol et al. (2018), algorithm 2. https://arxiv.org/abs/1803.02999
    """
    return [w + outer_lr * tf.reduce_mean(f - w, axis=0) for w, f in zip(params, fast_weights, strict=True)]


def adam_update(
    params: functional.Tensors,
    gradients: functional.Tensors,
    moments: functional.Tensors,
    *,
    count: int | tf.Tensor,
    learning_rate: float,
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """One step of Adam with beta1 = 0: a gradient divided by the root of a running mean of its squares.

    Args:
        params: theta, tensors.
        gradients: of the loss, tensors like `params`.
        moments: running means of squared gradients, tensors like `params`; zeros at first.
        count: number of steps that the moments have seen, this one included, from 1.
        learning_rate: step size.

    Returns:
        The new theta, and the new moments.

    References:
        Kingma, Ba (2015), section 2, the rate with both corrections. https://arxiv.org/abs/1412.6980; Nichol et al.
        (2018), section 6.1, for beta1 = 0.
    """
    count = tf.cast(count, params[0].dtype)
    # tf.cast would round 0.999 to float32 on its way to float64.
    rate = learning_rate * tf.sqrt(1.0 - tf.convert_to_tensor(_BETA_2, count.dtype) ** count)
    moments = [_BETA_2 * v + (1.0 - _BETA_2) * g**2 for v, g in zip(moments, gradients, strict=True)]
    moved = [
        w - tf.cast(rate, w.dtype) * g / (tf.sqrt(v) + _EPSILON)
        for w, g, v in zip(params, gradients, moments, strict=True)
    ]
    return moved, moments


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
            f"a mini-batch must be at most the {n} support images of an episode. Received: batch_size={batch_size}"
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
class Reptile(outer_loop.MetaLearner):
    """Learns initial parameters near to those of every task, from the end points of ordinary training alone.

    The compiled optimizer is given `theta - mean(theta')` as the gradient, so `SGD(epsilon)` is the paper's outer step;
    `SGD(PolynomialDecay(1.0, steps, end_learning_rate=0.0))` lets it fall to 0 as in the experiments. A meta-batch of 1
    is the serial version, larger ones the batched version.

    Training looks at the support set only; use episodes of more shots than at test time (`k_shot=10` for 1-shot) and
    `n_query=1`. The queries serve for the accuracy in the progress bar.

    Args:
        learner: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
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
        TypeError: if the learner is no Keras model.
        ValueError: if the learner is not built, or a setting is out of range.

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
        learner: keras.Model,
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
        inputs.check_network(learner, "learner")
        inputs.check_number("inner_lr", inner_lr)
        if eval_inner_batch_size is None:
            eval_inner_batch_size = inner_batch_size
        for which, size in (
            ("inner_batch_size", inner_batch_size), ("eval_inner_batch_size", eval_inner_batch_size)
        ):  # fmt: skip
            if size is not None:
                inputs.check_steps(**{which: size})
                inputs.check_number(which, size, above=True)
        if inner_optimizer not in ("adam", "sgd"):
            raise ValueError(f"inner_optimizer must be 'adam' or 'sgd'. Received: inner_optimizer={inner_optimizer!r}")
        super().__init__(learner, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.inner_lr = inner_lr
        self.inner_batch_size = None if inner_batch_size is None else int(inner_batch_size)
        self.eval_inner_batch_size = None if eval_inner_batch_size is None else int(eval_inner_batch_size)
        self.inner_optimizer = inner_optimizer
        self.carry_moments = bool(carry_moments)
        self.moments, self.moment_steps = [], []
        if self.carry_moments and inner_optimizer == "adam":
            self.moments = [
                self._statistic(f"moment_{v.path.replace('/', '_')}", v.shape, v.dtype)
                for v in learner.trainable_variables
            ]
            self.moment_steps = [self._statistic("moment_steps", (), "float32")]

    def _statistic(self, name, shape, dtype):
        return self.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, name=name)

    @property
    def statistics(self) -> list[keras.Variable]:
        """Adam's second moments, if they are carried on, and the number of inner steps that they have seen."""
        return [*self.moments, *self.moment_steps]

    def _first_moments(self, theta: functional.Tensors) -> list[tf.Tensor]:
        return functional.values(self.moments) or [tf.zeros_like(weight) for weight in theta]

    def first_state(self, episode: Episode):
        """Theta, and the second moments that tasks start from."""
        theta = super().first_state(episode)
        return theta, self._first_moments(theta)

    def weights_in(self, state) -> list[tf.Tensor]:
        """The fast weights in a state."""
        return state[0]

    def inner_step(self, step: tf.Tensor, state, episode: Episode):
        """One step of the inner optimizer on a mini-batch of the support set, in the same order for every task."""
        seed = tf.zeros([2], tf.int64)
        return self._update(step, state, episode, seed, self.eval_inner_batch_size, None)

    def _update(self, step, state, episode: Episode, seed, batch_size, non_trainable):
        theta, moments = state
        x, y = episode.support_x, episode.support_y
        if batch_size is not None:
            n = y.shape[0] or tf.shape(y)[0]  # a plain number where it is known, which is checked
            rows = mini_batch(n, batch_size, step, seed)
            x, y = tf.gather(x, rows), tf.gather(y, rows)
        # Not read off the difference that an inner_update makes: rounding loses gradients much smaller than the
        # weights, and Adam, which divides by their size, makes as much of them as of large ones.
        with tf.GradientTape() as tape:
            tape.watch(theta)
            loss = self.task_loss(y, functional.forward(self.learner, theta, x, non_trainable=non_trainable))
        gradients = gradient(tape, loss, theta)
        if self.inner_optimizer == "sgd":
            return [w - self.inner_lr * g for w, g in zip(theta, gradients, strict=True)], moments
        before = self.moment_steps[0].value if self.moment_steps else 0.0
        count = before + tf.cast(step + 1, tf.float32)
        return adam_update(theta, gradients, moments, count=count, learning_rate=self.inner_lr)

    def task_gradient(self, params, episode: Episode, salt: tf.Tensor) -> functional.MetaGradient:
        """`theta - theta'`, whose mean over tasks is the paper's outer direction; the loss is that of the queries."""
        seed = tf.stack([tf.cast(salt, tf.int64), tf.constant(1, tf.int64)])
        state = self._task_state(salt)
        first = (list(params), self._first_moments(params))
        _, (fast, moments) = tf.while_loop(
            lambda k, _: k < self.inner_steps,
            lambda k, s: (k + 1, self._update(k, s, episode, seed, self.inner_batch_size, state)),
            (tf.constant(0), first),
            parallel_iterations=1,
        )
        loss, outputs = functional.query_loss(self.learner, fast, episode, loss=self.task_loss, non_trainable=state)
        seen = [*moments, self.moment_steps[0].value + float(self.inner_steps)] if self.moment_steps else []
        return functional.MetaGradient(loss, [w - f for w, f in zip(params, fast, strict=True)], [], outputs, seen)

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch that does not fit the learner, or has fewer support images than a mini-batch."""
        super().check_episode(episode)
        self._check_size("eval_inner_batch_size", episode)

    def check_training_episode(self, episode: Episode) -> None:
        """The same for a meta-batch of `fit`, which usually has more shots than one of a test."""
        super().check_episode(episode)
        self._check_size("inner_batch_size", episode)

    def _check_size(self, name: str, episode: Episode) -> None:
        size, n_support = getattr(self, name), episode.support_y.shape[1]
        if None not in (size, n_support) and size > n_support:
            raise ValueError(
                f"{name} must be at most the {n_support} support images of an episode. Received: {name}={size}"
            )

    def evaluation_settings(self) -> dict[str, int | float | str]:
        """Settings at test time that a reader of a score must know."""
        found = super().evaluation_settings() | {"inner_lr": self.inner_lr, "inner_optimizer": self.inner_optimizer}
        if self.inner_optimizer == "adam" and not self.carry_moments:
            found |= {"moments": "from zero"}
        return found if self.eval_inner_batch_size is None else found | {"inner_batch": self.eval_inner_batch_size}

    def get_config(self):
        """All settings and the learner's own configuration, for `save` and `load_model`."""
        return super().get_config() | {
            "inner_lr": self.inner_lr,
            "inner_batch_size": self.inner_batch_size,
            "eval_inner_batch_size": self.eval_inner_batch_size,
            "inner_optimizer": self.inner_optimizer,
            "carry_moments": self.carry_moments,
        }
