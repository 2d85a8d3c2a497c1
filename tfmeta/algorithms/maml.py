"""Model-agnostic meta-learning (Finn, Abbeel, Levine 2017), exact and first-order.

Parameters: theta, those of the network. Update rule: gradient descent. Outer gradient: that of the query loss at the
fast weights, through every inner step; FOMAML treats the inner gradients as constants.
"""

from __future__ import annotations

import keras

from tfmeta.core.losses import query_loss
from tfmeta.core.updates import Update, clipped, sgd
from tfmeta.core.validation import check_flags, check_gradient_mode, check_number
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, TaskLoss
from tfmeta.training.network_checks import check_network


@keras.saving.register_keras_serializable("tfmeta")
class MAML(EpisodicLearner):
    """Learns initial parameters from which a few gradient steps solve a new task.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs.
        inner_lr: alpha, the size of an inner gradient step on the *mean* support loss.
        inner_steps: M, inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        first_order: FOMAML, which treats the inner gradients as constants.
        gradient_mode: `"nested"` or `"mixed"`, two ways to the same exact gradient: nested tapes are faster, mixed mode
            needs memory that does not grow with `inner_steps`.
        inner_clip_norm: scale an inner step's gradient down to this global norm where it is longer. (The outer loop's
            gradient is clipped by the optimizer: `Adam(global_clipnorm=...)`.)
        adversarial_epsilon: add FGSM examples to the query loss of training; see `functional.query_loss`.
        loss: function of (targets, outputs), a Keras loss or its name. By default cross-entropy of logits for integer
            labels and mean squared error otherwise.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built, or a setting is out of range.

    References:
        Finn et al. (2017), "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", algorithm 2.
        https://arxiv.org/abs/1703.03400

    Note:
        As in the authors' code, batch norm uses the statistics of the batch it sees in both loops and at test time; its
        moving averages are never used. Which queries it sees together is `transductive` in `tfmeta.evaluate`. A layer's
        regularisation losses are part of neither loop. Dropout keeps one mask through the steps of a task and is off
        in evaluation.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        inner_lr: float = 0.4,
        inner_steps: int = 1,
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
        self.inner_lr = inner_lr
        self.first_order = first_order
        self.gradient_mode = gradient_mode
        self.inner_clip_norm = inner_clip_norm
        self.adversarial_epsilon = adversarial_epsilon

    @property
    def method(self) -> Method:
        """Equation 1 as the update rule, equation 2 as the loss."""
        return Method.for_network(
            self.network,
            update=lambda params: gradient_descent(self.inner_lr, self.inner_clip_norm),
            first_order=self.first_order,
            gradient_mode=self.gradient_mode,
            task_loss=adversarial_loss(self, self.adversarial_epsilon),
            settings=rate_settings(self.inner_lr, self.inner_clip_norm),
            label="FOMAML" if self.first_order else "MAML",
        )


def check_options(inner_lr, gradient_mode, inner_clip_norm, adversarial_epsilon) -> None:
    """Refuse options of MAML and its relatives that are out of range.

    Args:
        inner_lr: as for `MAML`.
        gradient_mode: as for `MAML`.
        inner_clip_norm: as for `MAML`.
        adversarial_epsilon: as for `MAML`.

    Raises:
        ValueError: naming the option.
    """
    check_number("inner_lr", inner_lr)
    check_number("adversarial_epsilon", adversarial_epsilon)
    check_gradient_mode(gradient_mode)
    if inner_clip_norm is not None:
        check_number("inner_clip_norm", inner_clip_norm, above=True)


def gradient_descent(inner_lr: float, clip_norm: float | None = None) -> Update:
    """MAML's update rule: theta' = theta - alpha * gradient of the support loss.

    Args:
        inner_lr: alpha.
        clip_norm: scale gradients down to this global norm where they are longer.

    Returns:
        The update rule.

    References:
        Finn et al. (2017), equation 1. https://arxiv.org/abs/1703.03400
    """
    rule = sgd(inner_lr)
    return rule if clip_norm is None else clipped(rule, clip_norm)


def adversarial_loss(learner: EpisodicLearner, epsilon: float):
    """The query loss with FGSM examples beside the queries.

    Args:
        learner: whose inner loop and outputs are used.
        epsilon: as `adversarial_epsilon` of `MAML`.

    Returns:
        A function for `Method.task_loss`; None for an epsilon of 0.

    References:
        Goodfellow et al. (2015), section 5. https://arxiv.org/abs/1412.6572
    """
    if not epsilon:
        return None

    def task_loss(params, episode, run):
        fast = learner.adapted(params, episode, run).params
        predict = lambda fast, x: learner.method.outputs(fast, x, run, learner.inner_steps)  # noqa: E731
        value, outputs = query_loss(predict, fast, episode, loss=learner.loss_of, adversarial_epsilon=epsilon)
        return TaskLoss(value, outputs)

    return task_loss


def rate_settings(inner_lr: float, clip_norm: float | None) -> dict[str, float]:
    """What a reader of a score must know of the update rule.

    Args:
        inner_lr: alpha.
        clip_norm: of inner gradients; None for none.

    Returns:
        name -> value.
    """
    return {"inner_lr": inner_lr} | ({} if clip_norm is None else {"inner_clip_norm": clip_norm})
