"""RL^2: a recurrent policy whose state is what it has learned of the task (Duan et al., 2016; Wang et al., 2016)."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.policy_gradients import clipped_surrogate, discounted_returns, generalised_advantages
from tfmeta.core.trials import Agent, Trial, play
from tfmeta.core.validation import check_flags, check_fraction, check_number, check_seed, check_sizes
from tfmeta.training.randomness import batches_seen
from tfmeta.training.trial_checks import check_policy, check_tasks
from tfmeta.training.trial_learner import TrialLearner


class Memory(NamedTuple):
    """What an RL^2 agent knows between two steps.

    Args:
        states: the recurrent state, a list of `[n_trials, units]`.
        before: the last action, its reward and whether it ended an episode, `[n_trials, code_size + 2]`.
        seen: what the policy read last, `[n_trials, observation_size + code_size + 2]`.
        log_prob: of the last action, `[n_trials]`.
        value: what the policy expected before it, `[n_trials]`.

    References:
        Duan et al. (2016), figure 1. https://arxiv.org/abs/1611.02779
    """

    states: list[tf.Tensor]
    before: tf.Tensor
    seen: tf.Tensor
    log_prob: tf.Tensor
    value: tf.Tensor


@keras.saving.register_keras_serializable(package="tfmeta")
class RL2(TrialLearner):
    """Learns to explore: its policy adapts to a task by its recurrent state alone, and PPO learns the policy.

    A trial is `n_episodes` in one task. The state lives through the trial and begins at zero in the next; returns and
    advantages run across the ends of episodes, so that it pays to find out early what later episodes can use.

    `fit` and `evaluate` take a dataset of meta-batches of tasks, such as `tfmeta.tasks.task_stream` makes. Each
    meta-batch is one round of play and `n_epochs` of learning from it. They report `reward`, the mean of the trials'
    sums of rewards. `agent()` plays, in `tfmeta.evaluation.evaluate_agent` and in environments of Gymnasium.

    Args:
        policy: a functional Keras model as `tfmeta.networks.recurrent_policy` makes it. It may have several states,
            as an LSTM has: inputs (sequences, states ...), outputs (numbers of the choice, values, states ...).
        environment: the distribution of tasks.
        n_episodes: episodes in a trial of training.
        discount: gamma.
        decay: lambda of the advantages. Trials of a hundred steps need one near 1, which looks far ahead.
        clip: of PPO's ratio.
        entropy_weight: what an undecided policy is worth, in standardised advantages for each nat; a number, or a
            schedule of Keras of the optimizer's step. A policy that decides too early never learns to explore.
        value_weight: weight of the value's squared error, in the units of a reward per step.
        n_epochs: how often a round of play is learned from.
        n_minibatches: into which its trials are divided, each for one step of the optimizer.
        seed: of the play, with the optimizer's step: a run that is resumed goes on as if it had not stopped.
        name: Keras name.

    Raises:
        ValueError: if a number is out of range, or the policy has no recurrent state or does not fit the environment.

    References:
        Duan et al. (2016), "RL^2: fast reinforcement learning via slow reinforcement learning", sections 2.2 and 2.3.
        https://arxiv.org/abs/1611.02779; Wang et al. (2016), "Learning to reinforcement learn".
        https://arxiv.org/abs/1611.05763; Schulman et al. (2017), algorithm 1. https://arxiv.org/abs/1707.06347

    Note:
        PPO in place of the paper's TRPO, and one network for policy and value.
    """

    def __init__(
        self, policy, environment, *, n_episodes=10, discount=0.99, decay=0.3, clip=0.2, entropy_weight=0.01,
        value_weight=5.0, n_epochs=4, n_minibatches=4, seed=0, name: str | None = None,
    ):  # fmt: skip
        check_sizes(n_epochs=n_epochs, n_minibatches=n_minibatches)
        check_fraction("discount", discount)
        check_fraction("decay", decay)
        check_number("clip", clip, above=True)
        if not isinstance(entropy_weight, keras.optimizers.schedules.LearningRateSchedule):
            check_number("entropy_weight", entropy_weight)
        check_number("value_weight", value_weight)
        check_sizes(n_episodes=n_episodes)
        check_seed(seed)
        super().__init__(policy, environment, name=name)
        check_policy(policy, environment)
        self.n_episodes, self.seed = n_episodes, seed
        self.discount, self.decay, self.clip = discount, decay, clip
        self.entropy_weight, self.value_weight = entropy_weight, value_weight
        self.n_epochs, self.n_minibatches = n_epochs, n_minibatches
        self.track("reward", "entropy", "value_loss")

    label = property(lambda self: self._given_name or "RL^2", doc="The user's name for it, or the method's.")
    n_steps = property(lambda self: self.n_episodes * self.environment.episode_length, doc="Steps of a trial.")
    updates_per_batch = property(lambda self: self.n_epochs * self.n_minibatches, doc="Optimizer steps a round.")

    @property
    def value_scale(self) -> float:
        """The sum of the discounts of a trial: the value head gives a mean reward per step, which this multiplies.

        Returns of long trials are large. A head that gave them itself would need as many steps to reach them, and its
        errors would leave the policy no share of the gradient. So a policy can go on with longer trials.
        """
        return sum(self.discount**t for t in range(self.n_steps))

    # -- play ----------------------------------------------------------------------------------------------------------
    def agent(self, *, greedy: bool = False) -> Agent:
        """The agent as it is now, to play with.

        Args:
            greedy: take the most probable action instead of drawing one; for discrete actions.

        Returns:
            An `Agent`, whose memory is a `Memory`.

        References:
            Duan et al. (2016), figure 1. https://arxiv.org/abs/1611.02779
        """
        check_flags(greedy=greedy)
        actions, n_seen = self.environment.actions, self.policy.inputs[0].shape[-1]
        if greedy and not hasattr(actions, "n"):
            raise ValueError(f"greedy is for discrete actions. Received: greedy={greedy} with {actions}")

        def begin(n_trials):
            states = [tf.zeros([n_trials, state.shape[-1]]) for state in self.policy.inputs[1:]]
            nothing = tf.zeros([n_trials])
            return Memory(
                states,
                tf.zeros([n_trials, actions.code_size + 2]), tf.zeros([n_trials, n_seen]), nothing, nothing,
            )  # fmt: skip

        def act(memory, observation, key):
            seen = tf.concat([observation, memory.before], axis=-1)
            outputs, values, *states = self.policy([seen[:, None], *memory.states])
            outputs = outputs[:, 0]
            chosen = tf.argmax(outputs, -1, tf.int32) if greedy else actions.sample(outputs, key)
            log_prob = actions.log_prob(outputs, chosen)
            return chosen, Memory(states, memory.before, seen, log_prob, self.value_scale * values[:, 0, 0])

        def learn(memory, chosen, rewards, dones):
            told = [actions.encode(chosen), rewards[:, None], tf.cast(dones, tf.float32)[:, None]]
            return memory._replace(before=tf.concat(told, axis=-1))

        return Agent(begin, act, learn, self.label)

    def play(self, tasks, key, keep=lambda memory: ()) -> Trial:
        """Play a trial of training's length in each task; arguments as of `tfmeta.core.trials.play`."""
        return play(self.agent(), self.environment, tasks, self.n_steps, key, keep=keep)

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every meta-batch of `evaluate`: play, and report the mean sum of rewards."""
        check_tasks(data, self.environment)
        played = tf.cast(self._trackers["reward"].count, tf.int64)  # so that no two meta-batches have the same chance
        trial = self.play(data, tf.stack([tf.constant(-1 - self.seed, tf.int64), played]))
        return self.report({"reward": tf.reduce_sum(trial.rewards, axis=1)})

    # -- learning ------------------------------------------------------------------------------------------------------
    def targets_of(self, rewards, values) -> tuple[tf.Tensor, tf.Tensor]:
        """What a round of play teaches.

        Args:
            rewards: `[n_trials, n_steps]`.
            values: what the policy expected before each action, `[n_trials, n_steps]`.

        Returns:
            Advantages with mean 0 and deviation 1 over the round, and what the values should have been, the discounted
            rewards to go, each `[n_trials, n_steps]`.

        References:
            Schulman et al. (2017), equation 11. https://arxiv.org/abs/1707.06347
        """
        advantages = generalised_advantages(rewards, values, discount=self.discount, decay=self.decay)
        spread = tf.math.reduce_std(advantages) + 1e-8
        # Values learn from whole returns: by steps of `decay` they would take as many rounds as a trial is long.
        returns = discounted_returns(rewards, self.discount)
        return (advantages - tf.reduce_mean(advantages)) / spread, returns

    def losses_of(self, seen, actions, log_probs, advantages, returns) -> dict[str, tf.Tensor]:
        """The terms of PPO's objective on whole trials, played again from the state's beginning.

        Args:
            seen: what the policy read, `[n_trials, n_steps, size]`.
            actions: `[n_trials, n_steps]`.
            log_probs: of the actions when they were played, `[n_trials, n_steps]`.
            advantages: `[n_trials, n_steps]`.
            returns: what the values should have been, `[n_trials, n_steps]`.

        Returns:
            Scalars: `loss`, `surrogate`, `value_loss` and `entropy`.

        References:
            Schulman et al. (2017), equation 9. https://arxiv.org/abs/1707.06347
        """
        n_trials = tf.shape(seen)[0]
        states = [tf.zeros([n_trials, state.shape[-1]]) for state in self.policy.inputs[1:]]
        outputs, values, *_ = self.policy([seen, *states])
        spaces = self.environment.actions
        surrogate = tf.reduce_mean(
            clipped_surrogate(spaces.log_prob(outputs, actions), log_probs, advantages, self.clip)
        )
        value_loss = tf.reduce_mean((values[..., 0] - returns / self.value_scale) ** 2)
        entropy = tf.reduce_mean(spaces.entropy(outputs))
        weight = self.entropy_weight
        weight = weight(self.optimizer.iterations) if callable(weight) else weight
        loss = -surrogate + self.value_weight * value_loss - weight * entropy
        return {"loss": loss, "surrogate": surrogate, "value_loss": value_loss, "entropy": entropy}

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every meta-batch of `fit`: play a trial in each task, and learn from all of them."""
        n_trials = check_tasks(data, self.environment)
        batches = n_trials // self.n_minibatches
        if n_trials % self.n_minibatches:
            raise ValueError(
                f"n_minibatches must divide the number of tasks of a meta-batch, {n_trials}. "
                f"Received: n_minibatches={self.n_minibatches}"
            )
        key = tf.stack([tf.constant(self.seed, tf.int64), batches_seen(self.optimizer)])
        trial = self.play(data, key, keep=lambda memory: memory[2:])
        seen, log_probs, values = trial.kept
        whole = (seen, trial.actions, log_probs, *self.targets_of(trial.rewards, values))

        def one_step(i, _):
            epoch = tf.random.experimental.stateless_fold_in(key, 1 + i // self.n_minibatches)
            order = tf.random.experimental.stateless_shuffle(tf.range(n_trials), epoch)
            place = i % self.n_minibatches
            part = tf.nest.map_structure(lambda t: tf.gather(t, order[place * batches : (place + 1) * batches]), whole)
            weights = self.policy.trainable_variables
            with tf.GradientTape() as tape:
                found = self.losses_of(*part)
            self.apply({"policy": tape.gradient(found["loss"], weights)})
            return i + 1, (found["entropy"], found["value_loss"])

        n_steps = self.updates_per_batch
        start = (tf.constant(0), (tf.constant(0.0), tf.constant(0.0)))
        _, (entropy, value_loss) = tf.while_loop(lambda i, _: i < n_steps, one_step, start)
        reward = tf.reduce_sum(trial.rewards, axis=1)
        return self.report({"reward": reward, "entropy": entropy, "value_loss": value_loss})

    def call(self, inputs: Any):
        """The policy itself: sequences and states to the numbers of the choice, values and states."""
        return self.policy(inputs)
