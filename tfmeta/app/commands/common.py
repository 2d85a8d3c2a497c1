"""What several subcommands share: options, errors as one line, and the learner and the classes that are judged."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tfmeta.app import pretrained, readers
from tfmeta.app.methods import other_preset_names
from tfmeta.app.nearest import did_you_mean
from tfmeta.app.settings import TrainSettings, check_dataset
from tfmeta.app.task_kinds import kind_of_run
from tfmeta.machine import command

if TYPE_CHECKING:
    from tfmeta.app.building import Learner
    from tfmeta.datasets import ImageClasses

SPLITS = ("train", "validation", "test", "all")

DataDir = Annotated[
    Path | None, typer.Option(help="Where Omniglot is kept.", show_default="data/ of a checkout, else the user's cache")
]
Dataset = Annotated[
    str | None,
    typer.Option(help="Another data set to be judged on, or a folder of images.", show_default="that of training"),
]
Split = Annotated[str, typer.Option(help="train, validation or test classes, or all of the data set.")]
NWay = Annotated[int | None, typer.Option(help="Classes in an episode.", show_default="that of the run")]
KShot = Annotated[int | None, typer.Option(help="Support images per class.", show_default="that of the run")]
Grayscale = Annotated[bool, typer.Option("--grayscale", help="Turn a folder's images grey, whatever the run did.")]
Fractions = Annotated[
    str | None,
    typer.Option(help="How a folder is divided, as 0.6,0.2,0.2 or 0.5,0.5.", show_default="as the run divided it"),
]


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


def check_split(split: str) -> None:
    """Refuse an unknown split.

    Raises:
        ValueError: with the near one.
    """
    if split not in SPLITS:
        raise ValueError(
            f"split must be train, validation, test or all.{did_you_mean(split, SPLITS)} Received: split={split!r}"
        )


def is_pretrained(run: Path) -> bool:
    """Whether it names a learner of the package; a folder of that name comes first."""
    return str(run) in pretrained.pretrained_names() and not run.exists()


def check_run_folder(folder: Path) -> None:
    """Refuse a folder without a run, before anything is imported for it.

    Raises:
        FileNotFoundError: naming the folder.
    """
    if not (folder / "settings.json").is_file():
        raise FileNotFoundError(f"a run folder has a settings.json. Received: {folder}, which has none")


def check_run(run: Path) -> None:
    """Refuse what is neither a run folder nor a pretrained learner, before anything is imported for it.

    Args:
        run: as the command line has it.

    Raises:
        FileNotFoundError: with the pretrained learner whose name is near.
        ValueError: if it is a run on curves or trials.
    """
    if kind_of_run(run) and not is_pretrained(run):
        raise ValueError(
            "the learner must take images; this run has learned curves or trials and is used in Python, "
            f"keras.models.load_model. Received: {run}"
        )
    if is_pretrained(run) or (run / "settings.json").is_file():
        return
    if run.exists():
        check_run_folder(run)
    names = pretrained.pretrained_names()
    raise FileNotFoundError(
        "a run must be a folder with a settings.json, or a pretrained learner such as maml-quickstart."
        f"{did_you_mean(run, names, other_preset_names(names))} Received: {run}, which is neither"
    )


def load_learner(run: Path) -> tuple[TrainSettings, Learner]:
    """Load a run, or a pretrained learner by its name.

    Args:
        run: as the command line has it.

    Returns:
        The settings of its training and the learner.

    Raises:
        FileNotFoundError: if there is none, or the run has not ended.
        ValueError: if its files were changed.
    """
    check_run(run)
    if is_pretrained(run):
        card = pretrained.pretrained_card(str(run))
        if not card.of_images:
            raise ValueError(
                f"the learner must take images; {run} takes curves or plays trials and is used in Python, "
                f"tfmeta.load_pretrained. Received: {run}"
            )
        return card.settings, pretrained.load_pretrained(str(run))
    command.begin_work()
    from tfmeta.app import runs

    return runs.load_run(run)


class Judged(NamedTuple):
    """What `evaluate` and `plot` look at.

    Args:
        settings: of the learner's training.
        learner: the learner.
        classes: the classes to draw episodes from.
        n_way: classes in an episode.
        k_shot: support images per class.
    """

    settings: TrainSettings
    learner: Learner
    classes: ImageClasses
    n_way: int
    k_shot: int


def load_judged(
    run: Path, dataset: str | None, split: str, n_way: int | None, k_shot: int | None, grayscale: bool,
    fractions: str | None, data_dir: Path | None,
) -> Judged:  # fmt: skip
    """Load a learner and the classes that it is judged on; a folder's images are read as the run reads its own.

    Args:
        run: a run folder or the name of a pretrained learner.
        dataset: the data set; that of training by default.
        split: one of `SPLITS`.
        n_way: classes in an episode; those of training by default.
        k_shot: support images per class, likewise.
        grayscale: turn a folder's images grey, whatever the run did.
        fractions: shares of a folder's classes; those of the run by default.
        data_dir: where Omniglot is kept.

    Returns:
        A `Judged`.

    Raises:
        FileNotFoundError: if there is no such run.
        ValueError: if something does not fit.
    """
    check_split(split)
    if dataset is not None:
        check_dataset(dataset)
    shares = readers.fractions("fractions", fractions)
    settings, learner = load_learner(run)
    from tfmeta.app import data, runs

    name = dataset or settings.dataset
    reading: dict[str, Any] = data.how_to_read(settings)
    reading |= {"grayscale": True} if grayscale else {}
    reading |= {"fractions": shares} if shares else {}
    asked = [option for option, given in (("grayscale", grayscale), ("fractions", shares)) if given]
    if asked and name in data.DATASETS:
        raise ValueError(
            f"{' and '.join(asked)} can be given with a folder of images alone. Received: dataset={name!r}"
        )
    classes = data.load_part(name, split, data_dir, load=runs.load_data, **reading)
    # `or` would take a mistyped 0 for "not given".
    return Judged(
        settings, learner, data.fitted(classes, learner, name),
        settings.n_way if n_way is None else n_way, settings.k_shot if k_shot is None else k_shot,
    )  # fmt: skip
