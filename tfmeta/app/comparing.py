"""Several methods, seeds and numbers of shots: a run folder for each, and one table and two figures of all.

    FOLDER/maml-5w1s-seed0/   a run as `tfmeta train` makes it
           scores.json        mean over seeds of each method and number of shots
           table.md           the same as a table
           scores.png         accuracy against shots
           adaptation.png     accuracy against inner steps, methods without an inner loop as bands

A comparison that was stopped goes on when it is started again: runs that have ended are not trained a second time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from tfmeta.app import building, presets, runs
from tfmeta.app.settings import TrainSettings
from tfmeta.core.words import counted
from tfmeta.datasets import ImageClasses, Splits
from tfmeta.evaluation import AdaptationCurve, Score, adaptation_curve, mean_over_seeds
from tfmeta.evaluation.regression import over_trainings
from tfmeta.machine import files
from tfmeta.tasks.sampling import episode_dataset, queries_left

# Episodes of the adaptation curves, and steps that are followed at least.
_EPISODES, _BATCH, _SEED, _STEPS = 100, 20, 40_000, 5


def planned(methods: Sequence[str], shots: Sequence[int], seeds: int, changes: dict) -> list[TrainSettings]:
    """The settings of every run, method by method, and for each the shots and seeds.

    Args:
        methods: names as of `tfmeta train --method`.
        shots: support images per class.
        seeds: number of trainings of each.
        changes: settings in place of the methods' own.

    Returns:
        `len(methods) * len(shots) * seeds` settings.

    Raises:
        ValueError: if a method or a setting is wrong, something is named twice, or there is no seed.
    """
    for name, values in (("methods", methods), ("shots", shots)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} must be different ones, at least one. Received: {name}={list(values)}")
    if seeds < 1:
        raise ValueError(f"seeds must be a whole number of at least 1. Received: seeds={seeds}")
    found = []
    for method in methods:
        own = TrainSettings.from_dict(presets.defaults(method).to_dict() | {"method": method} | changes)
        found += [dataclasses.replace(own, k_shot=k, seed=seed) for k in shots for seed in range(seeds)]
    return found


def run_folder(folder: Path, settings: TrainSettings) -> Path:
    """Where a run of a comparison is.

    Args:
        folder: of the comparison.
        settings: of the run.

    Returns:
        A path below the folder.
    """
    return folder / f"{settings.method}-{settings.n_way}w{settings.k_shot}s-seed{settings.seed}"


def check_runs(folder: Path, plan: Sequence[TrainSettings]) -> None:
    """Refuse a folder whose runs have other settings, before any is trained.

    Args:
        folder: of the comparison.
        plan: the settings of every run.

    Raises:
        ValueError: naming the run and what differs.
    """
    for settings in plan:
        there = run_folder(folder, settings)
        if there.exists() and (own := runs.read_settings(there)) != settings:
            asked, kept = settings.to_dict(), own.to_dict()
            names = [name for name in asked | kept if asked.get(name) != kept.get(name)]
            differs = ", ".join(f"{name}={asked.get(name)!r} (not {kept.get(name)!r})" for name in names)
            raise ValueError(
                f"the runs of a comparison keep their settings; take another folder with --out. Received: {differs} "
                f"of {there}"
            )


def compare(
    plan: Sequence[TrainSettings], folder: Path, data: Splits, *, say: Callable[[str], None] = print, verbose: int = 0
) -> list[Path]:
    """Train what is not trained yet, and write the table and the figures.

    Args:
        plan: the settings of every run, as `planned` gives them.
        folder: of the comparison; made if needed.
        data: the data of all runs.
        say: takes a line for each run and the table.
        verbose: as for `tfmeta.app.progress.progress`.

    Returns:
        The files of the comparison.

    Raises:
        ValueError: as `check_runs` and `runs.train`.
    """
    check_runs(folder, plan)
    scores: dict[tuple[str, int], list[Score]] = {}
    curves: dict[str, list[AdaptationCurve]] = {}
    for number, settings in enumerate(plan, start=1):
        there = run_folder(folder, settings)
        if (there / "score.json").is_file():
            (_, learner), score = runs.load_run(there), runs.load_score(there)
        else:
            learner, score = runs.train(settings, there, data=data, resume=there.exists(), verbose=verbose)
        say(f"[{number}/{len(plan)}] {there.name}: {100 * score.accuracy:.2f} %")
        scores.setdefault((settings.method, settings.k_shot), []).append(score)
        if learner.has_inner_loop and settings.k_shot == plan[0].k_shot:
            curves.setdefault(settings.method, []).append(_curve(learner, settings, data.test))
    means = {key: _mean(found) for key, found in scores.items()}
    files.write_json(folder / "scores.json", [score.to_dict() for score in means.values()])
    text = table(means)
    with files.whole(folder / "table.md") as beside:
        beside.write_text(text, encoding="utf-8")
    say(text)
    lines = [_mean(found) for found in curves.values()]
    bands = [score for (method, k_shot), score in means.items() if k_shot == plan[0].k_shot and method not in curves]
    return [folder / "scores.json", folder / "table.md", *_figures(folder, list(means.values()), lines, bands)]


def table(means: dict[tuple[str, int], Score]) -> str:
    """A row for each method, a column for each number of shots.

    Args:
        means: scores by method and number of shots.

    Returns:
        Markdown: accuracies in %, with the interval that the scores have.
    """
    shots = list(dict.fromkeys(k for _, k in means))
    first = next(iter(means.values()))
    head = " | ".join(f"{first.n_way}-way {k}-shot, %" for k in shots)
    rows = [
        f"| {means[method, shots[0]].method} | "
        + " | ".join(f"{100 * means[method, k].accuracy:.1f} ± {100 * means[method, k].interval:.1f}" for k in shots)
        + " |"
        for method in dict.fromkeys(method for method, _ in means)
    ]
    ruler = "| --- |" + " ---: |" * len(shots)
    what = (
        first.model
        if over_trainings(first.model)
        else f"one training, interval over {counted(first.episodes, 'episode')}"
    )
    return "\n".join([f"| Method | {head} |", ruler, *rows, "", f"{first.data}; {what}.", ""])


def _mean(found: list):
    return mean_over_seeds(found) if len(found) > 1 else found[0]


def _curve(learner: building.Learner, settings: TrainSettings, test: ImageClasses) -> AdaptationCurve:
    sizes = {"n_way": settings.n_way, "k_shot": settings.k_shot, "n_query": queries_left(test, settings.k_shot)}
    episodes = episode_dataset(test, **sizes, meta_batch_size=_BATCH, seed=_SEED)
    return adaptation_curve(learner, episodes.take(_EPISODES // _BATCH), _STEPS)


def _figures(folder: Path, scores: list[Score], lines: list[AdaptationCurve], bands: list[Score]) -> list[Path]:
    import matplotlib

    matplotlib.use("Agg")
    from tfmeta.app.pictures import save
    from tfmeta.plotting import plot_adaptation_curve, plot_scores

    drawn = [save(plot_scores(scores), folder / "scores.png", force=True)]
    if lines:
        axes = plot_adaptation_curve([*lines, *bands], show_support=False)
        drawn.append(save(axes, folder / "adaptation.png", force=True))
    return drawn
