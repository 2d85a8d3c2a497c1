"""`tfmeta evaluate` and `tfmeta plot` of agents, which play trials instead of classifying images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tfmeta.app import pretrained
from tfmeta.app.commands import common
from tfmeta.app.task_kinds import kind_of_card, kind_of_run
from tfmeta.app.trials.settings import TEST_SEED, TrialSettings
from tfmeta.core.words import counted
from tfmeta.machine import command

if TYPE_CHECKING:
    import keras


def is_agent(run: Path) -> bool:
    """Whether it is a run of an agent, or the name of a pretrained one."""
    if common.is_pretrained(run):
        return kind_of_card(pretrained.pretrained_card(str(run)).row["settings"]) is TrialSettings
    return kind_of_run(run) is TrialSettings


def check_others(run: Path, takes: str, others: dict[str, Any]) -> None:
    """Refuse options that are for images.

    Args:
        run: as the command line has it.
        takes: the options that an agent takes.
        others: the other options by their names, with what was given; None or False for nothing.

    Raises:
        ValueError: naming what was given.
    """
    if given := [f"--{name.replace('_', '-')}" for name, value in others.items() if value not in (None, False)]:
        raise ValueError(f"{run} plays trials and takes {takes} alone. Received: {', '.join(given)}")


def load_agent(run: Path) -> keras.Model:
    """Load an agent's learner.

    Args:
        run: a finished run folder or the name of a pretrained agent.

    Returns:
        The learner.

    Raises:
        FileNotFoundError: if the run has not ended.
    """
    if common.is_pretrained(run):
        return pretrained.load_pretrained(str(run))
    if not (path := run / "model.keras").is_file():
        raise FileNotFoundError(f"the run must have ended; go on with it: tfmeta train --resume {run}. Received: {run}")
    command.begin_work()
    import keras

    from tfmeta.algorithms.rl2 import RL2  # noqa: F401  Keras must know the class
    from tfmeta.machine import files

    files.check_sum(path)
    return keras.models.load_model(path, safe_mode=True)


def evaluate(run: Path, n_episodes: int | None, trials: int | None, seed: int | None) -> None:
    """Print an agent's score.

    Args:
        run: as the command line has it.
        n_episodes: episodes in a trial; those of training by default.
        trials: number of trials; 10,000 by default.
        seed: of tasks and chance.
    """
    learner = load_agent(run)
    from tfmeta.evaluation import evaluate_agent

    typer.echo(
        str(
            evaluate_agent(
                learner, n_episodes=n_episodes, trials=10_000 if trials is None else trials,
                seed=TEST_SEED if seed is None else seed,
            )
        )
    )  # fmt: skip


def plot(run: Path, n_episodes: int | None, out: Path, seed: int | None, *, force: bool) -> list[Path]:
    """Draw an agent beside the rules of its field: rewards, regret, and how many actions were tried.

    Args:
        run: as the command line has it.
        n_episodes: episodes in a trial; those of training by default.
        out: folder of the PNGs.
        seed: of tasks and chance.
        force: replace pictures that exist.

    Returns:
        The paths.

    Raises:
        FileExistsError: if a picture exists and is not to be replaced.
    """
    names = {"reward": "reward.png", "regret": "regret.png", "distinct": "tried.png"}
    paths = {quantity: out / name for quantity, name in names.items()}
    if not force and (there := [path for path in paths.values() if path.exists()]):
        raise FileExistsError(f"{there[0]} exists and is not overwritten; say --force to replace it")
    learner = load_agent(run)
    from tfmeta.app.pictures import save
    from tfmeta.evaluation import evaluate_agent
    from tfmeta.exploration import rules_for
    from tfmeta.plotting import plot_trials

    environment, n_episodes = learner.environment, learner.n_episodes if n_episodes is None else n_episodes
    options = {"n_episodes": n_episodes, "trials": 2000, "seed": TEST_SEED if seed is None else seed}
    scores = [evaluate_agent(learner, **options)]
    scores += [evaluate_agent(agent, environment, **options) for agent in rules_for(environment)]
    out.mkdir(parents=True, exist_ok=True)
    drawn = [
        save(plot_trials(scores, quantity=quantity), path, force=force)
        for quantity, path in paths.items()
        if quantity == "reward" or getattr(scores[0], quantity) is not None
    ]
    typer.echo(f"{counted(len(scores), 'agent')} on {counted(2000, 'trial')} each")
    return drawn
