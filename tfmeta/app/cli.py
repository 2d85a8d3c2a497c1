"""The `tfmeta` command: quickstart, train, presets, evaluate, plot, doctor.

Each command imports what it needs, so that a mistyped option is answered before any data is looked at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, get_type_hints

import typer

from tfmeta.app.settings import TrainSettings

app = typer.Typer(
    help="Learn, use and see meta-learning in TensorFlow.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip

DataDir = Annotated[Path | None, typer.Option(help="Where Omniglot is kept. Default: data/ of a checkout.")]


@contextlib.contextmanager
def plain_errors():
    """Turn the library's errors into one line and exit status 2."""
    try:
        yield
    except typer.Exit:  # a RuntimeError by descent, but a status that has been chosen already
        raise
    except (ValueError, OSError, RuntimeError) as error:
        typer.echo(f"tfmeta: {error}", err=True)
        raise typer.Exit(2) from error


@app.command()
def quickstart(
    out: Annotated[Path | None, typer.Option(help="Folder for pictures and models; must not exist.")] = None,
    dataset: Annotated[
        str, typer.Option(help="omniglot (falls back to glyphs), glyphs or a folder of images.")
    ] = "omniglot",
    minutes: Annotated[float, typer.Option(min=0.01, help="Training time for both methods together.")] = 4.7,
    data_dir: DataDir = None,
):
    """Train a prototypical network and MAML, and see them classify characters they have never seen."""
    with plain_errors():
        from tfmeta.app import quickstart as main_job

        main_job.run(out or Path("runs") / time.strftime("quickstart-%Y%m%d-%H%M%S"), dataset, minutes, data_dir)


def _options_of_settings(command: Callable) -> Callable:
    """Give a command an option for every field of `TrainSettings`, in place of its `**given`.

    Typer reads a command's options from its signature. The fields have names, types and help already, so the signature
    is made from them, and the command does not list them a second time.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    types = get_type_hints(TrainSettings)
    settings = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=None,
            annotation=Annotated[types[field.name] | None, typer.Option(help=field.metadata["help"])],
        )
        for field in dataclasses.fields(TrainSettings)
        if field.name != "options"  # which --set gives
    ]  # fmt: skip
    command.__signature__ = signature.replace(parameters=[*own, *settings])
    return command


@app.command()
@_options_of_settings
def train(
    *,
    preset: Annotated[str | None, typer.Option(help="Start from a preset's settings.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the method; see presets. May be repeated."),
    ] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Run folder; must not exist.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    distribute: Annotated[
        str, typer.Option(help="none, devices or workers; see tutorials/several_machines.md.")
    ] = "none",
    data_dir: DataDir = None,
    **given,
):
    """Train a learner in a run folder; stopped runs go on with --resume."""
    given = {name: value for name, value in given.items() if value is not None}
    with plain_errors():
        from tfmeta.app import runs
        from tfmeta.training import distribution

        if resume is not None:
            others = {"set": set_, "preset": preset, "run_dir": run_dir}
            named = [*given, *(name for name, value in others.items() if value)]
            if named:
                raise ValueError(
                    f"a run is resumed with its own settings, without other options. Received: {', '.join(named)}"
                )
            settings, folder = runs.read_settings(resume), resume
        else:
            settings = _settings(preset, given, set_ or [])
            name = time.strftime(f"{settings.method}-{settings.n_way}w{settings.k_shot}s-%Y%m%d-%H%M%S")
            folder = run_dir or Path("runs") / name
            if folder.exists() and distribute != "workers":  # before the data is loaded
                raise FileExistsError(f"run folder {folder} exists and is not overwritten. "
                                      f"Choose another, or go on with it: tfmeta train --resume {folder}")  # fmt: skip
        strategy = distribution.make_strategy(distribute)  # before the data: it must be TensorFlow's first work
        data = runs.load_data(settings.dataset, data_dir)
        try:
            _, score = runs.train(
                settings, folder, data=data, resume=resume is not None, verbose=1 if sys.stdout.isatty() else 2,
                strategy=strategy,
            )  # fmt: skip
        except KeyboardInterrupt as stop:
            if (folder / "settings.json").is_file():  # else there is nothing yet to go on with
                typer.echo(f"\nstopped. Go on from the last epoch with: tfmeta train --resume {folder}", err=True)
            raise typer.Exit(130) from stop
    typer.echo(f"{score}\nrun folder: {folder}")


def _settings(preset: str | None, given: dict, options: list[str]) -> TrainSettings:
    """The settings of a preset or of a method, with what the command line gives over them."""
    from tfmeta.app import presets as known

    base = known.preset(preset).settings if preset else known.defaults(given.get("method", TrainSettings().method))
    settings = TrainSettings.from_dict(base.to_dict() | given)
    changed = settings.options | settings.recipe.read_options(options)
    return dataclasses.replace(settings, options=changed)


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="A preset to describe; all names by default.")] = None,
):
    """List the presets, or describe one: settings, source, each difference from the paper, the method's options."""
    with plain_errors():
        from tfmeta.app import presets as known

        typer.echo("\n".join([known.describe(name), *_options(name)] if name else known.PRESETS))


