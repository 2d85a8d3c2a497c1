"""`tfmeta train --preset NAME` for the presets of regression tasks, which are no images."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import typer

from tfmeta.app.regression.presets import REGRESSION
from tfmeta.app.regression.settings import RegressionSettings
from tfmeta.machine import command


def is_run(folder: Path) -> bool:
    """Whether a folder holds a training on regression tasks."""
    try:
        return "tasks" in json.loads((Path(folder) / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # which whoever reads the run says
        return False


def start(preset: str, given: dict[str, Any], options: list[str], run_dir: Path | None, distribute: str) -> None:
    """Train a preset in a new folder.

    Args:
        preset: one of `REGRESSION`.
        given: settings that the command line gives over the preset's.
        options: what `--set` gave.
        run_dir: the run folder; one with the preset's name and the time by default.
        distribute: as the command line has it.

    Raises:
        ValueError: if an option is not for regression tasks.
        FileExistsError: if the folder exists.
    """
    settings = REGRESSION[preset].settings
    fields = {field.name for field in dataclasses.fields(settings)} - {"method", "tasks", "hidden", "options"}
    others = [f"--{name.replace('_', '-')}" for name in given if name not in fields]
    others += ["--set"] * bool(options) + ["--distribute"] * (distribute != "none")
    if others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(fields - {"test_tasks", "clip"}))
        raise ValueError(f"{preset} is trained on curves and takes {names} alone. Received: {', '.join(others)}")
    folder = run_dir or Path("runs") / time.strftime(f"{preset}-%Y%m%d-%H%M%S")
    if folder.exists():
        raise FileExistsError(
            f"run folder {folder} exists and is not overwritten. Choose another, or go on with it: "
            f"tfmeta train --resume {folder}"
        )
    _train(dataclasses.replace(settings, **given), folder, resume=False)


def go_on(folder: Path, epochs: int | None) -> None:
    """Go on with a training that was stopped.

    Args:
        folder: the run folder.
        epochs: as the command line has it.

    Raises:
        ValueError: if another number of epochs is asked for, or the settings cannot be read.
    """
    command.begin_work()
    from tfmeta.app.regression.training import read_regression_settings

    settings = read_regression_settings(folder)
    if epochs not in (None, settings.epochs):
        raise ValueError(
            f"a training on curves is resumed to its own {settings.epochs} epochs, at the end of which its rate is 0. "
            f"Received: epochs={epochs}"
        )
    _train(settings, folder, resume=True)


def _train(settings: RegressionSettings, folder: Path, *, resume: bool) -> None:
    command.begin_work()
    from tfmeta.app.regression.training import train_regression

    try:
        _, scores = train_regression(settings, folder, resume=resume, verbose=1 if sys.stdout.isatty() else 2)
    except KeyboardInterrupt as stop:
        typer.echo(f"\nstopped. Go on from the last epoch with: tfmeta train --resume {folder}", err=True)
        raise typer.Exit(130) from stop
    for score in scores:
        typer.echo(str(score))
    typer.echo(f"run folder: {folder}")
