"""The main job: two meta-learners learn characters, and are judged on characters that they have never seen."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import time
from pathlib import Path
from typing import Any

import keras

from tfmeta.app import building, pictures, pretrained, runs
from tfmeta.app.building import Learner
from tfmeta.app.presets import PRESETS
from tfmeta.app.progress import progress
from tfmeta.app.settings import TrainSettings
from tfmeta.core.validation import check_number
from tfmeta.datasets import ImageClasses, OmniglotUnavailableError, Splits
from tfmeta.evaluation import Score, evaluate
from tfmeta.machine import files
from tfmeta.tasks.sampling import episode_dataset, queries_left

# Share of the training time that each method gets; MAML's step is the dearer one.
_SHARE = {"prototypical-quickstart": 0.35, "maml-quickstart": 0.65}
_TITLES = {"prototypical": "Prototypical network", "maml": "MAML"}
_EPISODES = 600
_SEED = 30_000


@dataclasses.dataclass
class _Training:
    """One method's part: settings as planned and as this machine has time for, and the minutes for all steps.

    `minutes` are those of `--minutes`, of which the method gets its share.
    """

    planned: TrainSettings
    taken: TrainSettings
    minutes: float

    @property
    def title(self) -> str:
        return _TITLES[self.planned.method]


def run(
    out: Path, dataset: str = "omniglot", minutes: float = 4.7, data_dir: str | os.PathLike | None = None,
    reading: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Train both methods, print scores before and after, write pictures and models.

    Args:
        out: folder for everything; must not exist.
        dataset: `"omniglot"`, with generated glyphs in its place where it cannot be had; or as for `runs.load_data`.
        minutes: training time for both methods together. A machine too slow for the presets' steps in that time takes
            fewer. It says so before it starts, and at the end how many minutes it needs for all.
        data_dir: where Omniglot is kept.
        reading: how a folder of images is read and divided, the further arguments of `runs.load_data`.

    Raises:
        FileExistsError: if `out` exists.
        ValueError: if the data set is unknown or too small.

    References:
        Snell et al. (2017) https://arxiv.org/abs/1703.05175; Finn et al. (2017) https://arxiv.org/abs/1703.03400
    """
    import matplotlib

    matplotlib.use("Agg")
    check_number("minutes", minutes, above=True)
    out = Path(out)
    if out.exists():
        raise FileExistsError(f"{out} exists and is not overwritten; choose another folder with --out")
    started = time.monotonic()
    reading = reading or {}
    data = _load(dataset, data_dir, reading)
    test = data.test
    presets = {name: _fit_ways(PRESETS[name].settings, data) for name in _SHARE}
    for settings in presets.values():  # these checks come before anything is written
        building.training_data(settings, data.train)
    episode_dataset(test, n_way=5, k_shot=1, n_query=queries_left(test, 1), meta_batch_size=1, seed=_SEED)
    print(f"Learning from {data.train.n_classes} classes, judging on {test.n_classes} others: {test.name}\n")
    out.mkdir(parents=True)

    trainings: dict[str, _Training] = {}
    scores: dict[str, dict[str, Score | None]] = {}
    for number, (name, settings) in enumerate(presets.items(), start=1):
        untrained = _score(_build(settings, test), test)
        trainings[name] = training = _fit_into(settings, data, minutes, _SHARE[name])
        learner = _train(training, data, f"[{number}/{len(_SHARE)}]")
        before, after = _before(learner, training.taken, test), _score(learner, test)
        scores[settings.method] = {"untrained": untrained, "before": before, "after": after}
        with files.whole(out / f"{settings.method}.keras") as beside:
            learner.save(beside)
        _draw(learner, settings.method, test, out)
    found = {method: {k: v and v.to_dict() for k, v in row.items()} for method, row in scores.items()}
    files.write_json(out / "scores.json", found)

    print(f"Accuracy on characters never seen in training ({test.name}, 5-way 1-shot, 95 % interval):\n")
    _print_scores(scores)
    for line in _what_all_steps_reach(trainings, test.name, dataset, data_dir, reading):
        print(line)
    print(f"\nAll in {(time.monotonic() - started) / 60:.1f} minutes. Pictures and models are in {out}/ :")
    for path in sorted(out.iterdir()):
        print(f"  {path}")
    print("\nNext: `make lab` opens the tutorials; start with tutorials/01_tasks_and_episodes.ipynb")
    print("      (without make: jupyter lab tutorials). To use a model in Python:")
    print(f"      import tfmeta, keras; learner = keras.models.load_model('{out}/maml.keras')")


def _load(dataset: str, data_dir, reading: dict[str, Any]) -> Splits:
    try:
        return runs.load_data(dataset, data_dir, **reading)
    except OmniglotUnavailableError as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        print(f"Omniglot cannot be had ({reason}); learning on tfmeta's generated glyphs instead.")
        return runs.load_data("glyphs")


def _fit_ways(settings: TrainSettings, data: Splits) -> TrainSettings:
    """Fewer ways in training where a folder has fewer classes than the 60 of the preset."""
    if settings.train_way is None:
        return settings
    return dataclasses.replace(settings, train_way=min(settings.train_way, data.train.n_classes))


