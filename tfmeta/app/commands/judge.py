"""`tfmeta evaluate` and `tfmeta plot`: a trained learner on episodes of new classes, as a score and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfmeta.app.commands import common

Run = Annotated[Path, typer.Argument(help="A finished run folder, or the name of a pretrained learner.")]


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
    episodes: Annotated[int, typer.Option(help="Number of episodes.")] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the episodes.")] = 30_000,
    transductive: Annotated[bool, typer.Option(help="Let batch norm see all queries together, or one by one.")] = True,
    grayscale: common.Grayscale = False,
    fractions: common.Fractions = None,
    data_dir: common.DataDir = None,
):
    """Accuracy of a trained run or a pretrained learner on new episodes, with its 95 % interval."""
    with common.plain_errors():
        judged = common.load_judged(run, dataset, split, n_way, k_shot, grayscale, fractions, data_dir)
        from tfmeta import evaluation
        from tfmeta.app import breadth
        from tfmeta.tasks.sampling import queries_left

        sizes = {"n_way": judged.n_way, "k_shot": judged.k_shot}
        sizes["n_query"] = queries_left(judged.classes, judged.k_shot) if n_query is None else n_query
        score = evaluation.evaluate(
            judged.learner, judged.classes, **sizes, episodes=episodes, seed=seed, transductive=transductive
        )
        typer.echo(str(score))
        if note := breadth.note(score, judged.classes):
            typer.echo(note)


def plot(
    run: Run,
    dataset: common.Dataset = None,
    split: common.Split = "test",
    n_way: common.NWay = None,
    k_shot: common.KShot = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the PNGs.", show_default="the run folder")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the episode that is drawn.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace pictures that exist.")] = False,
    grayscale: common.Grayscale = False,
    fractions: common.Fractions = None,
    data_dir: common.DataDir = None,
):
    """Draw a run or a pretrained learner: log, an episode with predictions, the adaptation curve or the embedding."""
    with common.plain_errors():
        pretrained = common.is_pretrained(run)
        if pretrained and out is None:
            raise ValueError(f"a pretrained learner has no folder for pictures: name one with --out. Received: {run}")
        judged = common.load_judged(run, dataset, split, n_way, k_shot, grayscale, fractions, data_dir)
        from tfmeta.app import pictures

        drawn = pictures.draw_run(
            None if pretrained else run, judged.learner, judged.classes, out or run,
            n_way=judged.n_way, k_shot=judged.k_shot, seed=seed, force=force,
        )  # fmt: skip
        for path in drawn:
            typer.echo(str(path))
