"""`tfmeta predict`: the classes of new pictures, learned from a few pictures of each class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfmeta.app.commands import common
from tfmeta.machine import command


def predict(
    run: Annotated[Path, typer.Argument(help="A finished run folder, or the name of a pretrained learner.")],
    more: Annotated[
        list[Path] | None, typer.Argument(help="More pictures, as a shell makes them of --images *.png.")
    ] = None,
    support: Annotated[
        Path,
        typer.Option(help="Folder with a folder of pictures per class, to learn the classes from.", show_default=False),
    ] = ...,
    images: Annotated[
        Path, typer.Option(help="Pictures to be classified: a file, or a folder of files.", show_default=False)
    ] = ...,
    out: Annotated[Path | None, typer.Option(help="A CSV file for the predictions.", show_default="none")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a CSV file that exists.")] = False,
    invert: Annotated[
        bool, typer.Option("--invert", help="Turn dark ink on white into white ink on black, as Omniglot has it.")
    ] = False,
):
    """Name the class of each picture, after learning the classes from a few pictures of each."""
    with common.plain_errors():
        if out is not None and out.exists() and not force:
            raise FileExistsError(f"{out} exists and is not overwritten; say --force to replace it")
        common.check_run(run)
        for folder in (support, images, *(more or [])):
            if not folder.exists() or (folder is support and not folder.is_dir()):
                what = "support must be a folder with a folder of pictures per class" if folder is support else (
                    "images must be a picture or a folder of pictures")  # fmt: skip
                raise FileNotFoundError(f"{what}. Received: {folder}")
        command.begin_work()
        from tfmeta.app import predicting

        settings, learner = common.load_learner(run)
        found = predicting.predict(learner, settings, support, [images, *(more or [])], invert=invert, warn=_warn)
        width = max(len(row.file) for row in found)
        for row in found:
            typer.echo(f"{row.file:{width}}  {row.name}  {100 * row.probability:.1f} %")
        if out is not None:
            predicting.write_csv(found, out)
            typer.echo(f"predictions: {out}")


def _warn(text: str) -> None:
    typer.echo(f"tfmeta: {text}", err=True)
