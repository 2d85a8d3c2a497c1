"""How long training takes on this machine: `python benchmarks/omniglot_speed.py [CELL ...]`.

Takes some seconds of outer steps of every training of the table, each in a process of its own, and writes
`results/omniglot_speed.json`, from which the table says how many hours the cells left would take. Want a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import ROOT, machine_facts, write_json
from benchmarks.omniglot_cells import trained_as, trainings
from tfmeta.app.presets import PRESETS

FORMAT = 1
OUT = ROOT / "results/omniglot_speed.json"
PROBE_S = 12  # seconds of steps that say how long a step takes


def steps_per_second(settings):
    """How fast this machine takes outer steps in the middle of a training, measured here and now.

    Args:
        settings: of a cell.

    Returns:
        Steps per second, tracing not counted.
    """
    from tfmeta.app import building, runs

    data = runs.load_data(settings.dataset)
    learner = building.build_learner(settings, data.train)
    batches = iter(building.training_data(settings, data.train))
    learner.make_train_function()
    learner.optimizer.iterations.assign(settings.steps // 2)  # MAML++'s early steps are longer than most
    for _ in range(3):
        learner.train_function(batches)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < PROBE_S:
        learner.train_function(batches)
        steps += 1
    return steps / (time.perf_counter() - start)


def probe(name):
    """Steps per second of a cell's training, from a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--probe", name], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def known_speeds(path=OUT):
    """Steps per second by training, if they were measured on this machine."""
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["steps_per_second"] if content["machine"] == machine_facts() else {}


def projected_hours(name, speeds):
    """Hours that the preset's own number of steps would take where the speeds were measured.

    Args:
        name: a cell.
        speeds: steps per second by training, from `results/omniglot_speed.json`.

    Returns:
        Hours, or None where no speed is known; cells that share a training have the same.
    """
    training = trained_as(name)
    return PRESETS[training].settings.steps / speeds[training] / 3600 if training in speeds else None


def main():
    """Measure what is asked for; write the file after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", metavar="CELL", help="trainings to measure; all by default")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--probe", metavar="CELL", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        print(steps_per_second(PRESETS[args.probe].settings))
        return
    if unknown := [name for name in args.cells if name not in trainings()]:
        parser.error(f"cells must be among {', '.join(trainings())}. Received: {', '.join(unknown)}")
    content = {"format": FORMAT, "machine": machine_facts(), "steps_per_second": known_speeds(args.out)}
    for name in args.cells or trainings():
        content["steps_per_second"][name] = round(probe(name), 2)
        write_json(args.out, content)
        hours = projected_hours(name, content["steps_per_second"])
        print(f"{name:30} {content['steps_per_second'][name]:8.1f} steps/s, {hours:.2f} h", flush=True)


if __name__ == "__main__":
    main()
