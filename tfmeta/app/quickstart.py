"""The main job: two meta-learners learn characters, and are judged on characters that they have never seen."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import keras

from tfmeta.algorithms.maml import MAML
from tfmeta.app import learners, pictures, runs
from tfmeta.app.presets import PRESETS
from tfmeta.app.settings import TrainSettings
from tfmeta.datasets import ImageClasses, OmniglotUnavailableError, Splits
from tfmeta.evaluation import Score, evaluate
from tfmeta.machine import files
from tfmeta.tasks.sampling import episode_dataset
from tfmeta.training.base import EpisodicModel

# Share of the training time that each method gets; MAML's step is the dearer one.
_SHARE = {"prototypical-quickstart": 0.35, "maml-quickstart": 0.65}
_TITLES = {"prototypical": "Prototypical network", "maml": "MAML"}
_EPISODES = 600
_SEED = 30_000


def run(out: Path, dataset: str = "omniglot", minutes: float = 4.7, data_dir: str | os.PathLike | None = None) -> None:
    """Train both methods, print scores before and after, write pictures and models.

    Args:
        out: folder for everything; must not exist.
        dataset: `"omniglot"`, with generated glyphs in its place where it cannot be had; or as for `runs.load_data`.
        minutes: training time for both methods together. A machine too slow for the presets' steps in that time takes
            fewer, and says so.
        data_dir: where Omniglot is kept.

    Raises:
        FileExistsError: if `out` exists.
        ValueError: if the data set is unknown or too small.

    References:
        Snell et al. (2017) https://arxiv.org/abs/1703.05175; Finn et al. (2017) https://arxiv.org/abs/1703.03400
    """
    import matplotlib

    matplotlib.use("Agg")
    out = Path(out)
    if out.exists():
        raise FileExistsError(f"{out} exists and is not overwritten; choose another folder with --out")
    started = time.monotonic()
    data = _load(dataset, data_dir)
    test = data.test
    presets = {name: _fit_ways(PRESETS[name].settings, data) for name in _SHARE}
    for settings in presets.values():  # these checks come before anything is written
        learners.training_data(settings, data.train)
    episode_dataset(test, n_way=5, k_shot=1, n_query=_queries(test), meta_batch_size=1, seed=_SEED)
    print(f"Learning from {data.train.n_classes} classes, judging on {test.n_classes} others: {test.name}\n")
    out.mkdir(parents=True)

    scores: dict[str, dict[str, Score]] = {}
    for number, (name, share) in enumerate(_SHARE.items(), start=1):
        settings = presets[name]
        untrained = _score(_build(settings, test), test)
        settings = _fit_into(settings, data, 60 * minutes * share)
        learner = _build(settings, test)
        title = _TITLES[settings.method]
        print(
            f"[{number}/{len(_SHARE)}] {title}: {settings.steps} steps of {settings.meta_batch_size} tasks, "
            f"{settings.train_way or settings.n_way}-way {settings.k_shot}-shot"
        )
        episodes = learners.training_data(settings, data.train)
        learner.fit(episodes, epochs=settings.epochs, steps_per_epoch=settings.steps_per_epoch)
        print()
        scores[settings.method] = {
            "untrained": untrained,
            "before": _before(learner, test),
            "after": _score(learner, test),
        }
        with files.whole(out / f"{settings.method}.keras") as beside:
            learner.save(beside)
        _draw(learner, settings.method, test, out)
    found = {method: {k: v and v.to_dict() for k, v in row.items()} for method, row in scores.items()}
    files.write_json(out / "scores.json", found)

    print(f"Accuracy on characters never seen in training ({test.name}, 5-way 1-shot, 95 % interval):\n")
    print(f"{'':22}{'untrained':>18}{'before adaptation':>20}{'after adaptation':>20}")
    for method, row in scores.items():
        cells = (
            _short(row["untrained"]),
            _short(row["before"]) if row["before"] else "chance (20 %)",
            _short(row["after"]),
        )
        print(f"{_TITLES[method]:22}{cells[0]:>18}{cells[1]:>20}{cells[2]:>20}")
    print("\nIn full:")
    for row in scores.values():
        print(f"  {row['after']}")
    print(f"\nAll in {(time.monotonic() - started) / 60:.1f} minutes. Pictures and models are in {out}/ :")
    for path in sorted(out.iterdir()):
        print(f"  {path}")
    print("\nNext: `make lab` opens the tutorials; start with tutorials/01_tasks_and_episodes.ipynb")
    print(f"      (without make: jupyter lab tutorials). To use a model: keras.models.load_model('{out}/maml.keras')")


def _load(dataset: str, data_dir) -> Splits:
    try:
        return runs.load_data(dataset, data_dir)
    except OmniglotUnavailableError as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        print(f"Omniglot cannot be had ({reason}); learning on tfmeta's generated glyphs instead.")
        return runs.load_data("glyphs")


def _fit_ways(settings: TrainSettings, data: Splits) -> TrainSettings:
    """Fewer ways in training where a folder has fewer classes than the 60 of the preset."""
    if settings.train_way is None:
        return settings
    return dataclasses.replace(settings, train_way=min(settings.train_way, data.train.n_classes))


def _queries(test) -> int:
    return max(1, min(15, int(test.counts.min()) - 1))


def _build(settings: TrainSettings, test: ImageClasses) -> EpisodicModel:
    keras.utils.set_random_seed(settings.seed)  # a program may seed Keras; the library does not
    return learners.build_learner(settings, test)


def _short(score: Score) -> str:
    return f"{100 * score.accuracy:.1f} % +- {100 * score.interval:.1f}"


def _score(learner: EpisodicModel, test: ImageClasses) -> Score:
    return evaluate(learner, test, n_way=5, k_shot=1, n_query=_queries(test), episodes=_EPISODES, seed=_SEED)


def _before(learner: EpisodicModel, test: ImageClasses) -> Score | None:
    """The trained learner without its inner steps. A prototypical network has no classes before it has prototypes."""
    if not isinstance(learner, MAML):
        return None
    unadapted = MAML(learner.learner, inner_lr=learner.inner_lr, eval_inner_steps=0)
    return _score(unadapted, test)


def _fit_into(settings: TrainSettings, data: Splits, seconds: float) -> TrainSettings:
    """Fewer steps where this machine would need more than the seconds given."""
    learner = learners.build_learner(settings, data.train)
    probe = 20
    episodes = iter(learners.training_data(settings, data.train))
    learner.make_train_function()
    step = learner.train_function
    step(episodes)  # traces
    clock = time.monotonic()
    for _ in range(probe):
        step(episodes)
    possible = int(seconds / ((time.monotonic() - clock) / probe))
    if 1.1 * possible >= settings.steps:  # a few steps are a rough measure
        return settings
    per_epoch = max(1, possible // settings.epochs)
    print(f"This machine has time for {per_epoch * settings.epochs} of {settings.steps} steps; accuracy will be lower.")
    return dataclasses.replace(settings, steps_per_epoch=per_epoch)


def _draw(learner, method: str, test, out: Path) -> None:
    task = {"n_way": 5, "k_shot": 1, "seed": 7}
    pictures.draw_episode(learner, test, out / f"episode-{method}.png", **task)
    if method == "maml":
        pictures.draw_adaptation(learner, test, out / "adaptation.png", **task)
    else:
        pictures.draw_embedding(learner, test, out / "embedding.png", **task)
