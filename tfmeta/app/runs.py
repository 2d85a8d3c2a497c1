"""Training runs in folders of their own: settings, logs, checkpoints, final model and score.

    runs/<name>/settings.json    all settings of the run
                SHA256SUMS       hashes of the files that are finished, compared when they are read
                log.csv          loss and accuracy per epoch, and the seconds that its training took
                tensorboard/     the same for TensorBoard
                checkpoints/     the last two epochs (tfmeta.app.checkpoints)
                model.keras      the final learner, for keras.models.load_model
                score.json       accuracy on test classes with its interval
                extensions.json  only of a run that was made longer: the epochs it had, and those done then

A run that was stopped goes on from its last checkpoint and ends as if it had never stopped: initial weights come from
the seed, each epoch's episodes from their number, and the optimizer's state from the checkpoint. A run may be resumed
to another number of epochs (tfmeta.app.extension).
"""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import keras
import tensorflow as tf

from tfmeta.app import building, extension, logs
from tfmeta.app.building import Learner
from tfmeta.app.checkpoints import Checkpoints, restore
from tfmeta.app.data import load_data
from tfmeta.app.progress import progress
from tfmeta.app.settings import TrainSettings
from tfmeta.datasets import ImageClasses, Splits
from tfmeta.evaluation import Score, evaluate
from tfmeta.machine import command, files, threads
from tfmeta.tasks.sampling import episode_dataset, queries_left
from tfmeta.training import distribution
from tfmeta.training.scale import Scale

__all__ = ["load_data", "load_run", "load_score", "read_settings", "train"]

# Validation episodes are few and the same after every epoch, so that epochs can be compared.
_VALIDATION_TASKS, _VALIDATION_SEED = 20, 20_000
_VALIDATION_BATCHES = 5
_TEST_SEED = 30_000


def train(
    settings: TrainSettings,
    folder: Path,
    *,
    data: Splits,
    resume: bool = False,
    verbose: int | str = "auto",
    strategy: tf.distribute.Strategy | None = None,
):
    """Train a learner in a run folder: check, build, resume, fit, judge, write.

    Args:
        settings: of the run.
        folder: the run folder; must not exist, unless resumed.
        data: the data, `load_data(settings.dataset)`.
        resume: go on with the run in `folder`. Its settings must be `settings`, but for `epochs`, which may be more, or
            fewer down to those that are done.
        verbose: as for `tfmeta.app.progress.progress`.
        strategy: from `distribution.make_strategy`, for several devices or workers. Workers share the folder, and the
            first of them writes in it.

    Returns:
        The trained learner and its `Score` on the test classes.

    Raises:
        FileExistsError: if the folder exists and the run is not resumed.
        BlockingIOError: if another process trains in the folder.
        FileNotFoundError: if there is no run to resume.
        ValueError: if the data has too few classes or images, or the settings differ from those of the resumed run.
        DamagedCheckpointError: if the checkpoint cannot be used.
    """
    folder = Path(folder)
    strategy = strategy or tf.distribute.get_strategy()
    chief = distribution.is_chief(strategy)
    _check_folder(settings, folder, resume, chief)
    # The seed of initial weights is a program's affair, and a run is a program; the library itself seeds nothing.
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        learner = building.build_learner(settings, data.train)
    validation = _validation_episodes(settings, data.validation, strategy.num_replicas_in_sync)
    # Its checks come before anything is written: a run must not end in "too few test classes".
    _check_data(learner, settings, data, validation)

    if chief:
        folder.mkdir(parents=True, exist_ok=resume)
    with files.alone_in(folder) if chief else contextlib.nullcontext():
        score = _train_in(folder, learner, settings, data, validation, resume, verbose, chief)
    return learner, score


def _train_in(
    folder: Path,
    learner: Learner,
    settings: TrainSettings,
    data: Splits,
    validation: tf.data.Dataset | None,
    resume: bool,
    verbose: int | str,
    chief: bool,
) -> Score:
    """The part of a run that reads and writes its folder."""
    done = restore(learner, folder / "checkpoints") if resume else 0
    if chief:
        if not resume:
            files.write_json(folder / "settings.json", settings.to_dict())
        elif (own := read_settings(folder)) != settings:
            extension.begin(folder, own, settings, done)
        files.write_sums(folder, ["settings.json"])
        logs.forget_rows_from(folder / "log.csv", done)
    if done < settings.epochs:
        _fit(learner, settings, folder, data.train, validation, done, verbose, chief)
    # All workers judge: whoever ended before the others would be taken for dead.
    judged = _judging(settings, data.test)
    score = evaluate(learner, data.test, **judged, episodes=settings.test_episodes, seed=_TEST_SEED)
    if chief:
        with files.whole(folder / "model.keras") as beside:
            learner.save(beside)
        files.write_json(folder / "score.json", score.to_dict())
        files.write_sums(folder, ["settings.json", "log.csv", "model.keras", "score.json"])
    return score


