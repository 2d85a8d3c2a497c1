"""Training runs in folders of their own: settings, logs, checkpoints, final model and score.

    runs/<name>/settings.json    what was asked for
                log.csv          loss and accuracy per epoch, and the seconds that its training took
                tensorboard/     the same for TensorBoard
                checkpoints/     the last two epochs (tfmeta.app.checkpoints)
                model.keras      the final learner, for keras.models.load_model
                score.json       accuracy on test classes with its interval

A run that was stopped goes on from its last checkpoint and ends as if it had never stopped: initial weights come from
the seed, each epoch's episodes from their number, and the optimizer's state from the checkpoint.
"""

from __future__ import annotations

import csv
import json
import os
import time
from pathlib import Path

import keras
import tensorflow as tf

from tfmeta import datasets
from tfmeta.app import learners
from tfmeta.app.checkpoints import Checkpoints, restore
from tfmeta.app.settings import TrainSettings
from tfmeta.datasets import ImageClasses, Splits
from tfmeta.evaluation import Score, evaluate
from tfmeta.machine import files, threads
from tfmeta.tasks.sampling import episode_dataset
from tfmeta.training import base, distribution

# Validation episodes are few and the same after every epoch, so that epochs can be compared.
_VALIDATION_TASKS, _VALIDATION_SEED = 20, 20_000
_VALIDATION_BATCHES = 5
_TEST_SEED = 30_000


class _Clock(keras.callbacks.Callback):
    """Adds each epoch's seconds of training, without validation, to what the callbacks after it log."""

    def on_epoch_begin(self, epoch, logs=None):
        self.start, self.seconds = time.perf_counter(), None

    def on_test_begin(self, logs=None):
        self.seconds = time.perf_counter() - self.start

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.perf_counter() - self.start if self.seconds is None else self.seconds


def load_data(name: str, data_dir: str | os.PathLike | None = None) -> Splits:
    """The data set that a run names.

    Args:
        name: `"omniglot"` (Vinyals split), `"omniglot-lake"`, `"glyphs"`, or a folder with a folder of images per
            class.
        data_dir: where Omniglot is kept; see `load_omniglot`.

    Returns:
        `Splits`; a folder's classes are divided 60:20:20 with seed 0, its images resized to 28x28.

    Raises:
        ValueError: if it is none of these, or the folder cannot be used.
        OmniglotUnavailableError: if Omniglot is neither at hand nor to be had.

    References:
        Vinyals et al. (2016), section 4.1.1. https://arxiv.org/abs/1606.04080
    """
    if name == "omniglot":
        return datasets.load_omniglot(data_dir=data_dir)
    if name == "omniglot-lake":
        return datasets.load_omniglot("lake", data_dir=data_dir)
    if name == "glyphs":
        return datasets.load_glyphs(0)
    if Path(name).is_dir():
        return datasets.split_classes(datasets.from_directory(name, image_size=(28, 28)))
    raise ValueError(
        f"dataset must be omniglot, omniglot-lake, glyphs or an existing folder of images. Received: dataset={name!r}"
    )


