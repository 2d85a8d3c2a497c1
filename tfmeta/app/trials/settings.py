"""Everything that defines the training of an agent, in one frozen record."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfmeta.app.nearest import did_you_mean
from tfmeta.app.task_runs import TaskSettings

if TYPE_CHECKING:  # imported when there is work to do, see tfmeta/machine/command.py
    import keras
    import tensorflow as tf

    from tfmeta.core.trials import Environment
    from tfmeta.evaluation import TrialScore

TEST_SEED = 30_000  # of tasks that are met in no training, the same for all agents


def _bandits(**options) -> Environment:
    from tfmeta.tasks.bandits import BernoulliBandits

    return BernoulliBandits(**options)


def _informative(**options) -> Environment:
    from tfmeta.tasks.bandits import InformativeBandits

    return InformativeBandits(**options)


def _mdps(**options) -> Environment:
    from tfmeta.tasks.tabular_mdps import TabularMDPs

    return TabularMDPs(**options)


ENVIRONMENTS: dict[str, Callable[..., Environment]] = {
    "bandits": _bandits, "informative-bandits": _informative, "mdps": _mdps,
}  # fmt: skip
METHODS = ("rl2",)


@dataclasses.dataclass(frozen=True)
class TrialSettings(TaskSettings):
    """Settings of the training of an agent.

    Args:
        method: rl2.
        environment: one of `ENVIRONMENTS`.
        n_episodes: episodes of a trial.
        meta_batch_size: trials in a round of play.
        epochs: each followed by a checkpoint.
        steps_per_epoch: rounds in an epoch.
        learning_rate: of Adam at the first step; it falls to 0 along a cosine.
        gradient_norm: the largest global norm of a gradient.
        entropy_weight: of the learner, at the first step; it falls to 0 along a line, until four fifths are done.
        units: of the GRU.
        test_trials: of the final score.
        seed: of initial weights, tasks and play.
        start: a pretrained agent or a run folder whose weights the training begins with; None for random ones.
        environment_options: arguments of the environment.
        options: further arguments of the learner.

    Raises:
        ValueError: if a name is unknown, or a size or a rate is not positive.

    References:
        Duan et al. (2016), sections 3.1 and 3.2. https://arxiv.org/abs/1611.02779
    """

    method: str = "rl2"
    environment: str = "bandits"
    n_episodes: int = 10
    meta_batch_size: int = 1000
    epochs: int = 10
    steps_per_epoch: int = 30
    learning_rate: float = 3e-3
    gradient_norm: float = 1.0
    entropy_weight: float = 0.05
    units: int = 64
    test_trials: int = 10_000
    seed: int = 0
    start: str | None = None
    environment_options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self):
        self.check_fields({"method": METHODS, "environment": ENVIRONMENTS}, may_be_zero=("seed", "entropy_weight"))
        if self.start is not None and not isinstance(self.start, str):
            raise ValueError(f"start must be a name or a folder. Received: start={self.start!r}")

    def with_options(self, given: dict[str, Any]) -> TrialSettings:
        """These settings with others, each by its name a field of theirs, or for the environment or the learner.

        Raises:
            ValueError: if neither has it.
        """
        from tfmeta.algorithms.rl2 import RL2

        of_environment = {field.name for field in dataclasses.fields(self.make_environment())}
        own = {*inspect.signature(RL2.__init__).parameters} - {"self", "policy", "environment", "n_episodes", "seed"}
        fields = {"n_episodes", "units", "gradient_norm", "entropy_weight", "test_trials", "start"}
        own -= fields
        known = sorted((of_environment | own | fields) - {"name"})
        if unknown := [name for name in given if name not in known]:
            raise ValueError(
                f"options must be among {', '.join(known)}.{did_you_mean(unknown[0], known)} "
                f"Received: {', '.join(unknown)}"
            )
        theirs = {name: value for name, value in given.items() if name in of_environment}
        mine = {name: value for name, value in given.items() if name in own}
        return dataclasses.replace(
            self, **{name: value for name, value in given.items() if name in fields},
            options=self.options | mine, environment_options=self.environment_options | theirs,
        )  # fmt: skip

    def make_environment(self) -> Environment:
        """The distribution of tasks."""
        return ENVIRONMENTS[self.environment](**self.environment_options)

    def build(self) -> keras.Model:
        """The learner, compiled; initial weights come from Keras's seed, or from `start`."""
        import keras

        from tfmeta.algorithms.rl2 import RL2
        from tfmeta.networks.recurrent_policy import recurrent_policy

        environment = self.make_environment()
        schedules = keras.optimizers.schedules
        policy = recurrent_policy(environment, units=self.units)
        learner = RL2(policy, environment, n_episodes=self.n_episodes, seed=self.seed, **self.options)
        updates = self.steps * learner.updates_per_batch
        learner.entropy_weight = schedules.PolynomialDecay(self.entropy_weight, max(1, 4 * updates // 5), 0.0)
        if self.start is not None:
            learner.set_weights(_weights_of(self.start, learner))
        rate = schedules.CosineDecay(self.learning_rate, updates)
        learner.compile(optimizer=keras.optimizers.Adam(rate, global_clipnorm=self.gradient_norm))
        return learner

    def training_tasks(self, start: int = 0) -> tf.data.Dataset:
        """The endless stream of meta-batches, from round `start` on."""
        from tfmeta.tasks.task_streams import task_stream

        environment = self.make_environment()
        return task_stream(environment, meta_batch_size=self.meta_batch_size, seed=self.seed, start=start)

    def scores(self, learner: keras.Model) -> list[TrialScore]:
        """The learner's score on `test_trials` fresh tasks, in a list."""
        from tfmeta.evaluation import evaluate_agent

        return [evaluate_agent(learner, n_episodes=self.n_episodes, trials=self.test_trials, seed=TEST_SEED)]


def _weights_of(start: str, learner: keras.Model) -> list:
    """Weights of a trained agent of the same architecture."""
    import keras

    from tfmeta.app.pretrained import load_pretrained, pretrained_names

    if (path := Path(start) / "model.keras").is_file():
        other = keras.models.load_model(path, safe_mode=True)
    elif start in pretrained_names():
        other = load_pretrained(start)
    else:
        raise ValueError(f"start must be a finished run folder or a pretrained agent. Received: start={start!r}")
    shapes = [w.shape for w in learner.get_weights()]
    if [w.shape for w in other.get_weights()] != shapes:
        raise ValueError(
            f"start must have the same architecture, weights of shapes {shapes}. Received: start={start!r} with "
            f"{[w.shape for w in other.get_weights()]}"
        )
    return other.get_weights()
