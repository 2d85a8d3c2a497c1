"""Episodes that a feed-forward policy plays, and the objective whose derivatives are those of its expected return.

All of it is of one task and many trajectories, and differentiable in the policy's parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.actions import Box, Discrete
from tfmeta.core.forward import Tensors, forward
from tfmeta.core.policy_gradients import dice, discounted_returns
from tfmeta.core.trials import Agent, Environment, play

SURROGATES = ("dice", "naive")


class Trajectories(NamedTuple):
    """Episodes in one task. What comes after the end of an episode is there, and does not count.

    Args:
        observations: before each action, `[n_trajectories, n_steps, observation_size]`.
        actions: `[n_trajectories, n_steps]`, or `[n_trajectories, n_steps, dim]` of a `Box`.
        rewards: `[n_trajectories, n_steps]`, 0 after the end.
        alive: 1 up to the end of the episode, 0 after it, `[n_trajectories, n_steps]`.

    References:
        Finn et al. (2017), algorithm 3, line 5. https://arxiv.org/abs/1703.03400
    """

    observations: tf.Tensor
    actions: tf.Tensor
    rewards: tf.Tensor
    alive: tf.Tensor


def up_to_end(dones: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """1 for the steps of the first episode, its last included, 0 for all later ones.

    Args:
        dones: bool `[n_trajectories, n_steps]`.
        dtype: of the result.

    Returns:
        `[n_trajectories, n_steps]`.
    """
    return tf.cast(tf.cumsum(tf.cast(dones, tf.int32), axis=1, exclusive=True) == 0, dtype)


def policy_inputs(observations: tf.Tensor) -> tf.Tensor:
    """What a policy is given: the observations, or a constant 1 where there is nothing to see.

    TensorFlow's fused layers end the whole process where a matrix has no columns.

    Args:
        observations: `[..., observation_size]`.

    Returns:
        `[..., max(1, observation_size)]`.
    """
    return observations if observations.shape[-1] else tf.ones([*tf.unstack(tf.shape(observations)[:-1]), 1])


def sample_trajectories(
    policy: keras.Model, params: Tensors, environment: Environment, task, n_trajectories: int, key: tf.Tensor
) -> Trajectories:
    """Let a policy play one episode in each of several copies of a task. No gradient flows into what is played.

    Args:
        policy: of `policy_inputs` `[batch, max(1, observation_size)]` to the outputs of `environment.actions`.
        params: theta, tensors.
        environment: whose task it is.
        task: a nest of tensors without a leading axis.
        n_trajectories: number of episodes.
        key: integers `[2]`.

    Returns:
        `Trajectories` with `environment.episode_length` steps.

    References:
        Finn et al. (2017), algorithm 3, lines 5 and 8. https://arxiv.org/abs/1703.03400
    """
    params = [tf.stop_gradient(weight) for weight in params]
    size = environment.observation_size

    def act(memory, observation, key):
        outputs = forward(policy, params, policy_inputs(observation), training=False)
        return environment.actions.sample(tf.cast(outputs, tf.float32), key), observation

    agent = Agent(lambda n: tf.zeros([n, size]), act, lambda memory, *_: memory)
    tasks = tf.nest.map_structure(lambda t: tf.repeat(t[None], n_trajectories, axis=0), task)
    trial = play(agent, environment, tasks, environment.episode_length, key, keep=lambda seen: seen)
    alive = up_to_end(trial.dones)
    seen = tf.ensure_shape(trial.kept, [None, None, size])
    return Trajectories(seen, trial.actions, trial.rewards * alive, alive)


def action_log_probs(
    policy: keras.Model, params: Tensors, actions: Discrete | Box, trajectories: Trajectories
) -> tf.Tensor:
    """Logarithms of the probabilities of what was played, under other parameters.

    Args:
        policy: as for `sample_trajectories`.
        params: tensors.
        actions: `environment.actions`.
        trajectories: of one task.

    Returns:
        `[n_trajectories, n_steps]`.

    References:
        Williams (1992), section 4. https://doi.org/10.1007/BF00992696
    """
    seen, taken = policy_inputs(trajectories.observations), trajectories.actions
    outputs = forward(policy, params, tf.reshape(seen, [-1, seen.shape[-1]]), training=False)
    outputs = tf.reshape(outputs, [*tf.unstack(tf.shape(seen)[:2]), outputs.shape[-1]])
    return actions.log_prob(outputs, tf.cast(taken, outputs.dtype) if taken.dtype.is_floating else taken)


def return_objective(
    log_probs: tf.Tensor, rewards: tf.Tensor, alive: tf.Tensor, *, discount: float = 0.99, surrogate: str = "dice"
) -> tf.Tensor:
    """The discounted return of each trajectory in value, with the policy gradient as its derivative.

    With the reward to go D_t, its mean b_t over the other trajectories, and box_t of DiCE for the actions until t:

        dice:   D_0 + sum_t (box_t - box_{t-1}) (D_t - b_t)
        naive:  D_0 + sum_t (log pi_t - stop_gradient(log pi_t)) (D_t - b_t)

    Both have the same first derivative. The mean of the first one's second derivative is that of the expected return;
    the second one lacks that other actions become more or less likely.

    Args:
        log_probs: of the actions, `[n_trajectories, n_steps]`.
        rewards: `[n_trajectories, n_steps]`.
        alive: 1 up to the end of an episode, 0 after it, `[n_trajectories, n_steps]`.
        discount: gamma, 0 to 1.
        surrogate: `"dice"` or `"naive"`.

    Returns:
        `[n_trajectories]`, to be maximised.

    Raises:
        ValueError: if the discount is not between 0 and 1, or the surrogate is unknown.

    References:
        Foerster et al. (2018), section 3, and Farquhar, Whiteson, Foerster (2019), "Loaded DiCE", section 3, which
        derives this form with advantages. https://arxiv.org/abs/1802.05098, https://arxiv.org/abs/1909.10549
    """
    if surrogate not in SURROGATES:
        raise ValueError(f"surrogate must be one of {', '.join(SURROGATES)}. Received: surrogate={surrogate!r}")
    alive = tf.cast(alive, log_probs.dtype)
    log_probs, rewards = alive * log_probs, alive * tf.cast(rewards, log_probs.dtype)
    weights = tf.constant(discount, rewards.dtype) ** tf.cast(tf.range(tf.shape(rewards)[1])[None], rewards.dtype)
    to_go = tf.stop_gradient(weights * discounted_returns(rewards, discount))
    # Of the others: a trajectory's own part of the mean would depend on the action that it is to judge.
    advantages = to_go - mean_of_others(to_go)
    if surrogate == "naive":
        moved = log_probs - tf.stop_gradient(log_probs)
    else:
        box = dice(log_probs)
        moved = box - tf.concat([tf.ones_like(box[:, :1]), box[:, :-1]], axis=1)
    return to_go[:, 0] + tf.reduce_sum(moved * advantages, axis=1)


def mean_of_others(values: tf.Tensor) -> tf.Tensor:
    """The mean over all rows but a row itself, for each row; 0 where there is no other.

    Args:
        values: `[n, ...]`.

    Returns:
        `[n, ...]`.
    """
    n = tf.cast(tf.shape(values)[0], values.dtype)
    return (tf.reduce_sum(values, axis=0, keepdims=True) - values) / tf.maximum(n - 1, 1)
