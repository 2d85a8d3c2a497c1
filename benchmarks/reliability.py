"""Trials of what must not break: kills at random moments, damaged files. Prints figures.

    python -m benchmarks.reliability kill --method maml --times 20
    python -m benchmarks.reliability omniglot | quickstart | damage

Each trial works in a temporary folder (`--work`) and prints one line a case. Nobody's CI runs it: it takes minutes, and
moments are drawn at random (`--seed`).
"""

from __future__ import annotations

import argparse
import collections
import json
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

NAMES = ("maml-quickstart", "prototypical-quickstart")

TINY = """--filters 4 --n-way 3 --n-query 1 --meta-batch-size 2 --epochs 8 --steps-per-epoch 3 --test-episodes 20
    --learning-rate 0.01 --schedule cosine"""


def command(*words, **changed) -> subprocess.Popen:
    """Start `tfmeta` with these words, or Python with `-c`."""
    changed = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"} | changed
    words = [sys.executable, *([] if words[0] == "-c" else ["-m", "tfmeta.app.cli"]), *map(str, words)]
    return subprocess.Popen(words, env=changed, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(*words, **environment) -> tuple[int, str]:
    """Run to the end: status, and the last line that was printed."""
    out, err = (process := command(*words, **environment)).communicate()
    lines = [line for line in (err if process.returncode else out).splitlines() if line.strip()]
    return process.returncode, "".join(lines[-1:])[:300]


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
    return ["train", "--method", method, "--dataset", photos(work / "photos"), *TINY.split()]


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

    load = ["-c", "import tfmeta; print(tfmeta.datasets.load_omniglot().train.images.sum())"]

    def hashes(folder):
        return {path.name: sha256(path) for path in folder.glob("*.npz")}

    begin = time.monotonic()
    wanted = ended(*load, TFMETA_DATA_DIR=str(work / "whole"))
    whole = time.monotonic() - begin
    print(f"uninterrupted {whole:.0f} s: {wanted}", flush=True)
    for i in range(times):
        place = {"TFMETA_DATA_DIR": str(folder := work / f"killed-{i}")}
        was_killed = killed(chance.uniform(0.3, 1.0) * whole, *load, **place)
        left = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
        equal = ended(*load, **place) == wanted and hashes(folder) == hashes(work / "whole")
        print(f"  {i}: killed {was_killed}, left {left}; then equal {equal}, {leftovers(folder)}", flush=True)
        shutil.rmtree(folder)


def quickstart(work: Path, times: int, chance: random.Random) -> None:
    """Killed at random; every file that is left loads, or bears the name of an unfinished one."""
    import keras
    from PIL import Image

    words = ["quickstart", "--dataset", photos(work / "photos"), "--minutes", "0.05"]
    begin = time.monotonic()
    print("uninterrupted:", ended(*words, "--out", work / "whole"), flush=True)
    whole = time.monotonic() - begin
    read = {".keras": keras.models.load_model, ".png": lambda path: Image.open(path).load()}
    for i in range(times):
        killed(chance.uniform(0.3, 1.0) * whole, *words, "--out", folder := work / f"killed-{i}")
        found = sorted(path for path in folder.glob("*")) if folder.is_dir() else []
        broken = []
        for path in found:
            try:
                read.get(path.suffix, lambda path: json.loads(path.read_text()))(path)
            except Exception as error:
                broken.append(f"{path.name}: {type(error).__name__}")
        print(f"  {i}: {[path.name for path in found]}; not complete: {broken}", flush=True)


def damage(work: Path, times: int, chance: random.Random) -> None:
    """Files of a run and pretrained learners cut, changed in one byte or emptied: noticed, or the numbers are right."""
    from tfmeta.app import pictures, pretrained, runs

    ended(*train_words(work, "prototypical"), "--run-dir", run := work / "run")
    pretrained.FOLDER = Path(shutil.copytree(pretrained.FOLDER, work / "weights"))

    def read():
        settings, learner = runs.load_run(run)
        pictures.draw_log(run / "log.csv", work / "log.png", force=True)
        cards = [(card.row, card.sha256, card.log) for card in map(pretrained.pretrained_card, NAMES)]
        loaded = [v.numpy().sum() for name in NAMES for v in pretrained.load_pretrained(name).variables]
        numbers = [v.numpy().sum() for v in (*learner.variables, *learner.optimizer.variables)]
        done = runs.restore(runs.building.build_learner(settings, data.train), run / "checkpoints")
        return str((settings, numbers, runs.load_score(run), cards, loaded, done, (run / "log.csv").read_text()))

    data, found = runs.load_data(str(work / "photos")), collections.Counter()
    wanted = read()
    places = [path for path in run.rglob("*") if path.is_file() and "tensorboard" not in path.parts]
    places += [pretrained.FOLDER / f"{name}{end}" for name in NAMES for end in (".json", ".keras")]
    for _ in range(times):
        path, kind = chance.choice(places), chance.choice(("cut", "flip", "empty"))
        whole = path.read_bytes()
        at = chance.randrange(len(whole))
        flipped = whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :]
        path.write_bytes({"cut": whole[:at], "flip": flipped, "empty": b""}[kind])
        try:
            answer = "right numbers" if read() == wanted else "WRONG NUMBERS"
        except Exception as error:
            answer = "named" if path.name in str(error) else f"NOT NAMED ({type(error).__name__}: {error})"
        found[answer] += 1
        if answer != "named":
            print(f"  {path.name} {kind} at {at}: {answer}", flush=True)
        path.write_bytes(whole)
    print(dict(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trial", choices=("kill", "omniglot", "quickstart", "damage"))
    parser.add_argument("--method", default="prototypical")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    work, chance = given.work or Path(tempfile.mkdtemp()), random.Random(given.seed)
    work.mkdir(parents=True, exist_ok=True)
    more = (given.method,) if given.trial == "kill" else ()
    globals()[given.trial](work, given.times, *more, chance)


if __name__ == "__main__":
    main()
