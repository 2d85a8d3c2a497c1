"""What several test files need: tiny data, folders of drawings, pictures that show something, other processes."""

import contextlib
import csv
import functools
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from tests.algorithms.pieces import two_blocks
from tests.conftest import make_classes
from tfmeta import networks
from tfmeta.app import runs
from tfmeta.app.settings import TrainSettings
from tfmeta.datasets import Splits

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("tfmeta")


def tiny_splits(n_classes=6):
    """Class-disjoint parts with 20 images 16x16 a class."""
    return Splits(*(make_classes([20] * n_classes, seed=seed) for seed in (0, 1, 2)))


def tiny_settings(method, **options):
    small = {"n_way": 3, "n_query": 2, "filters": 4, "epochs": 3, "steps_per_epoch": 2, "meta_batch_size": 2}
    # The cosine rate depends on the number of steps done, so a resumed run must know it.
    return TrainSettings(
        **({"method": method, "test_episodes": 10, "learning_rate": 0.01, "schedule": "cosine"} | small | options)
    )


@contextlib.contextmanager
def small_conv4():
    """One block of conv4 in place of four: a run does the same with it, and its graphs are made in a third of the time.

    That runs train conv4 itself is shown where settings build learners, and by the command from end to end.
    """
    with mock.patch.object(networks, "conv4", functools.partial(two_blocks, n_blocks=1)):
        yield


def train_tiny(folder, method="prototypical", data=None, **options):
    """A run on tiny data, with a small network and few validation episodes."""
    resume = options.pop("resume", False)
    settings = tiny_settings(method, **options)
    with small_conv4(), mock.patch.multiple(runs, _VALIDATION_TASKS=4, _VALIDATION_BATCHES=2):
        return runs.train(settings, folder, data=data or tiny_splits(), resume=resume, verbose=0)


def log_rows(folder):
    with open(folder / "log.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def timeless(folder):
    """The log without the seconds, which no two runs have in common."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in log_rows(folder)]


def assert_same_end(folder, ended, expected):
    """Weights, optimizer, log and score are those of the other run, to the last bit; gives the learner as loaded.

    `ended` is what `train` gave, `expected` the other run's folder and what it gave.
    """
    (other, wanted, wanted_score), (learner, score) = expected, ended
    assert timeless(folder) == timeless(other)
    assert score == wanted_score
    assert (folder / "score.json").read_bytes() == (other / "score.json").read_bytes()
    loaded = runs.load_run(folder)[1]
    for model in (learner, loaded):
        assert len(model.optimizer.variables) == len(wanted.optimizer.variables) > 0
        for a, b in zip(model.variables, wanted.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        for a, b in zip(model.optimizer.variables, wanted.optimizer.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    return loaded


def draw_folder(root, n_classes=15, per_class=6, size=16):
    """A folder with a folder of PNGs per class; 15 classes are divided 9:3:3."""
    classes = make_classes([per_class] * n_classes, size=size)
    for k in range(n_classes):
        folder = Path(root) / f"class{k:02d}"
        folder.mkdir(parents=True)
        for i, image in enumerate(classes.images[classes.labels == k]):
            Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    return Path(root)


def assert_shows_something(path):
    """The file is a picture of a useful size with many different pixels."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"), np.float64)
    assert min(pixels.shape) >= 100, f"{path} is only {pixels.shape}"
    assert pixels.std() > 5, f"{path} is all but blank"
    assert len(np.unique(pixels)) >= 20, f"{path} has {len(np.unique(pixels))} shades"


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def environment(**changes):
    """The environment of a fresh process without what this test process has set; `None` removes a variable."""
    ours = ("TF_CPP_MIN_LOG_LEVEL", "TFMETA_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    kept |= {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"} | changes
    return {name: value for name, value in kept.items() if value is not None}


def run_python(script, *arguments, **changes):
    """Run a script in a process of its own, in the repository's root."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT, env=environment(**changes), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
