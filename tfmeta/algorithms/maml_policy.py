"""MAML for a policy (Finn, Abbeel, Levine 2017, section 4.2): a few episodes in a new task, one step, a better policy.

Parameters: theta, those of the policy. Update rule: gradient ascent on the return, by trajectories of the policy before
the step. Outer gradient: that of the adapted policy's return, by trajectories of its own, through every inner step.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfmeta.core import inner_loop
from tfmeta.core.forward import Tensors, values
from tfmeta.core.own_task import as_task
from tfmeta.core.trajectories import (
    SURROGATES,
    action_log_probs,
    policy_inputs,
    return_objective,
    sample_trajectories,
)
from tfmeta.core.trials import Environment, fold_in
from tfmeta.core.updates import sgd
from tfmeta.core.validation import check_number, check_seed, check_sizes, check_steps
from tfmeta.training import copies
from tfmeta.training.network_checks import check_network
from tfmeta.training.parallel import SCALAR, map_tasks
from tfmeta.training.randomness import task_keys
from tfmeta.training.trial_learner import TrialLearner


@keras.saving.register_keras_serializable("tfmeta")
class MAMLPolicy(TrialLearner):
    """Learns a policy from which a few episodes and a policy-gradient step solve a new task.

    `fit` and `evaluate` take meta-batches of tasks, as `task_stream(environment, ...)` draws them, and report the mean
    return of an episode of the policy before its first inner step (`return_before`) and after the last
    (`return_after`), without a discount. Trajectories of evaluation do not depend on how much was learned.

    Args:
        policy: any built Keras model of observations `[batch, observation_size]` to `[batch, actions.n_outputs]`: the
            logits of `Discrete`, means and log deviations of `Box`. Where there is nothing to see, as with bandits, it
            is given a constant 1, `[batch, 1]`.
        environment: the distribution of tasks.
        inner_lr: alpha, the size of an inner step on the *mean* return of a step: that of an episode over
            `episode_length`.
        inner_steps: M, inner steps in training. Each plays episodes of its own.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        n_trajectories: K, episodes for each inner step, and as many for the outer one.
        discount: gamma, 0 to 1.
        surrogate: of the inner step. `"dice"` has the second derivative right in the mean, `"naive"` is the usual
            log pi times advantage, whose second derivative lacks a part and varies less.
        name: Keras name.

    Raises:
        TypeError: if the policy is not a Keras model, or the environment is not an `Environment`.
        ValueError: if the policy is not built or does not fit the environment, or a setting is out of range.

    References:
        Finn et al. (2017), section 4.2, equation 4 and algorithm 3; Foerster et al. (2018), section 3.
        https://arxiv.org/abs/1703.03400, https://arxiv.org/abs/1802.05098

    Note:
        The paper takes outer steps of TRPO. Here it is the policy gradient, with the compiled optimizer;
        `Adam(global_clipnorm=...)` keeps steps short. The baseline is the mean return to go of the other trajectories
        at the same step, in place of a function of features, and advantages are not scaled. As in the paper, nothing
        rewards the first policy for episodes from which more can be learned, but what DiCE's second derivative knows
        of it. The policy runs in inference mode throughout.
    """

    def __init__(
        self,
        policy: keras.Model,
        environment: Environment,
        *,
        inner_lr: float = 0.1,
        inner_steps: int = 1,
        eval_inner_steps: int | None = None,
        n_trajectories: int = 20,
        discount: float = 0.99,
        surrogate: str = "dice",
        name: str | None = None,
    ):
        check_network(policy, "policy")
        check_number("inner_lr", inner_lr)
        check_number("discount", discount)
        if discount > 1:
            raise ValueError(f"discount must be at most 1. Received: discount={discount!r}")
        eval_inner_steps = inner_steps if eval_inner_steps is None else eval_inner_steps
        check_steps(inner_steps=inner_steps, eval_inner_steps=eval_inner_steps)
        check_sizes(n_trajectories=n_trajectories)
        if surrogate not in SURROGATES:
            raise ValueError(f"surrogate must be one of {', '.join(SURROGATES)}. Received: surrogate={surrogate!r}")
        super().__init__(policy, environment, name=name)
        _check_policy(policy, environment)
        self.inner_lr, self.n_trajectories, self.discount = float(inner_lr), int(n_trajectories), float(discount)
        self.inner_steps, self.eval_inner_steps = int(inner_steps), int(eval_inner_steps)
        self.surrogate = surrogate
        self.track("loss", "return_before", "return_after")

    # -- one task --------------------------------------------------------------------------------------------------
    def played(self, params: Tensors, task: Any, key: tf.Tensor, surrogate: str) -> tuple[tf.Tensor, tf.Tensor]:
        """Minus the mean discounted return of a step, and the mean return of an episode: two scalars.

        The first is to be differentiated (equation 4).
        """
        found = sample_trajectories(self.policy, params, self.environment, task, self.n_trajectories, key)
        log_probs = action_log_probs(self.policy, params, self.environment.actions, found)
        objective = return_objective(log_probs, found.rewards, found.alive, discount=self.discount, surrogate=surrogate)
        loss = -tf.reduce_mean(objective) / self.environment.episode_length
        return loss, tf.reduce_mean(tf.reduce_sum(found.rewards, axis=1))

    def adapted(self, params: Tensors, task: Any, key: tf.Tensor, steps: int) -> inner_loop.Adapted:
        """Algorithm 3, lines 5 to 7; it keeps the mean return of an episode before every step."""
        return inner_loop.adapt(
            lambda params, k: self.played(params, task, fold_in(key, k), self.surrogate),
            params,
            sgd(self.inner_lr),
            steps,
            keep=SCALAR,
        )

    def task_loss(self, params: Tensors, task: Any, key: tf.Tensor, steps: int) -> tuple[tf.Tensor, ...]:
        """One task's outer loss (line 10), and the returns before and after adaptation: three scalars."""
        adapted = self.adapted(params, task, fold_in(key, 0), steps)
        loss, after = self.played(adapted.params, task, fold_in(key, 1), "dice")
        return loss, adapted.kept[0] if steps else after, after

    # -- many tasks ------------------------------------------------------------------------------------------------
    def train_step(self, data):
        """The mean of the tasks' outer gradients, applied by the compiled optimizer."""
        params = values(self.policy.trainable_variables)

        def one_task(given):
            task, number = given
            return inner_loop.meta_gradient(
                lambda params: self.task_loss(params, task, _key(number, 0), self.inner_steps), params
            )

        numbers = task_keys(self.optimizer, tf.shape(tf.nest.flatten(data)[0])[0])
        like = [tf.TensorSpec(weight.shape, weight.dtype) for weight in params]
        scalars = (tf.TensorSpec([], params[0].dtype), SCALAR, SCALAR)
        found, gradients = map_tasks(one_task, (data, numbers), (scalars, like))
        self.apply({"policy": [tf.reduce_mean(gradient, axis=0) for gradient in gradients]})
        return self._reported(found)

    def test_step(self, data):
        """Returns before and after adaptation in new tasks."""
        params = values(self.policy.trainable_variables)

        def one_task(given):
            task, number = given
            return self.task_loss(params, task, _key(number, 1), self.eval_inner_steps)

        numbers = tf.range(tf.shape(tf.nest.flatten(data)[0])[0], dtype=tf.int64)
        scalars = (tf.TensorSpec([], params[0].dtype), SCALAR, SCALAR)
        return self._reported(map_tasks(one_task, (data, numbers), scalars))

    def _reported(self, found):
        return self.report(dict(zip(("loss", "return_before", "return_after"), found, strict=True)))

    def call(self, x, training=False):
        """The policy's outputs before any adaptation."""
        return self.policy(x, training=training)

    def adapt(self, task: Any, *, seed: int = 0) -> keras.Model:
        """Play in one task and take the inner steps of evaluation.

        Args:
            task: numbers nested like one of `environment.sample_tasks`, without the leading axis.
            seed: of what is played, a whole number.

        Returns:
            A copy of the policy with the adapted weights. The learner is unchanged.

        Raises:
            ValueError: if the task is not like those of the environment, or the seed is no non-negative whole number.

        References:
            Finn et al. (2017), algorithm 3, lines 5 to 7. https://arxiv.org/abs/1703.03400
        """
        check_seed(seed)
        task = as_task(self.environment, task)
        params = values(self.policy.trainable_variables)
        key = _key(tf.constant(seed, tf.int64), 2)
        graph = tf.function(lambda task: self.adapted(params, task, key, self.eval_inner_steps).params, autograph=False)
        return copies.copy_model(
            self.policy, graph(task), policy_inputs(tf.zeros([1, self.environment.observation_size]))
        )


def _key(number: tf.Tensor, use: int) -> tf.Tensor:
    """A task's key; training, evaluation and `adapt` have nothing in common."""
    return tf.stack([number, tf.constant(use, tf.int64)])


def _check_policy(policy: keras.Model, environment: Environment) -> None:
    seen, wanted = policy_inputs(tf.zeros([1, environment.observation_size])), environment.actions.n_outputs
    try:
        shape = tuple(policy(seen).shape)
    except Exception as error:  # whatever a layer of anybody's raises
        raise ValueError(
            f"policy must take observations [batch, {seen.shape[-1]}] of the environment. "
            f"Received: policy={policy.name!r}, which says: {error}"
        ) from error
    if shape != (1, wanted):
        raise ValueError(
            f"policy must give [batch, {wanted}] for {environment.actions}. "
            f"Received: policy={policy.name!r} with outputs of shape {[None, *shape[1:]]}"
        )
