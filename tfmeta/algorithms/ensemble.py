"""An ensemble of MAMLs: several starts that know nothing of each other, and the mean of what they say.

The honest baseline of every method that claims to know what it does not know (Lakshminarayanan et al., 2017).
Parameters: one theta for each member. Update rule, loss and outer gradient: MAML's, for each member by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfmeta.algorithms.maml import MAML, check_options, gradient_descent, rate_settings
from tfmeta.core.episode import Episode
from tfmeta.core.inner_loop import meta_gradient
from tfmeta.core.validation import check_flags, check_number, check_sizes
from tfmeta.training import averaging, copies
from tfmeta.training.episode_checks import is_classification
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Params, Run, TaskLoss
from tfmeta.training.network_checks import check_network

_CHOSEN = "chosen"  # the group of a single member, while it is trained


@keras.saving.register_keras_serializable("tfmeta")
class MAMLEnsemble(EpisodicLearner):
    """Trains several MAMLs side by side, from starts of their own, and averages what they say of a task.

    Args:
        network: any built Keras model, `[batch, ...]` to logits `[batch, n_way]` or to regression outputs. It is the
            first member; the others have its architecture and first weights of their own.
        n_members: how many there are.
        inner_lr: alpha, as for `MAML`.
        inner_steps: M, as for `MAML`.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        first_order: FOMAML.
        gradient_mode: `"nested"` or `"mixed"`, as for `MAML`.
        inner_clip_norm: as for `MAML`.
        noise: standard deviation of the observations of regression, in units of the targets, for
            `tfmeta.evaluation.predictive`; it changes nothing in training.
        loss: as for `MAML`.
        name: Keras name.

    Raises:
        TypeError: if the network is not a Keras model.
        ValueError: if the network is not built or all its initializers have fixed seeds, so that all members would be
            the same, or a setting is out of range.

    References:
        Lakshminarayanan, Pritzel, Blundell (2017), "Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles", algorithm 1. https://arxiv.org/abs/1612.01474; Finn et al. (2017), algorithm 2.
        https://arxiv.org/abs/1703.03400

    Note:
        All members see the same tasks. An optimizer that moves each weight by itself, such as Adam, trains them as it
        would train them alone; one that clips the norm of all gradients together does not. Non-trainable variables,
        such as batch norm's moving averages, are the first member's; MAML does not use them.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        n_members: int = 5,
        inner_lr: float = 0.4,
        inner_steps: int = 1,
        eval_inner_steps: int | None = None,
        first_order: bool = False,
        gradient_mode: str = "nested",
        inner_clip_norm: float | None = None,
        noise: float | None = None,
        loss=None,
        name: str | None = None,
    ):
        check_network(network, "network")
        check_sizes(n_members=n_members)
        check_options(inner_lr, gradient_mode, inner_clip_norm, 0.0)
        check_flags(first_order=first_order)
        if noise is not None:
            check_number("noise", noise, above=True)
        super().__init__(network, inner_steps=inner_steps, eval_inner_steps=eval_inner_steps, loss=loss, name=name)
        self.n_members, self.inner_lr, self.first_order = n_members, inner_lr, first_order
        self.gradient_mode, self.inner_clip_norm, self.noise = gradient_mode, inner_clip_norm, noise
        self.others = [self._start_of_its_own(i) for i in range(1, n_members)]

    def _start_of_its_own(self, i: int) -> list[keras.Variable]:
        twin, variables = copies.fresh(self.network), self.network.trainable_variables
        pairs = list(zip(variables, twin.trainable_variables, strict=True))
        if all(bool(tf.reduce_all(old.value == new.value)) for old, new in pairs):
            raise ValueError(
                "the network's initializers must draw anew for every member: leave their seeds out. "
                f"Received: network={self.network.name!r}, a copy of which has the same weights"
            )
        made = []
        for old, new in pairs:
            made.append(self.add_weight(
                shape=old.shape, dtype=old.dtype, initializer="zeros", name=f"member_{i}_{old.path.replace('/', '_')}",
            ))  # fmt: skip
            made[-1].assign(new.value)
        return made

    @classmethod
    def from_learners(cls, learners: Sequence[EpisodicLearner], **options) -> MAMLEnsemble:
        """Make one learner of MAMLs that were trained one by one.

        Args:
            learners: trained, all of one architecture. They are not changed.
            options: further arguments of `MAMLEnsemble`; those of the first learner by default.

        Returns:
            An ensemble of them.

        Raises:
            TypeError: if they are no MAMLs.
            ValueError: if there is none, or they are of different architectures.

        References:
            Lakshminarayanan et al. (2017), algorithm 1. https://arxiv.org/abs/1612.01474
        """
        learners = list(learners)
        wrong = [type(one).__name__ for one in learners if not isinstance(one, MAML)]
        if wrong or not learners:
            raise TypeError(f"learners must be one or more MAMLs. Received: {wrong or 'none'}")
        shapes = [[tuple(v.shape) for v in one.network.trainable_variables] for one in learners]
        if any(one != shapes[0] for one in shapes):
            raise ValueError(f"learners must have networks of one architecture. Received: weights of shapes {shapes}")
        first = learners[0]
        names = (
            "inner_lr", "inner_steps", "eval_inner_steps", "first_order", "gradient_mode", "inner_clip_norm",
        )  # fmt: skip
        same = {name: getattr(first, name) for name in names} | {"loss": first.loss_function}
        ensemble = cls(copies.fresh(first.network), n_members=len(learners), **(same | options))
        for group, learner in zip(ensemble.method.parameters.values(), learners, strict=True):
            for mine, theirs in zip(group, learner.network.trainable_variables, strict=True):
                mine.assign(theirs.value)
        return ensemble

    @property
    def method(self) -> Method:
        """Algorithm 1 of the ensemble, with MAML as the training of a member."""
        members = [self.network.trainable_variables, *self.others]
        return Method.for_network(
            self.network,
            parameters={f"member_{i}": variables for i, variables in enumerate(members)},
            label="ensemble of MAMLs",
            start=self._start,
            update=lambda params: gradient_descent(self.inner_lr, self.inner_clip_norm),
            variance=averaging.constant_variance(self.noise),
            task_gradient=self._task_gradient,
            first_order=self.first_order,
            gradient_mode=self.gradient_mode,
            samples=self.n_members,
            settings=rate_settings(self.inner_lr, self.inner_clip_norm) | {"members": self.n_members},
        )

    def _start(self, params: Params, episode: Episode, run: Run):
        """The weights of one member: the one that is trained, or at test time that of the task's key."""
        if _CHOSEN in params:
            return params[_CHOSEN]
        member = tf.math.floormod(run.key, self.n_members)
        return [tf.gather(tf.stack(weights), member) for weights in zip(*params.values(), strict=True)]

    def _task_gradient(self, params: Params, episode: Episode, run: Run):
        """MAML's gradient for each member, one after the other."""
        together = [tf.stack(weights) for weights in zip(*params.values(), strict=True)]

        def of_one(weights):
            found, gradients = meta_gradient(
                lambda chosen: self.task_loss({_CHOSEN: chosen}, episode, run), list(weights)
            )
            return found.value, found.outputs, gradients

        like = self._like(together, episode, run)
        values, outputs, gradients = tf.map_fn(of_one, together, fn_output_signature=like, parallel_iterations=1)
        outputs = averaging.averaged(outputs, is_classification(episode))
        by_member = {name: [g[i] for g in gradients] for i, name in enumerate(params)}
        return TaskLoss(tf.reduce_mean(values), outputs), by_member

    def _like(self, together, episode: Episode, run: Run):
        """Types of what `of_one` gives."""
        dtype = averaging.output_dtype(self.network)
        like = [tf.TensorSpec(weights.shape[1:], weights.dtype) for weights in together]
        return tf.TensorSpec([], dtype), tf.TensorSpec(None, dtype), like
