"""ALPaCA (Harrison, Sharma, Pavone 2018): a network's last layer is Bayesian, and adapts in closed form.

Parameters: phi, those of the network that makes features, and the prior of the last layer: its mean, its precision, the
variance of the noise. There are no inner steps: a task's posterior is exact. Loss: minus the log likelihood of the
queries under the posterior's prediction.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from tfmeta.core.bayesian_linear import bayesian_linear, predictive_factor
from tfmeta.core.episode import Episode
from tfmeta.core.forward import Tensors, forward
from tfmeta.core.likelihood import gaussian_nll
from tfmeta.core.validation import check_number, check_sizes, check_steps
from tfmeta.training import copies, network_checks
from tfmeta.training.episode_checks import is_classification
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Params, Run, TaskLoss


@keras.saving.register_keras_serializable("tfmeta")
class BayesianLinearRegressor(EpisodicLearner):
    """Learns features and a prior, with which a few points of a curve give an exact posterior and an honest variance.

    Args:
        encoder: any built Keras model, `[batch, ...]` to features `[batch, dim]`. A constant 1 is added to them.
        n_outputs: of a target.
        noise: standard deviation of the observations in units of the targets; by default it is learned, one for each
            output.
        initial_precision: of the prior before training, the same for all weights, in units of the noise's.
        fewest_points: in training each task keeps a random number of its support points, this many at least, so that
            the prior is learned for small supports, too; all of them by default. 0 also trains the prior itself.
        name: Keras name.

    Raises:
        TypeError: if the encoder is not a Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, or a setting is out of range.

    References:
        Harrison, Sharma, Pavone (2018), "Meta-Learning Priors for Efficient Online Bayesian Regression", algorithm 1.
        https://arxiv.org/abs/1807.08912

    Note:
        Batch norm has the statistics of the batch that it sees, as in `MAML`.
    """

    def __init__(
        self,
        encoder: keras.Model,
        *,
        n_outputs: int = 1,
        noise: float | None = None,
        initial_precision: float = 1.0,
        fewest_points: int | None = None,
        name: str | None = None,
    ):
        network_checks.check_network(encoder, "encoder")
        network_checks.check_embedding(encoder)
        check_sizes(n_outputs=n_outputs)
        check_number("initial_precision", initial_precision, above=True)
        if noise is not None:
            check_number("noise", noise, above=True)
        if fewest_points is not None:
            check_steps(fewest_points=fewest_points)
        super().__init__(encoder, name=name)
        self.encoder, self.n_outputs, self.noise = encoder, n_outputs, noise
        self.initial_precision, self.fewest_points = float(initial_precision), fewest_points
        shape, dtype = network_checks.known_shape(encoder, "output_shape"), encoder.variables[0].dtype
        if shape is None or shape[-1] is None:
            raise ValueError(
                "the encoder must know the width of its features: make it a functional Keras model. "
                f"Received: encoder={encoder.name!r} of type {type(encoder).__name__}"
            )
        dim = shape[-1] + 1
        self.prior_mean = self.add_weight(shape=(dim, n_outputs), dtype=dtype, initializer="zeros", name="prior_mean")
        # Lambda_0 = L L': positive definite whatever the outer loop makes of L, but for a diagonal that passes 0.
        self.prior_root = self.add_weight(shape=(dim, dim), dtype=dtype, initializer="zeros", name="prior_root")
        self.prior_root.assign(math.sqrt(initial_precision) * tf.eye(dim, dtype=dtype))
        self.log_variance = self.add_weight(shape=(n_outputs,), dtype=dtype, initializer="zeros", name="log_variance",
                                            trainable=noise is None)  # fmt: skip
        if noise is not None:
            self.log_variance.assign(tf.fill([n_outputs], tf.constant(2.0 * math.log(noise), dtype)))

    @property
    def method(self) -> Method:
        """Algorithm 1."""
        own = {"prior": [self.prior_mean, self.prior_root]}
        if self.noise is None:
            own["noise"] = [self.log_variance]
        return Method.for_network(
            self.encoder,
            own,
            undecayed=tuple(own),
            label="ALPaCA",
            start=self._start,
            outputs=lambda fast, x, run, k: self._features(fast, x, run) @ fast[-3],
            variance=self._variance,
            n_outputs=self.n_outputs,
            task_loss=self._task_loss,
            to_keras=self._to_keras,
            call=lambda x, training: self._with_one(self.encoder(x, training=training)) @ self.prior_mean,
            check=self._check,
        )

    def _check(self, episode: Episode, training: bool) -> None:
        if is_classification(episode):
            raise ValueError(
                "targets must be floating-point numbers; RidgeClassifier takes labels. "
                f"Received: support_y with dtype={episode.support_y.dtype.name}"
            )

    def _with_one(self, features: tf.Tensor) -> tf.Tensor:
        features = tf.cast(features, self.prior_mean.dtype)
        return tf.concat([features, tf.ones_like(features[:, :1])], axis=1)

    def _features(self, fast: Tensors, x, run: Run) -> tf.Tensor:
        return self._with_one(
            forward(self.encoder, fast[: len(self.encoder.trainable_variables)], x, non_trainable=run.state)
        )

    def _start(self, params: Params, episode: Episode, run: Run) -> list[tf.Tensor]:
        """Phi, and after it the posterior's mean `[dim, n_outputs]`, precision `[dim, dim]`, and the log variance."""
        theta = list(params["network"])
        mean, root = params["prior"]
        log_variance = params["noise"][0] if self.noise is None else tf.convert_to_tensor(self.log_variance)
        features, targets = self._features(theta, episode.support_x, run), tf.cast(episode.support_y, mean.dtype)
        if run.training and self.fewest_points is not None:
            kept = self._kept(tf.shape(targets)[0], run)[:, None]
            features, targets = kept * features, kept * targets  # a point of zeros says nothing
        root = tf.linalg.band_part(root, -1, 0)
        posterior = bayesian_linear(features, targets, mean, tf.matmul(root, root, transpose_b=True))
        return [*theta, *posterior, log_variance]

    def _kept(self, n_support: tf.Tensor, run: Run) -> tf.Tensor:
        """1 for the first points of a random number, 0 for the others, `[n_support]`."""
        seed = tf.stack([tf.cast(run.key, tf.int64), tf.constant(11, tf.int64)])
        fewest = tf.minimum(self.fewest_points, n_support)
        count = tf.random.stateless_uniform([], seed, minval=fewest, maxval=n_support + 1, dtype=tf.int32)
        return tf.cast(tf.range(n_support) < count, self.prior_mean.dtype)

    def _variance(self, fast: Tensors, x, run: Run, k) -> tf.Tensor:
        """Variance of an observation `[batch, n_outputs]`: that of the noise, and of the weights."""
        precision, log_variance = fast[-2:]
        return predictive_factor(self._features(fast, x, run), precision)[:, None] * tf.exp(log_variance)

    def _task_loss(self, params: Params, episode: Episode, run: Run) -> TaskLoss:
        """The loss of algorithm 1 for one task."""
        fast = self._start(params, episode, run)
        features = self._features(fast, episode.query_x, run)
        means = features @ fast[-3]
        variances = predictive_factor(features, fast[-2])[:, None] * tf.exp(fast[-1])
        return TaskLoss(
            gaussian_nll(episode.query_y, means, variances), means, reported=self.loss_of(episode.query_y, means)
        )

    def _to_keras(self, fast: Tensors, support_x, support_y) -> keras.Model:
        """A copy of the encoder with the posterior's mean as its head."""
        *theta, mean, _, _ = fast
        return copies.with_linear_head(self.encoder, theta, mean[:-1], mean[-1], support_x, name="posterior_mean")
