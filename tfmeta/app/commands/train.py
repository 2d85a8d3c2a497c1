"""`tfmeta train` and `tfmeta presets`."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, get_type_hints

import typer

from tfmeta.app import presets as known
from tfmeta.app.commands import common, on_tasks
from tfmeta.app.methods import RECIPES
from tfmeta.app.settings import METHODS, TrainSettings, check_dataset
from tfmeta.app.task_kinds import TASK_PRESETS, kind_of_run
from tfmeta.machine import command

_DIVIDED = "0.6,0.2,0.2; two classes one to one"


def _default(field: dataclasses.Field) -> str | bool:
    """A setting's default in words, where no preset is named."""
    if field.name in ("method", "dataset", "seed", "image_size"):
        return str(field.default)
    if field.name == "fractions":
        return _DIVIDED
    if field.name == "grayscale":
        return False
    values = {method: getattr(known.defaults(method), field.name) for method in METHODS}
    words = "none" if values["maml"] is None else str(values["maml"])
    return words if len(set(values.values())) == 1 else f"by the method; maml {words}"


def _options_of_settings(function: Callable) -> Callable:
    """Give a command an option for every field of `TrainSettings`, in place of its `**given`.

    Typer reads a command's options from its signature. The fields have names, types and help already, so the signature
    is made from them, and the command does not list them a second time.
    """
    signature = inspect.signature(function, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    types = get_type_hints(TrainSettings)

    def option(field: dataclasses.Field) -> inspect.Parameter:
        # What has a reader is read by the settings, from a text.
        kind = str if "read" in field.metadata and types[field.name] is not bool else types[field.name]
        names = ["--" + field.name.replace("_", "-")]  # said, else a switch would get a --no- beside it
        info = typer.Option(*names, help=field.metadata["help"], show_default=_default(field))
        return inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
        )

    fields = [field for field in dataclasses.fields(TrainSettings) if field.name != "options"]  # which --set gives
    function.__signature__ = signature.replace(parameters=[*own, *map(option, fields)])
    return function


@_options_of_settings
def train(
    *,
    preset: Annotated[
        str | None,
        typer.Option(help="Start from a preset's settings instead of the defaults below.", show_default="none"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the method; see presets. May be repeated."),
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Run folder; must not exist.", show_default="runs/METHOD-5w1s-DATE-TIME")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, with --epochs to that many in all.")
    ] = None,
    distribute: Annotated[str, typer.Option(help="none, devices or workers; see docs/devices.md.")] = "none",
    data_dir: common.DataDir = None,
    **given,
):
    """Train a learner in a run folder; stopped runs go on with --resume, finished ones with --resume and --epochs.

    A run that is resumed with more --epochs than it had keeps its settings. A cosine or linear schedule then ends at
    the new last step, so that its rate is higher again where the run goes on: its result is not that of one longer run.
    With the constant schedule it is.
    """
    given = {name: value for name, value in given.items() if value is not None}
    with common.plain_errors():
        if resume is not None:
            others = {"set": set_, "preset": preset, "run_dir": run_dir}
            named = [*(name for name in given if name != "epochs"), *(name for name, value in others.items() if value)]
            if named:
                raise ValueError(
                    "a run is resumed with its own settings, without other options than --epochs. "
                    f"Received: {', '.join(named)}"
                )
            common.check_run_folder(resume)
            settings, folder = None, resume
            if kind_of_run(resume):
                return on_tasks.go_on(resume, given.get("epochs"))
        elif on_tasks.takes(preset, given):
            return on_tasks.start(preset, given, set_ or [], run_dir, distribute)
        else:
            settings = _settings(preset, given, set_ or [])
            check_dataset(settings.dataset)
            name = time.strftime(f"{settings.method}-{settings.n_way}w{settings.k_shot}s-%Y%m%d-%H%M%S")
            folder = run_dir or Path("runs") / name
            if folder.exists() and distribute != "workers":  # before the data is loaded
                raise FileExistsError(f"run folder {folder} exists and is not overwritten. "
                                      f"Choose another, or go on with it: tfmeta train --resume {folder}")  # fmt: skip
        return _run(settings, folder, given.get("epochs"), distribute, data_dir)


def _run(
    settings: TrainSettings | None, folder: Path, epochs: int | None, distribute: str, data_dir: Path | None
) -> None:
    """Train a new run, or go on with the one in the folder where no settings are given."""
    command.begin_work()
    from tfmeta.app import breadth, data, extension, runs
    from tfmeta.training import distribution

    resume = settings is None
    if resume:
        own = runs.read_settings(folder)
        settings = own if epochs is None else dataclasses.replace(own, epochs=epochs)
        extension.check(folder, own, settings)
    strategy = distribution.make_strategy(distribute)  # before the data: it must be TensorFlow's first work
    splits = runs.load_data(settings.dataset, data_dir, **data.how_to_read(settings))
    if resume and (settings != own or extension.read(folder)) and (reason := extension.differs_from_one_run(settings)):
        typer.echo(f"note: {reason} ends at the new last step; the result is not that of one run of {settings.epochs} "
                   "epochs")  # fmt: skip
    try:
        _, score = runs.train(
            settings, folder, data=splits, resume=resume, verbose=1 if sys.stdout.isatty() else 2, strategy=strategy,
        )  # fmt: skip
    except KeyboardInterrupt as stop:
        if (folder / "settings.json").is_file():  # else there is nothing yet to go on with
            typer.echo(f"\nstopped. Go on from the last epoch with: tfmeta train --resume {folder}", err=True)
        raise typer.Exit(130) from stop
    typer.echo(str(score))
    if note := breadth.note(score, splits.test):
        typer.echo(note)
    if stale := extension.stale_pictures(folder):
        typer.echo(f"pictures of the run as it was: {', '.join(stale)}; tfmeta plot {folder} --force draws them anew")
    typer.echo(f"run folder: {folder}")


def _settings(preset: str | None, given: dict, options: list[str]) -> TrainSettings:
    """The settings of a preset or of a method, with what the command line gives over them."""
    base = known.preset(preset).settings if preset else known.defaults(given.get("method", TrainSettings().method))
    settings = TrainSettings.from_dict(base.to_dict() | given)
    changed = settings.options | settings.recipe.read_options(options)
    return dataclasses.replace(settings, options=changed)


def presets(
    name: Annotated[
        str | None, typer.Argument(help="A preset to describe.", show_default="the names of all presets")
    ] = None,
):
    """List the presets, or describe one: settings, source, each difference from the paper, the method's options."""
    with common.plain_errors():
        if name in TASK_PRESETS:
            return typer.echo(TASK_PRESETS[name].describe(name))
        lines = [known.describe(name), *_options(name)] if name else [*known.PRESETS, *TASK_PRESETS]
        return typer.echo("\n".join(lines))


def _options(preset: str) -> list[str]:
    """Lines for the options that `--set` gives to a preset's method."""
    return [f"  --set:      {option}" for option in RECIPES[known.preset(preset).settings.method].options]
