"""Train and score cells of the Omniglot table: `python benchmarks/omniglot.py [CELL ...] [--minutes 15] [--list]`.

A cell is a preset, `protonet-omniglot-5w1s`. Its training is the command that the results file states,

    tfmeta train --preset protonet-omniglot-5w1s --epochs 9 --run-dir runs/omniglot/protonet-omniglot-5w1s

and a run that was stopped goes on where it was. With `--minutes` the number of epochs is what this machine can do in
that time (`omniglot_speed.py`, or a short probe, says how long a step takes); without, the preset's own. Cells that
differ only in how they are judged (a prototypical network trains 60-way for 5-way and for 20-way tests) share one
training. The score is over 1000 test episodes, in each of the two batch-norm modes where they differ. Cells already in
the file are passed over.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import ROOT, machine_facts, write_json
from benchmarks.omniglot_cells import CELLS, trained_as, training_of
from benchmarks.omniglot_speed import known_speeds, probe
from tfmeta.app import runs
from tfmeta.app.presets import PRESETS

FORMAT = 1
EPISODES, SEED = 1000, 30_000


def command_of(name, epochs, folder):
    """The one command of a cell, without the interpreter."""
    return ["train", "--preset", name, "--epochs", str(epochs), "--run-dir", str(folder)]


def train(name, folder, epochs):
    """Train a cell in a process of its own, or go on with it."""
    options = ["train", "--resume", str(folder)] if folder.exists() else command_of(name, epochs, folder)
    subprocess.run([sys.executable, "-m", "tfmeta.app.cli", *options], check=True, cwd=ROOT)


def score(settings, folder):
    """Judge a run's weights as a cell asks.

    Args:
        settings: of the cell; the run's may differ in how it is judged.
        folder: the run.

    Returns:
        A list of scores as dictionaries: all queries together, and one by one where that is another thing.
    """
    from tfmeta import evaluate
    from tfmeta.app import building

    _, trained = runs.load_run(folder)
    data = runs.load_data(settings.dataset)
    learner = building.build_learner(settings, data.train)
    learner.set_weights(trained.get_weights())
    modes = [True, False]
    if learner.batch_norm_mode(transductive=True) == learner.batch_norm_mode(transductive=False):
        modes = [True]
    task = {"n_way": settings.n_way, "k_shot": settings.k_shot, "n_query": 15, "episodes": EPISODES, "seed": SEED}
    return [evaluate(learner, data.test, **task, transductive=mode).to_dict() for mode in modes]


def training_seconds(folder):
    """Seconds of training in a run's log, validation not counted."""
    import csv

    with open(folder / "log.csv", newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def versions():
    """Versions of what computes."""
    import keras
    import tensorflow as tf

    import tfmeta

    return {
        "python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__,
        "tfmeta": tfmeta.__version__,
    }  # fmt: skip


def commit():
    """The commit that is checked out, with `+` after it where files differ; None outside of a checkout."""
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
                               cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def device():
    """The accelerator's name, or the processor's and its cores."""
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    facts = machine_facts()
    return f"{facts['processor']}, {facts['cores']} cores"


def row_of(name, settings, folder, run_name):
    """The finished cell as the results file has it."""
    scores = score(settings, folder)
    return {
        "cell": name,
        "method": settings.method,
        "n_way": settings.n_way,
        "k_shot": settings.k_shot,
        "seed": settings.seed,
        "scores": [
            {key: found[key] for key in ("accuracy", "interval", "episodes", "n_query", "seed", "batch_norm", "data")}
            for found in scores
        ],
        "split": "Vinyals",
        "settings": settings.to_dict(),
        "test_settings": scores[0]["settings"],
        "steps": settings.steps,
        "training_seconds": round(training_seconds(folder), 1),
        "training_of": run_name,
        "paper": list(PRESETS[name].paper),
        "device": device(),
        "versions": versions(),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "tfmeta " + " ".join(command_of(name, settings.epochs, Path("runs/omniglot") / name)),
    }


def find_training(settings, folders, epochs=None):
    """A training, finished or begun, that a cell can use.

    Args:
        settings: of the cell.
        folders: where runs are put.
        epochs: how long it must be; any length by default.

    Returns:
        The run's name and its number of epochs, or None and None.
    """
    for name in CELLS:
        if (folders / name / "settings.json").is_file():
            found = runs.read_settings(folders / name)
            if training_of(found) == training_of(settings) and epochs in (None, found.epochs):
                return name, found.epochs
    return None, None


def run_cell(name, folders, minutes):
    """Train (or find the training of) one cell and score it.

    Args:
        name: the preset.
        folders: where runs are put.
        minutes: budget of training, or None for the preset's own number of epochs.

    Returns:
        The new row.
    """
    settings = PRESETS[name].settings
    training, epochs = find_training(settings, folders, None if minutes else settings.epochs)
    rate = None
    if training is None:
        if (folders / name).exists():
            raise SystemExit(f"{folders / name} holds a training with other settings; choose another folder by --runs")
        training, epochs = name, settings.epochs
        if minutes and settings.recipe.learns:
            rate = known_speeds().get(trained_as(name)) or probe(name)
            epochs = max(1, round(60 * minutes * rate / settings.steps_per_epoch))
            print(f"{name}: {rate:.1f} steps/s, {epochs} epochs of {settings.steps_per_epoch}", flush=True)
    train(training, folders / training, epochs)
    row = row_of(name, dataclasses.replace(settings, epochs=epochs), folders / training, training)
    # Of this machine, when it was quiet; by it the budget's number of steps was chosen.
    return row if rate is None else row | {"steps_per_second": round(rate, 2)}


def main():
    """Run the cells that are asked for and not there yet; write the file after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", metavar="CELL", help="presets; all by default")
    parser.add_argument("--minutes", type=float, help="of training for each; the preset's epochs by default")
    parser.add_argument("--out", type=Path, help="results/omniglot.json, or omniglot_short.json with --minutes")
    parser.add_argument("--runs", type=Path, help="where runs are put; runs/omniglot, or runs/omniglot_short")
    parser.add_argument("--list", action="store_true", help="say which cells are there, and end")
    args = parser.parse_args()
    if unknown := [name for name in args.cells if name not in CELLS]:
        parser.error(f"cells must be presets, see `tfmeta presets`. Received: {', '.join(unknown)}")
    if args.minutes is not None and args.minutes <= 0:
        parser.error(f"--minutes must be positive. Received: minutes={args.minutes}")
    kind = "omniglot_short" if args.minutes else "omniglot"
    out, folders = args.out or ROOT / f"results/{kind}.json", args.runs or ROOT / "runs" / kind
    content = {"format": FORMAT, "minutes": args.minutes, "rows": []}
    if out.exists():
        content = json.loads(out.read_text(encoding="utf-8"))
        if content["minutes"] != args.minutes:
            parser.error(f"{out} is for --minutes {content['minutes']}. Received: minutes={args.minutes}")
    for name in args.cells or CELLS:
        there = any(row["cell"] == name for row in content["rows"])
        if args.list:
            print(f"{'done' if there else 'not run yet':12} {name}")
        if there or args.list:
            continue
        row = run_cell(name, folders, args.minutes)
        content["rows"] = sorted([*content["rows"], row], key=lambda r: CELLS.index(r["cell"]))
        write_json(out, content)
        shown = "; ".join(
            f"{100 * s['accuracy']:.2f} +- {100 * s['interval']:.2f} ({s['batch_norm']})" for s in row["scores"]
        )
        print(f"{name}: {shown}; {row['training_seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