def train(
    settings: TrainSettings,
    folder: Path,
    *,
    data: Splits,
    resume: bool = False,
    verbose: int | str = "auto",
    strategy: tf.distribute.Strategy | None = None,
):
    """Train a learner in a run folder.

    Args:
        settings: what to train.
        folder: the run folder; must not exist, unless resumed.
        data: the data, `load_data(settings.dataset)`.
        resume: go on with the run in `folder`.
        verbose: Keras's progress bar.
        strategy: from `distribution.make_strategy`, for several devices or workers. Workers share the folder, and the
            first of them writes in it.

    Returns:
        The trained learner and its `Score` on the test classes.

    Raises:
        FileExistsError: if the folder exists and the run is not resumed.
        FileNotFoundError: if there is no run to resume.
        ValueError: if the data has too few classes or images, or the settings differ from those of the resumed run.
        DamagedCheckpointError: if the checkpoint cannot be used.

    References:
        Finn et al. (2017), algorithm 2. https://arxiv.org/abs/1703.03400
    """
    folder = Path(folder)
    if resume and settings != (own := read_settings(folder)):
        asked, there = settings.to_dict(), own.to_dict()
        others = ", ".join(f"{k}={asked[k]!r} (not {there[k]!r})" for k in asked if asked[k] != there[k])
        raise ValueError(f"a run is resumed with its own settings, {folder / 'settings.json'}. Received: {others}")
    strategy = strategy or tf.distribute.get_strategy()
    chief = distribution.is_chief(strategy)
    if not resume and folder.exists() and chief:
        raise FileExistsError(
            f"run folder {folder} exists and is not overwritten. Choose another, or go on with it: "
            f"tfmeta train --resume {folder}"
        )
    # The seed of initial weights is a program's affair, and a run is a program; the library itself seeds nothing.
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        learner = learners.build_learner(settings, data.train)
    episodes = {"n_way": settings.n_way, "k_shot": settings.k_shot}
    scoring = dict(episodes, n_query=_queries(data.test, settings.k_shot, 15))  # the papers' 15 queries a class
    # Their checks come before anything is written: a run must not end in "too few test classes".
    learner.check_training_data(learners.training_data(settings, data.train))
    judged = [episode_dataset(data.test, **scoring, meta_batch_size=1, seed=_TEST_SEED)]
    validation = None
    if data.validation is not None:
        n_query = _queries(data.validation, settings.k_shot, 5)
        tasks = max(1, _VALIDATION_TASKS // strategy.num_replicas_in_sync) * strategy.num_replicas_in_sync
        validation = episode_dataset(
            data.validation, **episodes, n_query=n_query, meta_batch_size=tasks, seed=_VALIDATION_SEED
        )
        validation = validation.take(_VALIDATION_BATCHES)
        judged.append(validation)
    for stream in judged:
        for first in stream.take(1):
            learner.check_episode(first)

    done = restore(learner, folder / "checkpoints") if resume else 0
    if chief:
        folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            files.write_json(folder / "settings.json", settings.to_dict())
        _forget_rows_from(folder / "log.csv", done)
    if done < settings.epochs:
        log = keras.callbacks.CSVLogger(folder / "log.csv", append=True)
        writers = [
            _Clock(),
            log,
            keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
            Checkpoints(folder / "checkpoints"),
        ]
        try:
            learner.fit(
                learners.training_data(settings, data.train, start=done * settings.steps_per_epoch),
                steps_per_epoch=settings.steps_per_epoch,
                initial_epoch=done,
                epochs=settings.epochs,
                validation_data=validation,
                verbose=verbose if chief else 0,
                callbacks=writers if chief else [],
            )
        finally:
            if log.csv_file is not None:  # which Keras leaves open when training is stopped
                log.csv_file.close()
    # All workers judge: whoever ended before the others would be taken for dead.
    score = evaluate(learner, data.test, **scoring, episodes=settings.test_episodes, seed=_TEST_SEED)
    if chief:
        with files.whole(folder / "model.keras") as beside:
            learner.save(beside)
        files.write_json(folder / "score.json", score.to_dict())
    return learner, score


def _queries(classes: ImageClasses, k_shot: int, wanted: int) -> int:
    """Queries a class: as many as wanted, or as the smallest class leaves."""
    return max(1, min(wanted, int(classes.counts.min()) - k_shot))


def read_settings(folder: Path) -> TrainSettings:
    """Settings of an existing run.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if its settings cannot be read.
    """
    path = Path(folder) / "settings.json"
    if not path.is_file():
        raise FileNotFoundError(f"a run folder has a settings.json. Received: {folder}, which has none")
    try:
        return TrainSettings.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"settings must be JSON as tfmeta wrote it ({error}). Received: {path}") from error


def load_run(folder: Path) -> tuple[TrainSettings, base.EpisodicModel]:
    """Settings and trained learner of a finished run.

    Args:
        folder: the run folder.

    Returns:
        `TrainSettings` and the learner.

    Raises:
        FileNotFoundError: if there is no run, or it has not ended.
        ValueError: if its model cannot be read.

    References:
        Keras, `keras.models.load_model`, in safe mode: nothing is unpickled.
        https://keras.io/api/models/model_saving_apis/model_saving_and_loading/
    """
    settings = read_settings(folder)
    threads.prefer_tasks()  # loading starts TensorFlow, and later it would be too late
    path = Path(folder) / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(
            f"a finished run has a model.keras. Received: {folder}, which has none; finish it with "
            f"tfmeta train --resume {folder}"
        )
    try:
        return settings, keras.models.load_model(path, safe_mode=True)
    except Exception as error:  # a damaged archive fails in zipfile, h5py or json, each in its own way
        raise ValueError(f"the model must be as tfmeta wrote it ({error}). Received: {path}") from error


def load_score(folder: Path) -> Score:
    """The test score of a finished run."""
    return Score(**json.loads((Path(folder) / "score.json").read_text(encoding="utf-8")))


def _forget_rows_from(path: Path, epoch: int) -> None:
    """Drop rows of epochs that are about to be run again: a kill can fall between log and checkpoint."""
    if not path.is_file():
        return
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    column = header.index("epoch") if "epoch" in header else None
    kept = [row for row in rows if column is not None and len(row) == len(header) and int(row[column]) < epoch]
    if not kept:
        path.unlink()
        return
    with files.whole(path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *kept])
