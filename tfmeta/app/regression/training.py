"""A training on regression tasks in a folder of its own, as runs on images have one.

    <folder>/settings.json    all settings
             SHA256SUMS       hashes of the files that are finished
             log.csv          loss and seconds of every epoch
             checkpoints/     the last two epochs
             model.keras      the final learner
             score.json       its loss on fresh tasks, after 0 and more inner steps where it has an inner loop

A training that was stopped goes on from its last checkpoint and ends as if it had never stopped.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras

from tfmeta.app import logs
from tfmeta.app.checkpoints import Checkpoints, restore
from tfmeta.app.progress import progress
from tfmeta.app.regression.settings import RegressionSettings
from tfmeta.evaluation import RegressionScore, evaluate
from tfmeta.machine import files


def train_regression(
    settings: RegressionSettings, folder: Path, *, resume: bool = False, verbose: int | str = "auto"
) -> tuple[keras.Model, list[RegressionScore]]:
    """Train a learner on regression tasks: build, resume, fit, judge, write.

    Args:
        settings: of the training.
        folder: must not exist, unless resumed.
        resume: go on with the training in `folder`, whose settings must be these.
        verbose: as for `tfmeta.app.progress.progress`.

    Returns:
        The trained learner and its `scores`.

    Raises:
        FileExistsError: if the folder exists and the training is not resumed.
        FileNotFoundError: if there is no training to resume.
        ValueError: if its settings are others.

    References:
        Finn et al. (2017), section 5.1. https://arxiv.org/abs/1703.03400
    """
    folder = Path(folder)
    if resume and (own := read_regression_settings(folder)) != settings:
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
        found = scores(learner, settings)
        with files.whole(folder / "model.keras") as beside:
            learner.save(beside)
        files.write_json(folder / "score.json", [score.to_dict() for score in found])
        files.write_sums(folder, ["settings.json", "log.csv", "model.keras", "score.json"])
    return learner, found


def scores(learner: keras.Model, settings: RegressionSettings) -> list[RegressionScore]:
    """Judge a learner on fresh tasks.

    Args:
        learner: trained.
        settings: of its training.

    Returns:
        One score for each number of inner steps: none, one, those of training, and twice those; one score in all for a
        learner without an inner loop.

    References:
        Finn et al. (2017), figure 3. https://arxiv.org/abs/1703.03400
    """
    tasks = settings.test_stream()
    if not learner.has_inner_loop:
        return [evaluate(learner, tasks)]
    own, found = learner.eval_inner_steps, []
    try:
        for steps in sorted({0, 1, settings.eval_inner_steps, 2 * settings.eval_inner_steps}):
            learner.eval_inner_steps = steps
            found.append(evaluate(learner, tasks))
    finally:
        learner.eval_inner_steps = own
    return found


def read_regression_settings(folder: Path) -> RegressionSettings:
    """Read the settings of a training on regression tasks.

    Args:
        folder: of the training.

    Returns:
        Its `RegressionSettings`.

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
        return RegressionSettings.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"settings must be JSON as tfmeta wrote it ({error}). Received: {path}") from error
