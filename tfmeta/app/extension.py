"""A run that is resumed to another number of epochs than it was begun with.

A schedule of the outer rate ends at the new last step. The rate of a cosine that had come to 0 is therefore higher
again where the run goes on, and the result is not that of one longer run. `extensions.json` keeps what was asked when.
"""

from __future__ import annotations

import json
from pathlib import Path

from tfmeta.app.checkpoints import epochs_done
from tfmeta.app.settings import TrainSettings
from tfmeta.machine import files

HISTORY = "extensions.json"


def check(folder: Path, own: TrainSettings, settings: TrainSettings) -> None:
    """Refuse epochs that the run cannot go to; nothing is written.

    Args:
        folder: the run folder.
        own: its settings.
        settings: the same with other `epochs`.

    Raises:
        ValueError: if more epochs are done already.
        FileNotFoundError: if a finished run has no checkpoint to go on from.
    """
    done = epochs_done(folder / "checkpoints")
    if settings.epochs < done:
        raise ValueError(
            f"epochs must be at least the {done} that the run in {folder} has done. Received: epochs={settings.epochs}"
        )
    if not done and (folder / "model.keras").is_file():
        raise FileNotFoundError(
            f"a finished run goes on from its last checkpoint. Received: {folder}, whose checkpoints/ has none"
        )


def begin(folder: Path, own: TrainSettings, settings: TrainSettings, done: int) -> None:
    """Give a run its new number of epochs; killed at any point, it is a run that `--resume` ends.

    Args:
        folder: the run folder.
        own: its settings.
        settings: the same with other `epochs`.
        done: epochs that are done.
    """
    # First what would be taken for the result of the new settings, then the hash that the new settings have not.
    for name in ("score.json", "model.keras"):
        (folder / name).unlink(missing_ok=True)
    files.write_sums(folder, [])
    history = [*read(folder), {"epochs": own.epochs, "done": done}]
    files.write_json(folder / HISTORY, history)
    files.write_json(folder / "settings.json", settings.to_dict())


def read(folder: Path) -> list[dict[str, int]]:
    """Read how often and when a run was made longer.

    Args:
        folder: the run folder.

    Returns:
        For each time the `epochs` it had and the epochs `done` then.
    """
    path = folder / HISTORY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def differs_from_one_run(settings: TrainSettings) -> str:
    """Say why a run that was made longer is not what one uninterrupted run of its length would be.

    Args:
        settings: of the run.

    Returns:
        The reason in a few words; empty where both are the same.
    """
    reasons = [] if settings.schedule == "constant" else [f"the {settings.schedule} schedule"]
    reasons += [name for name in settings.recipe.by_length if name not in settings.options]
    return " and ".join(reasons)


def stale_pictures(folder: Path) -> list[str]:
    """List the pictures in a run folder that were drawn before its model was written.

    Args:
        folder: the folder of a run that has ended.

    Returns:
        Their names.
    """
    model = (folder / "model.keras").stat().st_mtime_ns if (folder / "model.keras").is_file() else 0
    return sorted(path.name for path in folder.glob("*.png") if path.stat().st_mtime_ns < model)
