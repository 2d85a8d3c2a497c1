"""`tfmeta quickstart` and `tfmeta doctor`: the first two commands."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated

import typer

from tfmeta.app import readers
from tfmeta.app.commands import common
from tfmeta.app.settings import TrainSettings, check_dataset
from tfmeta.machine import command


def quickstart(
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures and models; must not exist.", show_default="runs/quickstart-DATE-TIME"),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="omniglot (falls back to glyphs), glyphs or a folder of images.")
    ] = "omniglot",
    image_size: Annotated[
        str | None,
        typer.Option(help="Height and width of a folder's images in pixels, one number or HxW.", show_default="28"),
    ] = None,
    grayscale: Annotated[bool, typer.Option("--grayscale", help="Turn a folder's images grey.")] = False,
    fractions: Annotated[
        str | None,
        typer.Option(
            help="How a folder's classes are divided, as 0.6,0.2,0.2 or 0.5,0.5.",
            show_default="0.6,0.2,0.2; two classes one to one",
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="Training time for both methods together.")] = 4.7,
    data_dir: common.DataDir = None,
):
    """Train a prototypical network and MAML, and see them classify characters they have never seen."""
    with common.plain_errors():
        reading = {"image_size": readers.image_size("image_size", image_size)} if image_size else {}
        reading |= {"grayscale": True} if grayscale else {}
        reading |= {"fractions": readers.fractions("fractions", fractions)} if fractions else {}
        TrainSettings(dataset=dataset, **reading)  # says whether they go together
        check_dataset(dataset)
        folder = out or Path("runs") / time.strftime("quickstart-%Y%m%d-%H%M%S")
        if folder.exists():
            raise FileExistsError(f"{folder} exists and is not overwritten; choose another folder with --out")
        command.begin_work()
        from tfmeta.app import quickstart as main_job

        main_job.run(folder, dataset, minutes, data_dir, reading)


def doctor(data_dir: common.DataDir = None):
    """Say which Python, TensorFlow, Keras, threads, GPU and data tfmeta sees, and what is wrong."""
    with contextlib.suppress(ImportError):  # of which the examination tells
        command.begin_work()
    from tfmeta.app.doctor import examine

    lines, healthy = examine(data_dir)
    typer.echo("\n".join(lines))
    raise typer.Exit(0 if healthy else 1)
