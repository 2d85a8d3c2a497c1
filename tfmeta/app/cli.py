"""The `tfmeta` command: quickstart, train, presets, evaluate, plot, predict, compare, doctor.

The subcommands are functions in `tfmeta/app/commands`, a file for each subject.
"""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from tfmeta.app.commands import compare, judge, predict, start
from tfmeta.app.commands import train as training
from tfmeta.version import __version__

app = typer.Typer(
    help="Learn, use and see meta-learning in TensorFlow.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tfmeta {__version__}")
        raise typer.Exit


@app.callback()
def every_command(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_print_version, is_eager=True)
    ] = False,
):
    """Learn, use and see meta-learning in TensorFlow."""


# In the order of `tfmeta --help`.
for _function in (
    start.quickstart, training.train, training.presets, judge.evaluate, judge.plot, predict.predict, compare.compare,
    start.doctor,
):  # fmt: skip
    app.command()(_function)


def main():
    """Entry point of the `tfmeta` command."""
    with contextlib.suppress(BrokenPipeError):
        app(prog_name="tfmeta")


if __name__ == "__main__":
    main()
