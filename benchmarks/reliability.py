"""Trials of what must not break: kills, damaged files, two at once, full disks, odd folders, memory. Prints figures.

    python -m benchmarks.reliability kill --method maml --times 20
    python -m benchmarks.reliability omniglot | quickstart | damage | together | full | places | memory

Each trial works in a temporary folder (`--work`) and prints one line a case. Nobody's CI runs it: it takes minutes, and
moments are drawn at random (`--seed`).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TINY = {
    "filters": 4, "n_way": 3, "n_query": 1, "meta_batch_size": 2, "epochs": 8, "steps_per_epoch": 3,
    "test_episodes": 20, "learning_rate": 0.01, "schedule": "cosine",
}  # fmt: skip


def command(*words, **environment) -> subprocess.Popen:
    """Start `tfmeta` with these words; `None` takes a variable away."""
    changed = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"} | environment
    changed = {name: value for name, value in changed.items() if value is not None}
    words = [sys.executable, "-m", "tfmeta.app.cli", *map(str, words)]
    return subprocess.Popen(words, env=changed, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(*words, **environment) -> tuple[int, str]:
    """Run to the end: status, and the last line that was printed."""
    out, err = (process := command(*words, **environment)).communicate()
    plain = [line for line in (out + err).splitlines() if line.strip()]
    return process.returncode, next(
        (line for line in reversed(plain) if line.startswith("tfmeta:")), "".join(plain[-1:])[:300]
    )


def killed(seconds: float, *words, **environment) -> bool:
    """Start, wait, `kill -9`; whether it was still running then."""
    process = command(*words, **environment)
    try:
        process.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True


def photos(folder: Path) -> Path:
    """15 classes of six small drawings."""
    from tests.helpers import draw_folder

    return folder if folder.is_dir() else draw_folder(folder)


def train_words(work: Path, method: str) -> list:
    options = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", value)]
    return ["train", "--method", method, "--dataset", photos(work / "photos"), *options]


def weights(run: Path) -> list[np.ndarray]:
    from tfmeta.app import runs

    learner = runs.load_run(run)[1]
    return [v.numpy() for v in (*learner.variables, *learner.optimizer.variables)]


def same(a: Path, b: Path) -> bool:
    """Weights, optimizers and scores to the last bit."""
    pairs = zip(weights(a), weights(b), strict=True)
    return (
        all(np.array_equal(one, other) for one, other in pairs)
        and (a / "score.json").read_bytes() == (b / "score.json").read_bytes()
    )


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if ".writing" in path.name or ".tmp-" in path.name]


def kill(work: Path, times: int, method: str, chance: random.Random) -> None:
    """`tfmeta train`, killed and resumed until it ends; what it ends with is what an uninterrupted run ends with."""
    first = train_words(work, method)
    begin = time.monotonic()
    print(f"{method} uninterrupted:", ended(*first, "--run-dir", work / f"{method}-whole"))
    whole, done, run = time.monotonic() - begin, 0, 0
    while done < times:
        folder, words, kills = work / f"{method}-{run}", None, 0
        while True:
            resumable = (folder / "settings.json").is_file()
            if folder.exists() and not resumable:
                print(f"  run {run}: killed before its settings were written:", ended("train", "--resume", folder)[1])
                shutil.rmtree(folder)
            words = ["train", "--resume", folder] if resumable else [*first, "--run-dir", folder]
            if kills == 4 or done == times or not killed(chance.uniform(0.35, 1.0) * whole, *words):
                break
            kills, done = kills + 1, done + 1
        status = (0, "ended") if (folder / "score.json").is_file() else ended(*words)
        equal = status[0] == 0 and same(folder, work / f"{method}-whole")
        print(
            f"  run {run}: {kills} kills, status {status[0]}, equal {equal}, left over {leftovers(folder)}", flush=True
        )
        run += 1


def omniglot(work: Path, times: int, chance: random.Random) -> None:
    """The first load into an empty cache, killed; the next load gives the same images."""
    from tfmeta.machine.files import sha256

    load = [sys.executable, "-c", "import tfmeta; d = tfmeta.datasets.load_omniglot(); print(d.train.images.sum())"]

    def run(folder, seconds=None):
        changed = os.environ | {"TFMETA_DATA_DIR": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(load, env=changed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            return process.communicate(timeout=seconds)[0].strip()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "killed"

    begin = time.monotonic()
    wanted = run(work / "whole")
    whole = time.monotonic() - begin
    hashes = {path.name: sha256(path) for path in (work / "whole").glob("*.npz")}
    print(f"uninterrupted {whole:.0f} s: {wanted}, {list(hashes)}", flush=True)
    for i in range(times):
        folder = work / f"killed-{i}"
        first = run(folder, chance.uniform(0.3, 1.0) * whole)
        left = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
        again = run(folder)
        equal = {path.name: sha256(path) for path in folder.glob("*.npz")} == hashes
        print(
            f"  {i}: {first}, left {left}; then {again == wanted}, files equal {equal}, {leftovers(folder)}", flush=True
        )
        shutil.rmtree(folder)


def quickstart(work: Path, times: int, chance: random.Random) -> None:
    """Killed at random; every file that is left loads, or bears the name of an unfinished one."""
    import json

    import keras
    from PIL import Image

    words = ["quickstart", "--dataset", photos(work / "photos"), "--minutes", "0.05"]
    begin = time.monotonic()
    print("uninterrupted:", ended(*words, "--out", work / "whole"))
    whole = time.monotonic() - begin
    read = {".keras": lambda p: keras.models.load_model(p, safe_mode=True), ".png": lambda p: Image.open(p).load(),
            ".json": lambda p: json.loads(p.read_text(encoding="utf-8"))}  # fmt: skip
    for i in range(times):
        killed(chance.uniform(0.3, 1.0) * whole, *words, "--out", folder := work / f"killed-{i}")
        found = sorted(path for path in folder.glob("*")) if folder.is_dir() else []
        broken = []
        for path in found:
            try:
                read[path.suffix](path)
            except Exception as error:
                broken.append(f"{path.name}: {type(error).__name__}")
        print(f"  {i}: {[path.name for path in found]}; not complete: {broken}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trial", choices=("kill", "omniglot", "quickstart"))
    parser.add_argument("--method", default="prototypical")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    work, chance = given.work or Path(tempfile.mkdtemp()), random.Random(given.seed)
    work.mkdir(parents=True, exist_ok=True)
    more = {
        "kill": (given.times, given.method, chance),
        "omniglot": (given.times, chance),
        "quickstart": (given.times, chance),
    }
    globals()[given.trial](work, *more.get(given.trial, ()))


if __name__ == "__main__":
    main()