def _check_folder(settings: TrainSettings, folder: Path, resume: bool, chief: bool) -> None:
    """Refuse a folder that exists, or settings that are not those of the run to resume."""
    if resume and settings != (own := read_settings(folder)):
        asked, there = settings.to_dict(), own.to_dict()
        names = [name for name in asked | there if asked.get(name) != there.get(name)]
        if names == ["epochs"]:
            extension.check(folder, own, settings)
            return
        others = ", ".join(f"{name}={asked.get(name)!r} (not {there.get(name)!r})" for name in names)
        raise ValueError(
            f"a run is resumed with its own settings, {folder / 'settings.json'}, or with another number of epochs. "
            f"Received: {others}"
        )
    if not resume and folder.exists() and chief:
        raise FileExistsError(
            f"run folder {folder} exists and is not overwritten. Choose another, or go on with it: "
            f"tfmeta train --resume {folder}"
        )


def _judging(settings: TrainSettings, classes: ImageClasses, at_most: int = 15) -> dict[str, int]:
    """The sizes of an episode that judges the learner, with the papers' 15 queries a class where there are so many."""
    k_shot = settings.k_shot
    return {"n_way": settings.n_way, "k_shot": k_shot, "n_query": queries_left(classes, k_shot, at_most)}


def _validation_episodes(
    settings: TrainSettings, classes: ImageClasses | None, replicas: int
) -> tf.data.Dataset | None:
    """The meta-batches that are judged after every epoch, each with a multiple of `replicas` tasks."""
    if classes is None:
        return None
    tasks = max(1, _VALIDATION_TASKS // replicas) * replicas
    sizes = _judging(settings, classes, at_most=5)
    return episode_dataset(classes, **sizes, meta_batch_size=tasks, seed=_VALIDATION_SEED).take(_VALIDATION_BATCHES)


def _check_data(learner: Learner, settings: TrainSettings, data: Splits, validation: tf.data.Dataset | None) -> None:
    """Refuse data that has too few classes or images, or that the learner cannot take."""
    learner.check_training_data(building.training_data(settings, data.train))
    test = episode_dataset(data.test, **_judging(settings, data.test), meta_batch_size=1, seed=_TEST_SEED)
    for episodes in (test, validation):
        if episodes is not None:
            learner.check_episode(next(iter(episodes)))


def _fit(
    learner: Learner,
    settings: TrainSettings,
    folder: Path,
    train: ImageClasses,
    validation: tf.data.Dataset | None,
    done: int,
    verbose: int | str,
    chief: bool,
) -> None:
    """Train from epoch number `done` to the last; the chief shows progress, and writes logs and checkpoints."""
    board = keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False)
    with logs.logged(folder / "log.csv") as log:
        writers = [logs.Clock(), log, board, Checkpoints(folder / "checkpoints")]
        learner.fit(
            building.training_data(settings, train, start=done * settings.steps_per_epoch),
            steps_per_epoch=settings.steps_per_epoch,
            initial_epoch=done,
            epochs=settings.epochs,
            validation_data=validation,
            verbose=0,
            callbacks=[*writers, *progress(settings.epochs, verbose)] if chief else [],
        )


def read_settings(folder: Path) -> TrainSettings:
    """Read the settings of an existing run.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if its settings cannot be read.
    """
    path = Path(folder) / "settings.json"
    if not path.is_file():
        raise FileNotFoundError(f"a run folder has a settings.json. Received: {folder}, which has none")
    files.check_sum(path)
    try:
        return TrainSettings.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"settings must be JSON as tfmeta wrote it ({error}). Received: {path}") from error


def load_run(folder: Path) -> tuple[TrainSettings, Learner]:
    """Load the settings and the trained learner of a finished run; nothing in it is unpickled.

    Args:
        folder: the run folder.

    Returns:
        `TrainSettings` and the learner.

    Raises:
        FileNotFoundError: if there is no run, or it has not ended.
        ValueError: if its model cannot be read.
    """
    settings = read_settings(folder)
    command.begin_work()  # Keras must know the classes
    threads.prefer_tasks()  # loading starts TensorFlow, and later it would be too late
    path = Path(folder) / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(
            f"a finished run has a model.keras. Received: {folder}, which has none; finish it with "
            f"tfmeta train --resume {folder}"
        )
    files.check_sum(path)
    try:
        learner = keras.models.load_model(path, safe_mode=True)
    except Exception as error:  # a damaged archive fails in zipfile, h5py or json, each in its own way
        raise ValueError(f"the model must be as tfmeta wrote it ({error}). Received: {path}") from error
    if learner.input_scale is None:  # written before learners kept it; runs are on images from 0 to 1
        learner.input_scale = Scale(0.0, 1.0, math.nan)
    return settings, learner


def load_score(folder: Path) -> Score:
    """Read the test score of a finished run.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it cannot be read.
    """
    path = Path(folder) / "score.json"
    files.check_sum(path)
    try:
        return Score(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a score must be JSON as tfmeta wrote it ({error}). Received: {path}") from error
