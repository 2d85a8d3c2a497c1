"""`tfmeta train` on streams of tasks, which are no images: curves by preset, agents by preset or by method."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import typer

from tfmeta.app.task_kinds import TASK_PRESETS, kind_of_run
from tfmeta.app.task_runs import TaskSettings
from tfmeta.app.trials.settings import METHODS, TrialSettings
from tfmeta.machine import command

_OF_IMAGES = {"dataset": "environment"}  # what the command line calls by the word for images


def takes(preset: str | None, given: dict[str, Any]) -> bool:
    """Whether a command line asks for a training on a stream of tasks, by its preset or its method."""
    return preset in TASK_PRESETS or (preset is None and given.get("method") in METHODS)


def start(preset: str | None, given: dict[str, Any], options: list[str], run_dir: Path | None, distribute: str) -> None:
    """Train in a new folder.

    Args:
        preset: one of `TASK_PRESETS`; None for a method's defaults.
        given: settings that the command line gives over them.
        options: what `--set` gave.
        run_dir: the run folder; one with the preset's name and the time by default.
        distribute: as the command line has it.

    Raises:
        ValueError: if an option is not for such tasks.
        FileExistsError: if the folder exists.
    """
    settings = TASK_PRESETS[preset].settings if preset else TrialSettings()
    agents = isinstance(settings, TrialSettings)
    fields = {field.name for field in dataclasses.fields(settings)} - {"tasks", "hidden"}
    fields -= {field for field in fields if field.endswith("options")}
    if preset:  # which has a method and tasks of its own
        fields -= {"method", "environment"}
    given = {_OF_IMAGES.get(name, name) if agents else name: value for name, value in given.items()}
    dashed = {name: f"--{next((old for old, new in _OF_IMAGES.items() if new == name), name)}" for name in given}
    others = [dashed[name].replace("_", "-") for name in given if name not in fields]
    others += ["--set"] * bool(options and not agents) + ["--distribute"] * (distribute != "none")
    if others:
        known = {"epochs", "steps_per_epoch", "meta_batch_size", "learning_rate", "seed", "method"} & fields
        known |= ({"dataset"} if "environment" in fields else set()) | ({"set"} if agents else {"k_shot", "n_query"})
        known |= set() if agents else {"inner_lr", "inner_steps", "eval_inner_steps"} & fields
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(known))
        whose = preset or settings.method
        what = "plays trials" if agents else "is trained on curves"
        raise ValueError(f"{whose} {what} and takes {names} alone. Received: {', '.join(others)}")
    name = preset or f"{settings.method}-{given.get('environment', settings.environment)}"
    folder = run_dir or Path("runs") / time.strftime(f"{name}-%Y%m%d-%H%M%S")
    if folder.exists():
        raise FileExistsError(
            f"run folder {folder} exists and is not overwritten. Choose another, or go on with it: "
            f"tfmeta train --resume {folder}"
        )
    settings = dataclasses.replace(settings, **given)
    if agents and options:
        command.begin_work()  # the options' names are those of learners and environments
        settings = settings.with_options(_read(options))
    _train(settings, folder, resume=False)


def _read(options: list[str]) -> dict[str, Any]:
    """What `--set NAME=VALUE` gave: numbers, true, false and null as such, all else as text."""
    found = {}
    for option in options:
        name, sign, value = option.partition("=")
        if not (name and sign and value):
            raise ValueError(f"--set must be NAME=VALUE. Received: {option!r}")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def go_on(folder: Path, epochs: int | None) -> None:
    """Go on with a training that was stopped.

    Args:
        folder: the run folder.
        epochs: as the command line has it.

    Raises:
        ValueError: if another number of epochs is asked for, or the settings cannot be read.
    """
    command.begin_work()
    from tfmeta.app.task_runs import read_task_settings

    settings = read_task_settings(folder, kind_of_run(folder))
    if epochs not in (None, settings.epochs):
        raise ValueError(
            f"this training is resumed to its own {settings.epochs} epochs, at the end of which its rate is 0. "
            f"Received: epochs={epochs}"
        )
    _train(settings, folder, resume=True)


def _train(settings: TaskSettings, folder: Path, *, resume: bool) -> None:
    command.begin_work()
    from tfmeta.app.task_runs import train_on_tasks

    try:
        _, scores = train_on_tasks(settings, folder, resume=resume, verbose=1 if sys.stdout.isatty() else 2)
    except KeyboardInterrupt as stop:
        typer.echo(f"\nstopped. Go on from the last epoch with: tfmeta train --resume {folder}", err=True)
        raise typer.Exit(130) from stop
    for score in scores:
        typer.echo(str(score))
    typer.echo(f"run folder: {folder}")
