"""Put a finished run's weights into the package: `python benchmarks/export_weights.py RUN [RUN ...]`.

The run's folder is named after its preset. Its card gets its row of the results files or, where it has none, a row made
now: scores over 1000 test episodes in both batch-norm modes, steps, seconds, device, versions, commit, command.
"""

import argparse
import csv
import dataclasses
import datetime
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras

from benchmarks.machine import ROOT
from benchmarks.omniglot import commit, device, row_of, training_seconds, versions
from tfmeta.app import pretrained, runs
from tfmeta.app.presets import PRESETS
from tfmeta.app.task_kinds import TASK_PRESETS, kind_of_run
from tfmeta.app.task_runs import read_task_settings


def read_log(folder):
    """A run's log, a dictionary of numbers an epoch."""
    with open(folder / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: round(float(value), 6) for name, value in row.items() if value != "NA"} for row in rows]


def published_row(name, settings):
    """The row of the results files with these settings, which states the commit of the training; None without one."""
    for path in (ROOT / "results/omniglot.json", ROOT / "results/omniglot_short.json"):
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else ():
            if row["cell"] == name and row["settings"] == settings.to_dict():
                return row
    return None


def row_of_tasks(folder):
    """What is known of a run on a stream of tasks.

    Args:
        folder: the run, named after its preset.

    Returns:
        A row for its card.
    """
    settings = read_task_settings(folder, kind_of_run(folder))
    if settings != TASK_PRESETS[folder.name].settings:
        raise SystemExit(f"a run must have the settings of its preset. Received: {folder}")
    return {
        "preset": folder.name, "settings": settings.to_dict(), "steps": settings.steps,
        "scores": json.loads((folder / "score.json").read_text(encoding="utf-8")),
        "training_seconds": round(training_seconds(folder), 1), "device": device(), "versions": versions(),
        "commit": commit(), "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"tfmeta train --preset {folder.name} --run-dir runs/tasks/{folder.name}",
    }  # fmt: skip


def export_task_run(folder):
    """Export one run on a stream of tasks; its card has its own scores.

    Args:
        folder: the run, named after its preset.

    Returns:
        The card.
    """
    learner = keras.models.load_model(folder / "model.keras")
    return pretrained.export_pretrained(learner, folder.name, row_of_tasks(folder), read_log(folder))


def export(folder):
    """Export one run.

    Args:
        folder: the run, named after its preset.

    Returns:
        The card.
    """
    name = folder.name
    if name not in PRESETS:
        raise SystemExit(f"a run's folder must be named after its preset. Received: {folder}")
    settings, learner = runs.load_run(folder)
    wanted = dataclasses.replace(PRESETS[name].settings, epochs=settings.epochs)
    if settings != wanted:
        raise SystemExit(f"a run must have the settings of its preset, but for its epochs. Received: {folder}")
    row = published_row(name, settings) or row_of(name, settings, folder, name)
    return pretrained.export_pretrained(learner, name, row, read_log(folder))


def main():
    """Export what is asked for, and say how large it is and what it scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    for folder in parser.parse_args().runs:
        if folder.name in TASK_PRESETS:
            card = export_task_run(folder)
            shown = ", ".join(f"{s.get('loss', s.get('reward')):.4g}" for s in card.row["scores"])
            print(f"{card.name}: {(pretrained.FOLDER / f'{card.name}.keras').stat().st_size} bytes, scores {shown}")
            continue
        card = export(folder)
        scores = ", ".join(f"{100 * s['accuracy']:.2f} +- {100 * s['interval']:.2f}" for s in card.row["scores"])
        size = (pretrained.FOLDER / f"{card.name}.keras").stat().st_size
        print(f"{card.name}: {size} bytes, {scores} %")


if __name__ == "__main__":
    main()
