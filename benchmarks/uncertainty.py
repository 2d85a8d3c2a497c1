"""What learners know of what they do not know: `python benchmarks/uncertainty.py [--tasks 1000]`.

Trains the presets `*-sine-or-line` where their run is not there yet (`runs/regression/NAME`, resumed where it stopped),
and judges each on the same fresh tasks, half sines and half lines with five noisy support points: the squared error to
the true curve, the negative log likelihood of noisy targets, and how many of them lie in central intervals. Every
number is a mean over tasks with its 95 % interval; differences are of pairs. Writes `results/uncertainty.json`.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np

from benchmarks.export_weights import export_task_run, row_of_tasks
from benchmarks.machine import ROOT, write_json
from tfmeta.app import pretrained
from tfmeta.app.regression.presets import REGRESSION
from tfmeta.app.regression.settings import TEST_SEED
from tfmeta.app.task_runs import train_on_tasks
from tfmeta.evaluation import confidence_interval, predictives
from tfmeta.tasks.ambiguous import sine_or_line_episodes

# PLATIPUS begins with the trained MAML, so that comes first.
NAMES = ("maml-sine-or-line", "ensemble-sine-or-line", "alpaca-sine-or-line", "platipus-sine-or-line")
NOISE, QUERIES, BATCH = 0.3, 100, 20
LEVELS = tuple(round(0.1 * i, 1) for i in range(1, 10))


def trained(name, folder):
    """A preset's learner, trained in its folder or read from there; MAML's weights go into the package."""
    path = folder / name
    if not (path / "model.keras").exists():
        train_on_tasks(REGRESSION[name].settings, path, resume=(path / "settings.json").exists())
    if name == "maml-sine-or-line" and name not in pretrained.pretrained_names():
        export_task_run(path)
    return keras.models.load_model(path / "model.keras")


def tasks(n):
    """Pairs of a meta-batch with noisy queries and the true curve at them, `[meta_batch_size, n_query, 1]`."""
    sizes = {"k_shot": 5, "n_query": QUERIES, "meta_batch_size": BATCH, "seed": TEST_SEED, "noise": NOISE}
    noisy, plain = (sine_or_line_episodes(**sizes, noisy_queries=flag).take(n // BATCH) for flag in (True, False))
    for one, true in zip(noisy, plain, strict=True):
        yield one, true.query_y.numpy()


def judged(learner, n):
    """Per task: squared error to the true curve, likelihood, standard deviation, coverage of each level."""
    rows = []
    for i, (episodes, truth) in enumerate(tasks(n)):
        told = None if learner.method.variance else NOISE
        found = predictives(learner, episodes, noise=told, first=i * BATCH)
        for one, curve, targets in zip(found, truth, episodes.query_y.numpy(), strict=True):
            covered = [one.covered(targets, level).mean() for level in LEVELS]
            spread = np.sqrt(one.variance).mean()
            rows.append([np.mean((one.mean - curve) ** 2), one.nll(targets).mean(), spread, *covered])
    return np.array(rows)


def summary(rows):
    """Means with their intervals."""
    mean, half = rows.mean(axis=0), confidence_interval(rows)
    names = ["squared_error", "nll", "standard_deviation"]
    found = {name: [round(float(mean[i]), 4), round(float(half[i]), 4)] for i, name in enumerate(names)}
    found["coverage"] = {
        str(level): [round(float(mean[3 + i]), 4), round(float(half[3 + i]), 4)] for i, level in enumerate(LEVELS)
    }
    return found


def main():
    """Train what is missing, judge all, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000, help="fresh tasks, a multiple of 20")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/regression")
    parser.add_argument("--out", type=Path, default=ROOT / "results/uncertainty.json")
    args = parser.parse_args()
    if args.tasks < BATCH or args.tasks % BATCH:
        parser.error(f"--tasks must be a multiple of {BATCH}. Received: tasks={args.tasks}")
    content, base = {"format": 1, "tasks": args.tasks, "seed": TEST_SEED, "noise": NOISE, "rows": []}, None
    for name in NAMES:
        rows = judged(trained(name, args.runs), args.tasks)
        base = rows if base is None else base
        difference = (rows - base)[:, :2]
        found = row_of_tasks(args.runs / name) | summary(rows)
        del found["scores"]  # of the run itself, which its card has
        found["minus_maml"] = {
            kind: [round(float(difference[:, i].mean()), 4), round(float(confidence_interval(difference[:, i])), 4)]
            for i, kind in enumerate(("squared_error", "nll"))
        }
        content["rows"].append(found)
        shown = {key: found[key] for key in ("squared_error", "nll", "minus_maml")}
        print(
            name, shown, {k: found["coverage"][k] for k in ("0.5", "0.9")}, f"{found['training_seconds']} s", flush=True
        )
        write_json(args.out, content)


if __name__ == "__main__":
    main()
