"""The Keras shell of learners that play trials: datasets of tasks in, rewards out."""

from __future__ import annotations

import abc

import tensorflow as tf

from tfmeta.core.trials import Agent, Environment, Trial, play
from tfmeta.core.validation import check_seed, check_sizes
from tfmeta.training import reading
from tfmeta.training.shell import Shell
from tfmeta.training.trial_checks import as_task_dataset, check_tasks


class TrialLearner(Shell, abc.ABC):
    """A Keras model that learns by playing trials in the tasks of an environment. Abstract; the learners are final.

    `fit` and `evaluate` take a dataset of meta-batches of tasks, such as `tfmeta.tasks.task_stream` makes, or one
    meta-batch. They report `reward`, the mean of the trials' sums of rewards.

    Args:
        policy: the Keras model that is learned.
        environment: the distribution of tasks.
        n_episodes: episodes in a trial.
        seed: of the play, with the optimizer's step: a run that is resumed goes on as if it had not stopped.
        name: Keras name.

    Raises:
        TypeError: if the environment is none.
        ValueError: if a number is out of range.

    References:
        Duan et al. (2016), section 2.2. https://arxiv.org/abs/1611.02779
    """

    def __init__(self, policy, environment, *, n_episodes, seed=0, name: str | None = None):
        if not isinstance(environment, Environment):
            raise TypeError(f"environment must be an Environment. Received: environment={environment!r}")
        check_sizes(n_episodes=n_episodes)
        check_seed(seed)
        super().__init__([policy], name=name)
        self.policy, self.environment = policy, environment
        self.n_episodes, self.seed = n_episodes, seed
        self.track("reward")

    n_steps = property(lambda self: self.n_episodes * self.environment.episode_length, doc="Steps of a trial.")
    sizes_depend_on_data = False
    undecayed_groups = ()

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """The user's name for it, or the method's."""

    @abc.abstractmethod
    def agent(self) -> Agent:
        """The agent as it is now, to play with."""

    def parameter_groups(self):
        """The policy's weights."""
        return {"policy": self.policy.trainable_variables}

    def play(self, tasks, key, keep=lambda memory: ()) -> Trial:
        """Play a trial of training's length in each task; arguments as of `tfmeta.core.trials.play`."""
        return play(self.agent(), self.environment, tasks, self.n_steps, key, keep=keep)

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every meta-batch of `evaluate`: play, and report the mean sum of rewards."""
        check_tasks(data, self.environment)
        played = tf.cast(self._trackers["reward"].count, tf.int64)  # so that no two meta-batches have the same chance
        trial = self.play(data, tf.stack([tf.constant(-1 - self.seed, tf.int64), played]))
        return self.report({"reward": tf.reduce_sum(trial.rewards, axis=1)})

    def fit(self, x=None, *args, **kwargs):
        """Keras's `fit` on a dataset of meta-batches of tasks, checked before the first step.

        An endless stream is read on: a second call goes on with the meta-batch after the last one of the first call.
        """
        given = reading.fit_arguments(x, args, kwargs)
        x = as_task_dataset(x, self.environment, "x")
        reading.set_modes(given.get("callbacks"), list(self._trackers))
        reading.check_end(x, "x", "steps_per_epoch", given.get("steps_per_epoch"))
        if (validation := given.get("validation_data")) is not None:
            given["validation_data"] = as_task_dataset(validation, self.environment, "validation_data")
            reading.check_end(validation, "validation_data", "validation_steps", given.get("validation_steps"))
        with self._readings.further(self, x) as rest:
            return super().fit(rest, **given)

    def evaluate(self, x=None, *args, **kwargs):
        """Keras's `evaluate`. `tfmeta.evaluation.evaluate_agent` adds standard errors."""
        if not kwargs.get("_use_cached_eval_dataset"):  # which is the validation of `fit`, checked there
            x = as_task_dataset(x, self.environment, "x")
            reading.check_end(x, "x", "steps", kwargs.get("steps"))
        return super().evaluate(x, *args, **kwargs)
