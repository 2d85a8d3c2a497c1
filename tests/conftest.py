import collections
import gc
import os
import shutil
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops  # for what it never lets go of, see below

from tfmeta.core.episode import Episode
from tfmeta.datasets import ImageClasses

# The files that take longest, the longest first.
LONGEST = (
    "test_notebooks", "test_contract_training", "test_runs", "test_workers", "test_cli", "test_contract_tasks",
    "test_mirrored", "test_runs_stopped", "test_base", "test_scores", "test_precision", "test_maml_plus_plus",
    "test_proto_maml", "test_quickstart", "test_constant_memory",
)  # fmt: skip


def pytest_collection_modifyitems(config, items):
    """Long files first, then those with many slow tests: two processes that share the files then end together."""
    if hasattr(config, "workerinput"):
        slow = collections.Counter(item.path for item in items if item.get_closest_marker("slow"))
        place = {name: i for i, name in enumerate(LONGEST)}
        items.sort(key=lambda item: (place.get(item.path.stem, len(place)), -slow[item.path]))


@pytest.fixture(scope="module", autouse=True)
def nothing_stays_in_memory():
    """Lets go of a file's graphs when its tests have ended.

    TensorFlow registers the gradient of every use of `tf.custom_gradient` in a graph, for ever, and with it the graph
    and all graphs beside it: about 15 MB for each learner that was trained. A worker would grow to several GB.
    """
    registered = ops.gradient_registry._registry
    before = set(registered)
    yield
    for name in set(registered) - before:
        if name.startswith("CustomGradient-"):
            del registered[name]
    gc.collect()


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    """Closes a test's figures, which the next test would find among its own."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def make_classes(counts, size=16, channels=1, seed=0):
    """Classes that a small network can tell apart: a fixed random pattern each, plus noise."""
    rng = np.random.default_rng(seed)
    patterns = rng.uniform(0, 200, (len(counts), size, size, channels))
    labels = np.repeat(np.arange(len(counts)), counts)
    noisy = patterns[labels] + rng.normal(0, 20, (len(labels), size, size, channels))
    return ImageClasses(
        images=np.clip(noisy, 0, 255).astype(np.uint8),
        labels=labels.astype(np.int32),
        class_names=tuple(f"Tagalog/character{k:02d}" for k in range(len(counts))),
        alphabets=("Tagalog",) * len(counts),
        name="tiny",
    )


@pytest.fixture(scope="session")
def classes_of():
    """`make_classes`, for tests that need classes of their own."""
    return make_classes


@pytest.fixture(scope="session")
def tiny():
    """Twelve classes of 20 images 16x16."""
    return make_classes([20] * 12)


@pytest.fixture(scope="session")
def unequal():
    """Classes of 7 to 30 images."""
    return make_classes([7, 30, 9, 12, 8, 21, 7, 10])


@pytest.fixture
def random_episodes():
    """A meta-batch of 3-way 2-shot episodes with 5 queries a class (n_query != n_way) of vectors `[.., dim]`."""

    def make(batch=4, n_way=3, k_shot=2, n_query=5, dim=6, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)

        def part(per_class):
            y = np.stack([rng.permutation(np.repeat(np.arange(n_way), per_class)) for _ in range(batch)])
            return tf.constant(rng.normal(size=(*y.shape, dim)).astype(dtype)), tf.constant(y.astype(np.int32))

        return Episode(*part(k_shot), *part(n_query))

    return make


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """Per method: folder, learner and score of a run that nobody stopped; made when first asked for."""
    from tests.helpers import train_tiny  # which needs this file's make_classes

    made = {}

    def run(method):
        if method not in made:
            folder = tmp_path_factory.mktemp(method) / "run"
            made[method] = (folder, *train_tiny(folder, method))
        return made[method]

    return run


@pytest.fixture
def finished(uninterrupted, tmp_path):
    """A copy of a finished run, to be damaged."""
    return shutil.copytree(uninterrupted("prototypical")[0], tmp_path / "run")
