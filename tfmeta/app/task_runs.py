"""A training on a stream of tasks in a folder of its own, as runs on images have one.

    <folder>/settings.json    all settings
             SHA256SUMS       hashes of the files that are finished
             log.csv          loss and seconds of every epoch
             checkpoints/     the last two epochs
             model.keras      the final learner
             score.json       its scores on fresh tasks

A training that was stopped goes on from its last checkpoint and ends as if it had never stopped.
"""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tfmeta.app.nearest import did_you_mean
from tfmeta.machine import files

if TYPE_CHECKING:  # imported when there is work to do, see tfmeta/machine/command.py
    import keras
    import tensorflow as tf


class TaskSettings(abc.ABC):
    """Settings of a training on a stream of tasks. Abstract; the kinds are frozen dataclasses.

    References:
        Mitchell et al. (2019), "Model Cards for Model Reporting". https://arxiv.org/abs/1810.03993
    """

    epochs: int
    steps_per_epoch: int
    seed: int

    def check_fields(self, names: dict[str, Collection[str]], may_be_zero: Collection[str]) -> None:
        """Refuse values out of range, by the fields' types: names, whole numbers, positive numbers, dictionaries.

        Args:
            names: for fields that are names, those that there are.
            may_be_zero: fields of numbers that may be 0.

        Raises:
            ValueError: naming the field.
        """
        for name, known in names.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}.{did_you_mean(str(value), known)} "
                    f"Received: {name}={value!r}"
                )
        for field in dataclasses.fields(self):
            value, zero = getattr(self, field.name), field.name in may_be_zero
            whole = isinstance(value, int) and not isinstance(value, bool)
            if field.type == "int" and not (whole and value >= (0 if zero else 1)):
                least = 0 if zero else 1
                raise ValueError(
                    f"{field.name} must be a whole number of at least {least}. Received: {field.name}={value!r}"
                )
            number = (whole or isinstance(value, float)) and 0 <= value < float("inf")
            optional = field.type == "float | None" and value is None
            if field.type in ("float", "float | None") and not optional and not (number and (zero or value > 0)):
                wanted = "a number of at least 0" if zero else "a positive number"
                raise ValueError(f"{field.name} must be {wanted}. Received: {field.name}={value!r}")
            if field.type == "dict[str, Any]" and not isinstance(value, dict):
                raise ValueError(f"{field.name} must be a dictionary. Received: {field.name}={value!r}")

    steps = property(lambda self: self.epochs * self.steps_per_epoch, doc="Meta-batches in all.")

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        fields = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TaskSettings:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: if a field is unknown or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(fields) - set(known)):
            raise ValueError(f"settings must be among {', '.join(known)}. Received: {', '.join(unknown)}")
        return cls(**fields)

    @abc.abstractmethod
    def build(self) -> keras.Model:
        """The learner, compiled; initial weights come from Keras's seed."""

    @abc.abstractmethod
    def training_tasks(self, start: int = 0) -> tf.data.Dataset:
        """The endless stream of meta-batches, from number `start` on."""

    @abc.abstractmethod
    def scores(self, learner: keras.Model) -> list:
        """The learner's scores on fresh tasks, each with `to_dict` and one line as its text."""


Kind = TypeVar("Kind", bound=TaskSettings)


@dataclasses.dataclass(frozen=True)
class TaskPreset:
    """Settings with their source.

    Args:
        settings: of the training.
        source: the paper and the place in it.
        deviations: each difference from the source, with its reason.

    References:
        Mitchell et al. (2019), "Model Cards for Model Reporting". https://arxiv.org/abs/1810.03993
    """

    settings: TaskSettings
    source: str
    deviations: tuple[str, ...] = ()

    def describe(self, name: str) -> str:
        """The preset in words: settings, source, deviations.

        Args:
            name: of the preset.

        Returns:
            Several lines of text.
        """
        lines = [
            name,
            "  settings:   " + ", ".join(f"{key}={value}" for key, value in self.settings.to_dict().items()),
            f"  source:     {self.source}",
        ]
        return "\n".join(lines + [f"  deviation:  {text}" for text in self.deviations])


def train_on_tasks(
    settings: TaskSettings, folder: Path, *, resume: bool = False, verbose: int | str = "auto"
) -> tuple[keras.Model, list]:
    """Train a learner on a stream of tasks: build, resume, fit, judge, write.

    Args:
        settings: of the training.
        folder: must not exist, unless resumed.
        resume: go on with the training in `folder`, whose settings must be these.
        verbose: as for `tfmeta.app.progress.progress`.

    Returns:
        The trained learner and its scores.

    Raises:
        FileExistsError: if the folder exists and the training is not resumed.
        FileNotFoundError: if there is no training to resume.
        ValueError: if its settings are others.

    References:
        Finn et al. (2017), section 5.1. https://arxiv.org/abs/1703.03400
    """
    import keras

    from tfmeta.app import logs
    from tfmeta.app.checkpoints import Checkpoints, restore
    from tfmeta.app.progress import progress

    folder = Path(folder)
    if resume and (own := read_task_settings(folder, type(settings))) != settings:
        raise ValueError(f"a training is resumed with its own settings, {own}. Received: settings={settings}")
    if not resume and folder.exists():
        raise FileExistsError(f"folder {folder} exists and is not overwritten. Choose another, or resume it.")
    keras.utils.set_random_seed(settings.seed)
    learner = settings.build()
    folder.mkdir(parents=True, exist_ok=resume)
    with files.alone_in(folder):
        done = restore(learner, folder / "checkpoints") if resume else 0
        files.write_json(folder / "settings.json", settings.to_dict())
        files.write_sums(folder, ["settings.json"])
        logs.forget_rows_from(folder / "log.csv", done)
        if done < settings.epochs:
            with logs.logged(folder / "log.csv") as log:
                writers = [logs.Clock(), log, Checkpoints(folder / "checkpoints")]
                learner.fit(
                    settings.training_tasks(done * settings.steps_per_epoch),
                    steps_per_epoch=settings.steps_per_epoch, initial_epoch=done, epochs=settings.epochs, verbose=0,
                    callbacks=[*writers, *progress(settings.epochs, verbose)],
                )  # fmt: skip
        found = settings.scores(learner)
        with files.whole(folder / "model.keras") as beside:
            learner.save(beside)
        files.write_json(folder / "score.json", [score.to_dict() for score in found])
        files.write_sums(folder, ["settings.json", "log.csv", "model.keras", "score.json"])
    return learner, found


def read_task_settings(folder: Path, kind: type[Kind]) -> Kind:
    """Read the settings of a training on a stream of tasks.

    Args:
        folder: of the training.
        kind: class of the settings.

    Returns:
        They.

    Raises:
        FileNotFoundError: if the folder holds none.
        ValueError: if its settings cannot be read.

    References:
        Mitchell et al. (2019), "Model Cards for Model Reporting". https://arxiv.org/abs/1810.03993
    """
    path = Path(folder) / "settings.json"
    if not path.is_file():
        raise FileNotFoundError(f"a training's folder has a settings.json. Received: {folder}, which has none")
    files.check_sum(path)
    try:
        return kind.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"settings must be JSON as tfmeta wrote it ({error}). Received: {path}") from error


def has_setting(folder: Path, name: str) -> bool:
    """Whether a folder holds a training whose settings have a field of this name, by which kinds of runs differ.

    Args:
        folder: any folder.
        name: of the field.

    Returns:
        False for what cannot be read, which whoever reads the run says.
    """
    try:
        return name in json.loads((Path(folder) / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
