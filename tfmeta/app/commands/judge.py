"""`tfmeta evaluate` and `tfmeta plot`: a trained learner on episodes of new classes, as a score and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfmeta.app.commands import common, on_trials

Run = Annotated[Path, typer.Argument(help="A finished run folder, or the name of a pretrained learner.")]
Trials = Annotated[int | None, typer.Option(help="Of an agent: number of trials.", show_default="10000")]
TrialEpisodes = Annotated[
    int | None, typer.Option(help="Of an agent: episodes of a trial.", show_default="those of training")
]


def check_no_trials(run: Path, **given: int | None) -> None:
    """Refuse options of agents for a learner of images.

    Raises:
        ValueError: naming what was given.
    """
    if others := [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]:
        raise ValueError(f"trials are played by agents, and {run} is none. Received: {', '.join(others)}")


def evaluate(
    run: Run,
    dataset: common.Dataset = None,
    split: common.Split = "test",
    n_way: common.NWay = None,
    k_shot: common.KShot = None,
    n_query: Annotated[
        int | None,
        typer.Option(help="Query images per class.", show_default="15, or what the smallest class leaves"),
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="Number of episodes.", show_default="600")] = None,
    trials: Trials = None,
    trial_episodes: TrialEpisodes = None,
    seed: Annotated[int, typer.Option(help="Seed of the episodes.")] = 30_000,
    transductive: Annotated[bool, typer.Option(help="Let batch norm see all queries together, or one by one.")] = True,
    grayscale: common.Grayscale = False,
    fractions: common.Fractions = None,
    data_dir: common.DataDir = None,
):
    """Accuracy of a trained run or a pretrained learner on new episodes, with its 95 % interval; an agent's reward."""
    with common.plain_errors():
        if on_trials.is_agent(run):
            others = {"dataset": dataset, "n_way": n_way, "k_shot": k_shot, "n_query": n_query, "episodes": episodes,
                      "grayscale": grayscale, "fractions": fractions, "data_dir": data_dir}  # fmt: skip
            on_trials.check_others(run, "--trials, --trial-episodes and --seed", others)
            return on_trials.evaluate(run, trial_episodes, trials, seed)
        check_no_trials(run, trials=trials, trial_episodes=trial_episodes)
        judged = common.load_judged(run, dataset, split, n_way, k_shot, grayscale, fractions, data_dir)
        from tfmeta import evaluation
        from tfmeta.app import breadth
        from tfmeta.tasks.sampling import queries_left

        sizes = {"n_way": judged.n_way, "k_shot": judged.k_shot}
        sizes["n_query"] = queries_left(judged.classes, judged.k_shot) if n_query is None else n_query
        sizes["episodes"] = 600 if episodes is None else episodes
        score = evaluation.evaluate(judged.learner, judged.classes, **sizes, seed=seed, transductive=transductive)
        typer.echo(str(score))
        if note := breadth.note(score, judged.classes):
            typer.echo(note)
        return None


def plot(
    run: Run,
    dataset: common.Dataset = None,
    split: common.Split = "test",
    n_way: common.NWay = None,
    k_shot: common.KShot = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the PNGs.", show_default="the run folder")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of what is drawn.", show_default="0")] = None,
    trial_episodes: TrialEpisodes = None,
    force: Annotated[bool, typer.Option("--force", help="Replace pictures that exist.")] = False,
    grayscale: common.Grayscale = False,
    fractions: common.Fractions = None,
    data_dir: common.DataDir = None,
):
    """Draw a run or a pretrained learner: log, an episode with predictions, the adaptation curve or the embedding."""
    with common.plain_errors():
        pretrained, agent = common.is_pretrained(run), on_trials.is_agent(run)
        if pretrained and out is None:
            raise ValueError(f"a pretrained learner has no folder for pictures: name one with --out. Received: {run}")
        if agent:
            others = {"dataset": dataset, "n_way": n_way, "k_shot": k_shot, "grayscale": grayscale,
                      "fractions": fractions, "data_dir": data_dir}  # fmt: skip
            on_trials.check_others(run, "--trial-episodes, --out, --seed and --force", others)
            for path in on_trials.plot(run, trial_episodes, out or run, seed, force=force):
                typer.echo(str(path))
            return
        check_no_trials(run, trial_episodes=trial_episodes)
        judged = common.load_judged(run, dataset, split, n_way, k_shot, grayscale, fractions, data_dir)
        from tfmeta.app import pictures

        drawn = pictures.draw_run(
            None if pretrained else run, judged.learner, judged.classes, out or run,
            n_way=judged.n_way, k_shot=judged.k_shot, seed=0 if seed is None else seed, force=force,
        )  # fmt: skip
        for path in drawn:
            typer.echo(str(path))