def _options(preset: str) -> list[str]:
    """Lines for the options that `--set` gives to a preset's method."""
    from tfmeta.app import presets as known

    return [f"  --set:      {option}" for option in known.preset(preset).settings.recipe.options]


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder, or the name of a pretrained learner.")],
    dataset: Annotated[str | None, typer.Option(help="Another data set to be judged on.")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test classes.")] = "test",
    n_way: Annotated[int | None, typer.Option(help="Classes in an episode.")] = None,
    k_shot: Annotated[int | None, typer.Option(help="Support images per class.")] = None,
    n_query: Annotated[
        int | None, typer.Option(help="Query images per class; by default 15, or what the smallest class leaves.")
    ] = None,
    episodes: Annotated[int, typer.Option(help="Number of episodes.")] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the episodes.")] = 30_000,
    transductive: Annotated[bool, typer.Option(help="Let batch norm see all queries together, or one by one.")] = True,
    data_dir: DataDir = None,
):
    """Accuracy of a trained run on new episodes, with its 95 % interval."""
    with plain_errors():
        from tfmeta import evaluation
        from tfmeta.app import pretrained, runs
        from tfmeta.tasks.sampling import queries_left

        if split not in ("train", "validation", "test"):
            raise ValueError(f"split must be train, validation or test. Received: split={split!r}")
        if str(run) in pretrained.pretrained_names() and not run.exists():
            settings, learner = pretrained.pretrained_card(str(run)).settings, pretrained.load_pretrained(str(run))
        else:
            settings, learner = runs.load_run(run)
        classes = getattr(runs.load_data(dataset or settings.dataset, data_dir), split)
        if classes is None:
            raise ValueError(f"{dataset or settings.dataset} defines no validation classes. Received: split={split!r}")
        # `or` would take a mistyped 0 for "not given".
        k_shot = settings.k_shot if k_shot is None else k_shot
        score = evaluation.evaluate(
            learner, classes, n_way=settings.n_way if n_way is None else n_way, k_shot=k_shot,
            n_query=queries_left(classes, k_shot) if n_query is None else n_query,
            episodes=episodes, seed=seed, transductive=transductive,
        )  # fmt: skip
    typer.echo(str(score))


@app.command()
def plot(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the PNGs; the run folder by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the episode that is drawn.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace pictures that exist.")] = False,
    data_dir: DataDir = None,
):
    """Draw a run: log, an episode with predictions, the adaptation curve or the embedding."""
    with plain_errors():
        from tfmeta.app import pictures, runs

        settings, learner = runs.load_run(run)
        test = runs.load_data(settings.dataset, data_dir).test
        for path in pictures.draw_run(run, settings, learner, test, out or run, seed=seed, force=force):
            typer.echo(str(path))


@app.command()
def doctor(data_dir: DataDir = None):
    """Say which Python, TensorFlow, Keras, threads, GPU and data tfmeta sees, and what is wrong."""
    from tfmeta.app.doctor import examine

    lines, healthy = examine(data_dir)
    typer.echo("\n".join(lines))
    raise typer.Exit(0 if healthy else 1)


def main():
    """Entry point of the `tfmeta` command."""
    with contextlib.suppress(BrokenPipeError):
        app()


if __name__ == "__main__":
    main()
