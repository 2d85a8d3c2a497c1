"""Everything that defines a training on regression tasks, in one frozen record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfmeta.app.task_runs import TaskSettings

if TYPE_CHECKING:  # imported when there is work to do, see tfmeta/machine/command.py
    import keras
    import tensorflow as tf

    from tfmeta.evaluation import RegressionScore

# Test tasks of all methods are the same, and are met in no training.
TEST_SEED = 30_000


def _sinusoids(**sizes) -> tf.data.Dataset:
    from tfmeta.tasks.sinusoid import sinusoid_episodes

    return sinusoid_episodes(**sizes)


def _sine_or_line(**sizes) -> tf.data.Dataset:
    from tfmeta.tasks.ambiguous import sine_or_line_episodes

    return sine_or_line_episodes(**sizes)


TASKS: dict[str, Callable[..., tf.data.Dataset]] = {"sinusoids": _sinusoids, "sine-or-line": _sine_or_line}


def _network(settings: RegressionSettings) -> keras.Model:
    from tfmeta import networks

    return networks.mlp(hidden=settings.hidden)


def _alpaca(settings: RegressionSettings) -> keras.Model:
    from tfmeta import networks
    from tfmeta.algorithms.alpaca import BayesianLinearRegressor

    *hidden, features = settings.hidden
    return BayesianLinearRegressor(networks.mlp(features, hidden=hidden, activation="tanh"), **settings.options)


def _ensemble(settings: RegressionSettings) -> keras.Model:
    from tfmeta.algorithms.ensemble import MAMLEnsemble

    return MAMLEnsemble(_network(settings), **settings.inner_loop, **settings.options)


def _platipus(settings: RegressionSettings) -> keras.Model:
    from tfmeta.algorithms.platipus import PLATIPUS
    from tfmeta.app.pretrained import load_pretrained

    options = dict(settings.options)
    if (name := options.pop("from_pretrained", None)) is None:
        return PLATIPUS(_network(settings), **settings.inner_loop, **options)
    return PLATIPUS.from_learner(load_pretrained(name), **settings.inner_loop, **options)


def _maml(settings: RegressionSettings) -> keras.Model:
    from tfmeta.algorithms.maml import MAML

    return MAML(_network(settings), **settings.inner_loop, **settings.options)


def _lstm(settings: RegressionSettings) -> keras.Model:
    from tfmeta.algorithms.lstm_meta_learner import LSTMMetaLearner

    steps = {name: value for name, value in settings.inner_loop.items() if name != "inner_lr"}
    return LSTMMetaLearner(_network(settings), **steps, **settings.options)


# method -> the learner, not compiled
METHODS: dict[str, Callable[[RegressionSettings], keras.Model]] = {
    "maml": _maml, "lstm": _lstm, "alpaca": _alpaca, "ensemble": _ensemble, "platipus": _platipus,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class RegressionSettings(TaskSettings):
    """Settings of a training on regression tasks.

    Args:
        method: one of `METHODS`.
        tasks: one of `TASKS`.
        k_shot: support points of a task.
        n_query: query points in training.
        meta_batch_size: tasks in an outer step.
        epochs: each followed by a checkpoint.
        steps_per_epoch: outer steps in an epoch.
        learning_rate: of Adam at the first step; it falls to 0 along a cosine.
        clip: the largest global norm of an outer gradient; None for any.
        hidden: widths of the network's hidden layers; of ALPaCA the last one is that of its features.
        inner_lr: inner step size on the mean support loss.
        inner_steps: in training.
        eval_inner_steps: when scored.
        test_tasks: of the final score, with 100 queries each.
        seed: of initial weights and tasks.
        options: further arguments of the learner; of PLATIPUS also `from_pretrained`, the MAML that it begins with.

    Raises:
        ValueError: if the method or the tasks are unknown, or a size or a rate is not positive.

    References:
        Finn et al. (2017), section 5.1. https://arxiv.org/abs/1703.03400
    """

    method: str
    tasks: str = "sinusoids"
    k_shot: int = 10
    n_query: int = 10
    meta_batch_size: int = 10
    epochs: int = 10
    steps_per_epoch: int = 1000
    learning_rate: float = 1e-3
    clip: float | None = None
    hidden: tuple[int, ...] = (40, 40)
    inner_lr: float = 0.01
    inner_steps: int = 5
    eval_inner_steps: int = 5
    test_tasks: int = 1000
    seed: int = 0
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self):
        self.check_fields({"method": METHODS, "tasks": TASKS}, may_be_zero=("seed", "inner_steps", "eval_inner_steps"))
        widths = self.hidden
        if not isinstance(widths, list | tuple) or any(type(width) is not int or width < 1 for width in widths):
            raise ValueError(f"hidden must be widths of layers, each at least 1. Received: hidden={widths!r}")
        object.__setattr__(self, "hidden", tuple(widths))

    @property
    def inner_loop(self) -> dict[str, Any]:
        """The arguments that learners with an inner loop have in common."""
        return {name: getattr(self, name) for name in ("inner_lr", "inner_steps", "eval_inner_steps")}

    def build(self) -> keras.Model:
        """The learner, compiled; initial weights come from Keras's seed."""
        import keras

        learner = METHODS[self.method](self)
        rate = keras.optimizers.schedules.CosineDecay(self.learning_rate, self.steps)
        learner.compile(optimizer=keras.optimizers.Adam(rate, global_clipnorm=self.clip))
        return learner

    def training_tasks(self, start: int = 0) -> tf.data.Dataset:
        """The endless stream of meta-batches, from outer step `start` on."""
        sizes = {"k_shot": self.k_shot, "n_query": self.n_query, "meta_batch_size": self.meta_batch_size}
        return TASKS[self.tasks](**sizes, seed=self.seed, start=start)

    def test_stream(self) -> tf.data.Dataset:
        """A finite stream of `test_tasks` fresh tasks with 100 queries each."""
        batch = next(n for n in (50, 20, 10, 5, 2, 1) if self.test_tasks % n == 0)
        stream = TASKS[self.tasks](k_shot=self.k_shot, n_query=100, meta_batch_size=batch, seed=TEST_SEED)
        return stream.take(self.test_tasks // batch)

    def scores(self, learner: keras.Model) -> list[RegressionScore]:
        """Judge a learner on fresh tasks.

        Args:
            learner: trained.

        Returns:
            One score for each number of inner steps: none, one, those of training, and twice those; one score in all
            for a learner without an inner loop.
        """
        from tfmeta.evaluation import evaluate

        tasks = self.test_stream()
        if not learner.has_inner_loop:
            return [evaluate(learner, tasks)]
        own, found = learner.eval_inner_steps, []
        try:
            for steps in sorted({0, 1, self.eval_inner_steps, 2 * self.eval_inner_steps}):
                learner.eval_inner_steps = steps
                found.append(evaluate(learner, tasks))
        finally:
            learner.eval_inner_steps = own
        return found
