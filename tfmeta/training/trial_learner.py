"""The Keras shell of learners that play: datasets of an environment's tasks in, rewards out."""

from __future__ import annotations

import abc

from tfmeta.core.trials import Environment
from tfmeta.training import reading
from tfmeta.training.shell import Shell
from tfmeta.training.trial_checks import as_task_dataset


class TrialLearner(Shell, abc.ABC):
    """A Keras model that learns by playing in the tasks of an environment. Abstract; the learners are final.

    `fit` and `evaluate` take a dataset of meta-batches of tasks, such as `tfmeta.tasks.task_stream` makes, or one
    meta-batch.

    Args:
        policy: the Keras model that is learned.
        environment: the distribution of tasks.
        name: Keras name.

    Raises:
        TypeError: if the environment is none.

    References:
        Duan et al. (2016), section 2.2. https://arxiv.org/abs/1611.02779
    """

    def __init__(self, policy, environment, *, name: str | None = None):
        if not isinstance(environment, Environment):
            raise TypeError(f"environment must be an Environment. Received: environment={environment!r}")
        super().__init__([policy], name=name)
        self.policy, self.environment = policy, environment

    sizes_depend_on_data = False
    undecayed_groups = ()

    def parameter_groups(self):
        """The policy's weights."""
        return {"policy": self.policy.trainable_variables}

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
        """Keras's `evaluate`. Of `RL2`, `tfmeta.evaluation.evaluate_agent` adds standard errors."""
        if not kwargs.get("_use_cached_eval_dataset"):  # which is the validation of `fit`, checked there
            x = as_task_dataset(x, self.environment, "x")
            reading.check_end(x, "x", "steps", kwargs.get("steps"))
        return super().evaluate(x, *args, **kwargs)
