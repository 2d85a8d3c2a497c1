"""The first cells of a notebook: seed, threads, style of the figures, and the characters that most of them use."""

from __future__ import annotations

import os

import keras
import tensorflow as tf

from tfmeta.core.validation import check_seed
from tfmeta.datasets import OmniglotUnavailableError, load_glyphs, load_omniglot
from tfmeta.datasets.classes import Splits
from tfmeta.machine import threads
from tfmeta.version import __version__

# A short run, whose numbers mean nothing: for tests, and for a first look.
QUICK = os.environ.get("TFMETA_QUICK") == "1"

STYLE = {"figure.dpi": 100, "figure.constrained_layout.use": True, "font.size": 9, "axes.titlesize": 9}


def setup(seed: int = 0) -> None:
    """Prepare a notebook: one seed for everything random, tasks side by side, one style for the figures.

    It prints one line with the versions, the device and the seed, and says so where `TFMETA_QUICK=1` makes the run a
    short one.

    Args:
        seed: whole number, for Python, NumPy, TensorFlow and Keras.

    Raises:
        ValueError: if the seed is no whole number of at least 0.
    """
    check_seed(seed)
    import matplotlib.pyplot as plt

    threads.prefer_tasks()
    tf.get_logger().setLevel("ERROR")
    keras.utils.set_random_seed(seed)
    plt.rcParams.update(STYLE)
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    print(
        f"tfmeta {__version__}, TensorFlow {tf.__version__}, Keras {keras.__version__}, on the {device}, seed {seed}"
        + (", quick: the numbers mean nothing" if QUICK else "")
    )


def load_characters() -> Splits:
    """Omniglot where it can be had, else the generated glyphs; says which, and how many.

    Returns:
        The classes of `train`, `validation` and `test`, each an `ImageClasses` with images uint8 `[28, 28, 1]`.

    References:
        Lake et al. (2015), Omniglot. https://doi.org/10.1126/science.aab3050
    """
    try:
        data = load_omniglot()
        print("Data: Omniglot, handwritten characters of 50 alphabets.")
    except OmniglotUnavailableError:
        data = load_glyphs()
        print("Data: Omniglot cannot be had here, so these are generated glyphs.\nAll numbers below are theirs.")
    for part, classes in data._asdict().items():
        print(f"{part:>10}: {classes.n_classes:5d} classes, {len(classes.images):6d} images, {classes.image_shape}")
    return data