def _build(settings: TrainSettings, classes: ImageClasses) -> Learner:
    keras.utils.set_random_seed(settings.seed)  # a program may seed Keras; the library does not
    return building.build_learner(settings, classes)


def _train(training: _Training, data: Splits, number: str) -> Learner:
    """Train the steps that there is time for, and say which."""
    settings = training.taken
    learner = _build(settings, data.test)
    print(
        f"{number} {training.title}: {settings.steps} steps of {settings.meta_batch_size} tasks, "
        f"{settings.train_way or settings.n_way}-way {settings.k_shot}-shot"
    )
    episodes = building.training_data(settings, data.train)
    learner.fit(episodes, epochs=settings.epochs, steps_per_epoch=settings.steps_per_epoch, verbose=0,
                callbacks=progress(settings.epochs, "auto"))  # fmt: skip
    print()
    return learner


def _score(learner: Learner, test: ImageClasses) -> Score:
    return evaluate(learner, test, n_way=5, k_shot=1, n_query=queries_left(test, 1), episodes=_EPISODES, seed=_SEED)


def _before(learner: Learner, settings: TrainSettings, test: ImageClasses) -> Score | None:
    """The trained learner without its inner steps. A prototypical network has no classes before it has prototypes."""
    if not learner.has_inner_loop:
        return None
    unadapted = _build(dataclasses.replace(settings, eval_inner_steps=0), test)
    unadapted.set_weights(learner.get_weights())
    return _score(unadapted, test)


def _fit_into(settings: TrainSettings, data: Splits, minutes: float, share: float) -> _Training:
    """Fewer steps where this machine would need more than its share of the minutes."""
    learner = building.build_learner(settings, data.train)
    probe = 20
    episodes = iter(building.training_data(settings, data.train))
    learner.make_train_function()
    step = learner.train_function
    step(episodes)  # traces
    clock = time.monotonic()
    for _ in range(probe):
        step(episodes)
    seconds = (time.monotonic() - clock) / probe
    possible = int(60 * minutes * share / seconds)
    needed = settings.steps * seconds / share / 60
    if 1.1 * possible >= settings.steps:  # a few steps are a rough measure
        return _Training(settings, settings, needed)
    per_epoch = max(1, possible // settings.epochs)
    print(f"This machine has time for {per_epoch * settings.epochs} of {settings.steps} steps; accuracy will be lower.")
    return _Training(settings, dataclasses.replace(settings, steps_per_epoch=per_epoch), needed)


def _short(score: Score | dict[str, Any]) -> str:
    """An accuracy with its interval, of a score or of a row of a results file."""
    fields = score if isinstance(score, dict) else score.to_dict()
    return f"{100 * fields['accuracy']:.1f} % +- {100 * fields['interval']:.1f}"


def _print_scores(scores: dict[str, dict[str, Score | None]]) -> None:
    print(f"{'':22}{'untrained':>18}{'before adaptation':>20}{'after adaptation':>20}")
    for method, row in scores.items():
        before = _short(row["before"]) if row["before"] else "chance (20 %)"
        print(f"{_TITLES[method]:22}{_short(row['untrained']):>18}{before:>20}{_short(row['after']):>20}")
    print("\nIn full:")
    for row in scores.values():
        print(f"  {row['after']}")


def _what_all_steps_reach(
    trainings: dict[str, _Training], test: str, dataset: str, data_dir, reading: dict[str, Any] | None = None
) -> list[str]:
    """Lines for trainings that were cut short: steps taken, accuracy after all of them, and how to take them all.

    The accuracies are those of the pretrained learners' cards, which are for Omniglot's test characters only.
    """
    short = {name: training for name, training in trainings.items() if training.taken != training.planned}
    if not short:
        return []
    lines = ["", "There was no time for all steps here:"]
    for name, training in short.items():
        line = f"  {training.title}: {training.taken.steps} of {training.planned.steps} steps"
        row = pretrained.pretrained_card(name).row
        if row["scores"][0]["data"] == test:
            line += f"; {row['steps']} steps reach {_short(row['scores'][0])}"
        lines.append(line)
    options = ["--minutes", str(math.ceil(max(training.minutes for training in trainings.values())))]
    options += ["--dataset", dataset] * (dataset != "omniglot") + ["--data-dir", str(data_dir)] * (data_dir is not None)
    options += _as_options(reading or {})
    return [*lines, f"For the full run at this speed: tfmeta quickstart {shlex.join(options)}"]


def _as_options(reading: dict[str, Any]) -> list[str]:
    """The command's options for a way to read a folder."""
    options = ["--grayscale"] * reading.get("grayscale", False)
    for name, mark in (("image_size", "x"), ("fractions", ",")):
        if (value := reading.get(name)) is not None:
            words = mark.join(map(str, value)) if isinstance(value, tuple) else str(value)
            options += [f"--{name.replace('_', '-')}", words]
    return options


def _draw(learner: Learner, method: str, test: ImageClasses, out: Path) -> None:
    task = {"n_way": 5, "k_shot": 1, "seed": 7}
    pictures.draw_episode(learner, test, out / f"episode-{method}.png", **task)
    if method == "maml":
        pictures.draw_adaptation(learner, test, out / "adaptation.png", **task)
    else:
        pictures.draw_embedding(learner, test, out / "embedding.png", **task)
