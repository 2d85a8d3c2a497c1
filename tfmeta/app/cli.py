"""The `tfmeta` command: quickstart, train, presets, evaluate, plot, doctor.

Each command imports what it needs, so that a mistyped option is answered before any data is looked at.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from tfmeta.app.settings import METHODS

app = typer.Typer(
    help="Learn, use and see meta-learning in TensorFlow.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip

DataDir = Annotated[Optional[Path], typer.Option(help="Where Omniglot is kept. Default: data/ of a checkout.")]  # noqa: UP045


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
    out: Annotated[Optional[Path], typer.Option(help="Folder for pictures and models; must not exist.")] = None,  # noqa: UP045
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


@app.command()
def train(
    preset: Annotated[Optional[str], typer.Option(help="Start from a preset's settings.")] = None,  # noqa: UP045
    method: Annotated[Optional[str], typer.Option(help=f"One of {', '.join(METHODS)}; maml by default.")] = None,  # noqa: UP045
    dataset: Annotated[Optional[str], typer.Option(help="omniglot, omniglot-lake, glyphs or a folder.")] = None,  # noqa: UP045
    n_way: Annotated[Optional[int], typer.Option(help="Classes in an episode.")] = None,  # noqa: UP045
    train_way: Annotated[Optional[int], typer.Option(help="Classes in a training episode.")] = None,  # noqa: UP045
    k_shot: Annotated[Optional[int], typer.Option(help="Support images per class.")] = None,  # noqa: UP045
    train_shot: Annotated[Optional[int], typer.Option(help="Support images per class in training.")] = None,  # noqa: UP045
    n_query: Annotated[Optional[int], typer.Option(help="Query images per class in training.")] = None,  # noqa: UP045
    meta_batch_size: Annotated[Optional[int], typer.Option(help="Tasks in an outer step.")] = None,  # noqa: UP045
    epochs: Annotated[Optional[int], typer.Option(help="Epochs; a checkpoint after each.")] = None,  # noqa: UP045
    steps_per_epoch: Annotated[Optional[int], typer.Option(help="Outer steps in an epoch.")] = None,  # noqa: UP045
    optimizer: Annotated[Optional[str], typer.Option(help="Outer optimizer, adam or sgd.")] = None,  # noqa: UP045
    learning_rate: Annotated[Optional[float], typer.Option(help="Outer step size.")] = None,  # noqa: UP045
    schedule: Annotated[Optional[str], typer.Option(help="cosine, linear or constant.")] = None,  # noqa: UP045
    filters: Annotated[Optional[int], typer.Option(help="Channels of conv4.")] = None,  # noqa: UP045
    downsample: Annotated[Optional[str], typer.Option(help="stride or pool.")] = None,  # noqa: UP045
    inner_lr: Annotated[Optional[float], typer.Option(help="Inner step size.")] = None,  # noqa: UP045
    inner_steps: Annotated[Optional[int], typer.Option(help="Inner steps in training.")] = None,  # noqa: UP045
    eval_inner_steps: Annotated[Optional[int], typer.Option(help="Inner steps when scored.")] = None,  # noqa: UP045
    inner_batch_size: Annotated[Optional[int], typer.Option(help="Images in an inner step (Reptile).")] = None,  # noqa: UP045
    eval_inner_batch_size: Annotated[Optional[int], typer.Option(help="The same when scored.")] = None,  # noqa: UP045
    test_episodes: Annotated[Optional[int], typer.Option(help="Episodes of the final score.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="Seed of weights and episodes.")] = None,  # noqa: UP045
    run_dir: Annotated[Optional[Path], typer.Option(help="Run folder; must not exist.")] = None,  # noqa: UP045
    resume: Annotated[Optional[Path], typer.Option(help="Go on with the run in this folder.")] = None,  # noqa: UP045
    distribute: Annotated[
        str, typer.Option(help="none, devices or workers; see tutorials/several_machines.md.")
    ] = "none",
    data_dir: DataDir = None,
):
    """Train a learner in a run folder; stopped runs go on with --resume."""
    given = {name: value for name, value in locals().items() if name in _SETTINGS and value is not None}
    with plain_errors():
        from tfmeta.app import presets as known
        from tfmeta.app import runs
        from tfmeta.app.settings import TrainSettings
        from tfmeta.training import distribution

        if resume is not None:
            if given or preset or run_dir:
                named = ", ".join([*given, *(["preset"] if preset else []), *(["run_dir"] if run_dir else [])])
                raise ValueError(f"a run is resumed with its own settings, without other options. Received: {named}")
            settings, folder = runs.read_settings(resume), resume
        else:
            base = known.preset(preset).settings if preset else known.defaults(method or TrainSettings().method)
            settings = TrainSettings.from_dict(base.to_dict() | given)
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


_SETTINGS = {
    "method", "dataset", "n_way", "train_way", "k_shot", "n_query", "meta_batch_size", "epochs", "steps_per_epoch",
    "optimizer", "learning_rate", "schedule", "filters", "downsample", "inner_lr", "inner_steps", "eval_inner_steps",
    "inner_batch_size", "eval_inner_batch_size", "train_shot", "test_episodes", "seed",
}  # fmt: skip


@app.command()
def presets(
    name: Annotated[Optional[str], typer.Argument(help="A preset to describe; all names by default.")] = None,  # noqa: UP045
):
    """List the presets, or describe one: settings, source, what differs from the paper and why."""
    with plain_errors():
        from tfmeta.app import presets as known

        typer.echo(known.describe(name) if name else "\n".join(known.PRESETS))


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder, or the name of a pretrained learner.")],
    dataset: Annotated[Optional[str], typer.Option(help="Another data set to be judged on.")] = None,  # noqa: UP045
    split: Annotated[str, typer.Option(help="train, validation or test classes.")] = "test",
    n_way: Annotated[Optional[int], typer.Option(help="Classes in an episode.")] = None,  # noqa: UP045
    k_shot: Annotated[Optional[int], typer.Option(help="Support images per class.")] = None,  # noqa: UP045
    n_query: Annotated[int, typer.Option(help="Query images per class.")] = 15,
    episodes: Annotated[int, typer.Option(help="Number of episodes.")] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the episodes.")] = 30_000,
    transductive: Annotated[bool, typer.Option(help="Let batch norm see all queries together, or one by one.")] = True,
    data_dir: DataDir = None,
):
    """Accuracy of a trained run on new episodes, with its 95 % interval."""
    with plain_errors():
        from tfmeta import evaluation
        from tfmeta.app import pretrained, runs

        if split not in ("train", "validation", "test"):
            raise ValueError(f"split must be train, validation or test. Received: split={split!r}")
        if str(run) in pretrained.pretrained_names() and not run.exists():
            settings, learner = pretrained.pretrained_card(str(run)).settings, pretrained.load_pretrained(str(run))
        else:
            settings, learner = runs.load_run(run)
        classes = getattr(runs.load_data(dataset or settings.dataset, data_dir), split)
        if classes is None:
            raise ValueError(f"{dataset or settings.dataset} defines no validation classes. Received: split={split!r}")
        score = evaluation.evaluate(
            learner, classes, n_query=n_query, episodes=episodes, seed=seed, transductive=transductive,
            # `or` would take a mistyped 0 for "not given".
            n_way=settings.n_way if n_way is None else n_way, k_shot=settings.k_shot if k_shot is None else k_shot,
        )  # fmt: skip
    typer.echo(str(score))


@app.command()
def plot(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    out: Annotated[Optional[Path], typer.Option(help="Folder for the PNGs; the run folder by default.")] = None,  # noqa: UP045
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
