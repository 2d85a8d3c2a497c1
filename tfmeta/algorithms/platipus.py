"""PLATIPUS (Finn, Xu, Levine 2018): MAML with a distribution over what the inner loop starts from.

Parameters: the mean mu of the start, a variance for each weight before the task's data are seen (the prior's) and one
after (the posterior's), and two rates. In training the posterior's mean is one gradient step from mu on the queries,
and a start is drawn from it; at test time one step on the support set, and a start is drawn from the prior. Update
rule: gradient descent from the draw. Loss: that of the queries, and the divergence of posterior and prior.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from tfmeta.core import inner_loop
from tfmeta.core.episode import Episode
from tfmeta.core.gaussians import gaussian_kl, sample_gaussian
from tfmeta.core.updates import sgd
from tfmeta.core.validation import check_flags, check_gradient_mode, check_number, check_sizes
from tfmeta.training import averaging, copies
from tfmeta.training.episode_checks import is_classification
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Params, Run, TaskLoss
from tfmeta.training.network_checks import check_network


@keras.saving.register_keras_serializable("tfmeta")
class PLATIPUS(EpisodicLearner):
    """Learns where to start and how unsure to be of it; adapts several models to a task and averages them.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        inner_lr: alpha, the size of an inner step on the *mean* support loss.
        inner_steps: M, inner steps in training, from a start that is drawn.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        samples: models of a task when evaluated or adapted, whose predictions are averaged.
        kl_weight: beta, the weight of the divergence. The loss of a task is the mean over its queries of minus the log
            likelihood, plus beta / n_query times the divergence summed over all weights; 1 is the variational bound.
        noise: standard deviation of the observations of regression, in units of the targets: squared errors are a
            likelihood only with one. Must be given for targets; labels need none.
        initial_std: standard deviation of prior and posterior before training.
        prior_lr: gamma_p before training; `inner_lr` by default. It is learned.
        posterior_lr: gamma_q likewise.
        first_order: treat inner gradients as constants, those of the means, too.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        loss: as for `MAML`; one of your own must be a mean of minus log likelihoods.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built, or a setting is out of range.

    References:
        Finn, Xu, Levine (2018), "Probabilistic Model-Agnostic Meta-Learning", algorithms 1 and 2.
        https://arxiv.org/abs/1806.02817

    Note:
        It trains slowly from a random start; begin with a trained MAML, `PLATIPUS.from_learner(maml)`. The paper weighs
        the divergence by 0.1 against a mean over the points. Its network for curves has 20 learned numbers as a further
        input; this one has what `network` has.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        inner_lr: float = 0.01,
        inner_steps: int = 5,
        eval_inner_steps: int | None = None,
        samples: int = 10,
        kl_weight: float = 1.0,
        noise: float | None = None,
        initial_std: float = 0.02,
        prior_lr: float | None = None,
        posterior_lr: float | None = None,
        first_order: bool = False,
        gradient_mode: str = "nested",
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_number("inner_lr", inner_lr)
        check_sizes(samples=samples)
        check_number("kl_weight", kl_weight)
        check_number("initial_std", initial_std, above=True)
        if noise is not None:
            check_number("noise", noise, above=True)
        for argument, rate in (("prior_lr", prior_lr), ("posterior_lr", posterior_lr)):
            if rate is not None:
                check_number(argument, rate)
        check_flags(first_order=first_order)
        check_gradient_mode(gradient_mode)
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.inner_lr, self.samples, self.kl_weight, self.noise = inner_lr, samples, kl_weight, noise
        self.initial_std, self.first_order, self.gradient_mode = initial_std, first_order, gradient_mode
        self.prior_lr = inner_lr if prior_lr is None else prior_lr
        self.posterior_lr = inner_lr if posterior_lr is None else posterior_lr
        variables = network.trainable_variables

        def weight(called, shape, dtype, value):
            return self.add_weight(
                shape=shape, dtype=dtype, initializer=keras.initializers.Constant(value), name=called
            )

        self.prior_log_variances, self.posterior_log_variances = (
            [
                weight(f"{which}_log_variance_{v.path.replace('/', '_')}", v.shape, v.dtype, 2 * math.log(initial_std))
                for v in variables
            ]
            for which in ("prior", "posterior")
        )
        rates = {"prior_rate": self.prior_lr, "posterior_rate": self.posterior_lr}
        self.rates = [weight(called, (), variables[0].dtype, value) for called, value in rates.items()]

    @classmethod
    def from_learner(cls, learner: EpisodicLearner, **options) -> PLATIPUS:
        """Begin where a trained MAML, or another learner with the same inner loop, has come to.

        Args:
            learner: trained, with `inner_lr`. It is not changed.
            options: further arguments of `PLATIPUS`; `inner_lr`, `inner_steps`, `eval_inner_steps` and the loss are by
                default the learner's.

        Returns:
            A PLATIPUS whose mean is the learner's start.

        Raises:
            TypeError: if the learner has no single inner rate.

        References:
            Finn, Xu, Levine (2018), algorithm 1, theta. https://arxiv.org/abs/1806.02817
        """
        rate = getattr(learner, "inner_lr", None)
        if not isinstance(learner, EpisodicLearner) or not isinstance(rate, int | float):
            raise TypeError(
                "learner must be a MAML or have an inner_lr as it has. "
                f"Received: learner of type {type(learner).__name__}"
            )
        same = {name: getattr(learner, name) for name in ("inner_lr", "inner_steps", "eval_inner_steps")}
        return cls(copies.twin(learner.network), **({"loss": learner.loss_function} | same | options))

    @property
    def method(self) -> Method:
        """Algorithm 1 in training, algorithm 2 at test time."""
        own = {
            "prior": self.prior_log_variances,
            "posterior": self.posterior_log_variances,
            "rates": self.rates,
        }
        return Method.for_network(
            self.network,
            own,
            undecayed=tuple(own),
            start=lambda params, episode, run: self._start(params, episode, run)[0],
            update=lambda params: sgd(self.inner_lr),
            variance=averaging.constant_variance(self.noise),
            task_loss=self._task_loss,
            first_order=self.first_order,
            gradient_mode=self.gradient_mode,
            samples=self.samples,
            settings={"inner_lr": self.inner_lr, "samples": self.samples},
            check=self._check,
        )

    def _check(self, episode: Episode, training: bool) -> None:
        labels = is_classification(episode)
        if labels and self.noise is not None:
            raise ValueError(f"noise is that of targets, and must be None for labels. Received: noise={self.noise}")
        if training and self.noise is None and self.loss_function is None and not labels:
            raise ValueError(
                "noise must be the standard deviation of the observations: squared errors are a likelihood only with "
                "one. Received: noise=None"
            )

    def _start(self, params: Params, episode: Episode, run: Run):
        """What the inner loop begins with, and the divergence of posterior and prior, which training alone needs."""
        mean = list(params["network"])
        prior_rate, posterior_rate = params["rates"]

        def one_step(x, y, rate):
            loss = lambda fast, k: self.loss_of(y, self._outputs(fast, x, run))  # noqa: E731
            first_order = self.first_order or not run.training
            return inner_loop.adapt(loss, mean, sgd(rate), 1, first_order=first_order).params

        prior = one_step(episode.support_x, episode.support_y, prior_rate)
        if not run.training:
            return sample_gaussian(prior, params["prior"], run.key), None
        posterior = one_step(episode.query_x, episode.query_y, posterior_rate)
        divergence = gaussian_kl(posterior, params["posterior"], prior, params["prior"])
        return sample_gaussian(posterior, params["posterior"], run.key), divergence

    def _outputs(self, fast, x, run: Run) -> tf.Tensor:
        return Method.for_network(self.network).outputs(fast, x, run, None)

    def _task_loss(self, params: Params, episode: Episode, run: Run) -> TaskLoss:
        """Algorithm 1: minus the bound of one task."""
        start, divergence = self._start(params, episode, run)
        fast = self.adapted(params, episode, run, start=start).params
        outputs = self._outputs(fast, episode.query_x, run)
        loss = self.loss_of(episode.query_y, outputs)
        n_query = tf.cast(tf.shape(outputs)[0], loss.dtype)
        bound = self.negative_log_likelihood(loss) + self.kl_weight * tf.cast(divergence, loss.dtype) / n_query
        return TaskLoss(bound, outputs, reported=loss)

    def negative_log_likelihood(self, loss: tf.Tensor) -> tf.Tensor:
        """Minus the mean log likelihood in nats of which the loss of a batch is a part.

        Args:
            loss: mean cross-entropy, which it is already; or the mean squared error of targets with `noise`.

        Returns:
            A scalar.
        """
        if self.noise is None:
            return loss
        return loss / (2.0 * self.noise**2) + math.log(self.noise) + 0.5 * math.log(2.0 * math.pi)
