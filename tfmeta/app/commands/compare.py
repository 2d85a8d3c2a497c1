"""`tfmeta compare`: several methods with several seeds, as a table and two figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmeta.app.commands import common
from tfmeta.app.methods import OTHER_NAMES
from tfmeta.app.nearest import did_you_mean
from tfmeta.app.settings import METHODS, TrainSettings, check_dataset
from tfmeta.machine import command


def compare(
    methods: Annotated[list[str], typer.Argument(help="Names as of train --method.", show_default=False)],
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each method, with seeds 0, 1, ...")] = 3,
    shots: Annotated[
        list[str] | None,
        typer.Option(help="Support images per class; several as --shots 1 5 or --shots 1,5.", show_default="1"),
    ] = None,
    n_way: Annotated[int, typer.Option(help="Classes in an episode.")] = 5,
    dataset: Annotated[str, typer.Option(help="As of train --dataset.")] = "omniglot",
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training.", show_default="10")] = None,
    steps_per_epoch: Annotated[int | None, typer.Option(help="Outer steps in an epoch.", show_default="200")] = None,
    test_episodes: Annotated[int | None, typer.Option(help="Episodes of each score.", show_default="600")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the runs; one that was stopped goes on in its own.")
    ] = Path("runs/comparison"),
    data_dir: common.DataDir = None,
):  # fmt: skip
    """Train several methods with several seeds, and write a table, their scores and their adaptation as figures.

    For example: tfmeta compare maml fomaml prototypical --seeds 3 --shots 1 5
    """
    with common.plain_errors():
        names, numbers = _parts(methods, shots)
        check_dataset(dataset)
        changes: dict[str, Any] = {"n_way": n_way, "dataset": dataset, "epochs": epochs,
                                   "steps_per_epoch": steps_per_epoch, "test_episodes": test_episodes}  # fmt: skip
        changes = {name: value for name, value in changes.items() if value is not None}
        TrainSettings(k_shot=min(numbers), **changes)  # its errors come before the data
        command.begin_work()
        from tfmeta.app import comparing, runs

        plan = comparing.planned(names, numbers, seeds, changes)
        written = comparing.compare(
            plan, out, runs.load_data(dataset, data_dir), say=typer.echo, verbose=1 if sys.stdout.isatty() else 0
        )
        for path in written:
            typer.echo(str(path))


def _parts(words: list[str], shots: list[str] | None) -> tuple[list[str], list[int]]:
    """Methods, and numbers of shots: an option takes one word, so that the 5 of `--shots 1 5` comes as a method."""
    names = [word for word in words if not word.isdecimal()]
    late = [word for word in words if word.isdecimal()]
    if late and not shots:
        raise ValueError(f"methods must be names; numbers of shots follow --shots. Received: {late[0]}")
    for name in names:
        if name not in METHODS:
            raise ValueError(
                f"methods must be among {', '.join(METHODS)}.{did_you_mean(name, METHODS, OTHER_NAMES)} "
                f"Received: {name!r}"
            )
    texts = [text for word in shots or ["1"] for text in word.split(",")] + late
    for text in texts:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"shots must be whole numbers of at least 1. Received: {text!r}")
    if not names:
        raise ValueError("methods must be named, such as maml fomaml. Received: none")
    return names, [int(text) for text in texts]
