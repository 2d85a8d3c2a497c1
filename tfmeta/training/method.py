"""What a method says of one task. The shell `EpisodicLearner` does the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.forward import Tensors, forward
from tfmeta.core.updates import Update

# Named groups of what the outer loop learns: {"network": [...], "rates": [...]}.
Params = Mapping[str, Tensors]


class Run(NamedTuple):
    """How one task is run.

    Args:
        training: whether the outer loop learns from the task, or it is met at test time.
        key: the task's randomness, an integer scalar of its own; None where nothing is random.
        state: values of the network's non-trainable variables; None for the present ones.
    """

    training: bool = False
    key: tf.Tensor | None = None
    state: Tensors | None = None


class TaskLoss(NamedTuple):
    """What the outer loop lowers on one task.

    Args:
        value: the loss, a scalar: that of the queries, and whatever terms a method adds.
        outputs: on the queries `[n_way * n_query, n_outputs]`, for the accuracy that is reported.
        statistics: new values of the method's `statistics`.
        reported: what the progress bar calls the loss; `value` by default.
    """

    value: tf.Tensor
    outputs: tf.Tensor
    statistics: Tensors = ()
    reported: tf.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Method:
    """Parameters, update rule, loss and outer gradient of a method, as functions of one task.

    `params` are the values of `parameters`, in the same groups. `fast` is a list of tensors: what `start` gave, moved
    by the inner loop. `k` is the number of inner steps taken.

    Args:
        parameters: what the outer loop learns, named groups of variables.
        start: (params, episode, run) to what the inner loop begins with. It may append tensors to the parameters, such
            as a head or features of the support set.
        outputs: (fast, x, run, k) to outputs `[batch, n_outputs]` for inputs `[batch, ...]`.
        variance: (fast, x, run, k) to the variance of an observation around `outputs`, `[batch, n_outputs]`; None for a
            method that does not say how sure it is.
        update: params to the update rule of the inner loop; None for a method that has none.
        support_loss: (fast, episode, run, k) to the loss that the inner loop lowers, or to a pair of it and what is to
            be kept. By default the learner's loss of `outputs` on the support set.
        keep: `tf.TensorSpec`s of what `support_loss` keeps in training.
        seen: what the method looks at instead of an episode at test time, such as embeddings made once.
        first_order: treat inner gradients as constants.
        gradient_mode: `"nested"` or `"mixed"`, two tapes or constant memory.
        task_loss: (params, episode, run) to a `TaskLoss`. By default the query loss after the inner loop.
        task_gradient: (params, episode, run) to a `TaskLoss` and its outer gradient, nested like `params`. By default
            the exact derivative of `task_loss`.
        statistics: variables that take the mean over tasks of `TaskLoss.statistics`.
        undecayed: groups of parameters that an optimizer's weight decay leaves alone.
        learn: an outer step on other data than episodes, a batch of `fit` to what is reported.
        check_data: refuses a dataset that `learn` cannot take.
        n_outputs: width of `outputs` where it is neither the network's nor the number of a task's classes.
        makes_head: whether outputs are as wide as a task has classes: then labels must be integers.
        inference: whether the network runs in inference mode at test time, so that queries do not see each other.
        alone: (fast, episode, run, k) to outputs on queries that do not see each other, and in words the statistics
            that batch norm then uses. By default each query is judged in a batch with the support set.
        scores: whether outputs have a loss, or only an accuracy.
        samples: adapted models per task, each with a key of its own, whose predictions are averaged.
        weights: (fast, k) to what `fast_weights` gives; by default `fast` itself.
        to_keras: (fast, support_x, support_y, k) to an ordinary Keras model; by default a copy of the network.
        call: (x, training) to the network's output before any adaptation; by default that of the network.
        settings: those at test time that a reader of a score must know.
        label: what papers call the method with the learner's present settings, such as "FOMAML"; by default the
            learner's class.
        check: (episode, training) refuses a meta-batch that does not fit the method.

    References:
        Finn et al. (2017), algorithm 2. https://arxiv.org/abs/1703.03400
    """

    parameters: Mapping[str, Sequence[keras.Variable]]
    start: Callable[[Params, Episode, Run], Tensors]
    outputs: Callable[[Tensors, tf.Tensor, Run, tf.Tensor], tf.Tensor]
    variance: Callable[[Tensors, tf.Tensor, Run, tf.Tensor], tf.Tensor] | None = None
    update: Callable[[Params], Update] | None = None
    support_loss: Callable[..., Any] | None = None
    keep: Any = ()
    seen: Callable[[Episode], Episode] | None = None
    first_order: bool = False
    gradient_mode: str = "nested"
    task_loss: Callable[[Params, Episode, Run], TaskLoss] | None = None
    task_gradient: Callable[[Params, Episode, Run], tuple[TaskLoss, Any]] | None = None
    statistics: Sequence[keras.Variable] = ()
    undecayed: tuple[str, ...] = ()
    learn: Callable[[Any], dict[str, tf.Tensor]] | None = None
    check_data: Callable[[tf.data.Dataset], None] | None = None
    n_outputs: int | None = None
    makes_head: bool = False
    inference: bool = False
    alone: tuple[Callable[..., tf.Tensor], str] | None = None
    scores: bool = True
    samples: int = 1
    weights: Callable[[Tensors, int], Tensors] | None = None
    to_keras: Callable[..., keras.Model] | None = None
    call: Callable[..., tf.Tensor] | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    label: str | None = None
    check: Callable[[Episode, bool], None] | None = None

    @classmethod
    def for_network(
        cls, network: keras.Model, own: Mapping[str, Sequence[keras.Variable]] | None = None, **fields
    ) -> Method:
        """A method whose inner loop moves the parameters of a network as they are.

        Args:
            network: the built Keras model that adapts.
            own: groups of what the outer loop learns besides, such as rates.
            fields: the other fields of `Method`, of which most methods give `update` alone; any of those that this
                function fills, too.

        Returns:
            A `Method` with the groups `network` and `own`, that starts from the network's parameters and has its
            outputs.

        References:
            Finn et al. (2017), algorithm 1. https://arxiv.org/abs/1703.03400
        """

        def outputs(fast, x, run, k):
            return forward(network, fast, x, non_trainable=run.state)

        parameters = {"network": network.trainable_variables} | dict(own or {})
        filled = {"parameters": parameters, "start": lambda params, episode, run: params["network"], "outputs": outputs}
        return cls(**(filled | fields))
