"""What tfmeta finds on this machine, and what is wrong with it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path


def examine(data_dir: str | os.PathLike | None = None) -> tuple[list[str], bool]:
    """Look at Python, packages, threads, GPU and data.

    Args:
        data_dir: where Omniglot is kept; see `load_omniglot`.

    Returns:
        Lines to print, "ok" or "WRONG" first, and whether nothing is wrong.

    References:
        TensorFlow, "Install TensorFlow with pip". https://www.tensorflow.org/install/pip
    """
    lines: list[str] = []

    def say(ok: bool, text: str) -> None:
        lines.append(f"{'ok   ' if ok else 'WRONG'}  {text}")

    version = platform.python_version()
    say(sys.version_info >= (3, 11), f"Python {version} (3.11 or newer is needed), {platform.platform()}")
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        say(False, f"TensorFlow or Keras does not import ({error}): pip install -r requirements.txt")
        return lines, False
    say(_at_least(tf.__version__, (2, 21)), f"TensorFlow {tf.__version__} (2.21 or newer is tested)")
    backend = keras.backend.backend()
    say(_at_least(keras.__version__, (3, 12)), f"Keras {keras.__version__} (3.12 or newer is needed)")
    say(backend == "tensorflow", f"Keras runs on {backend}" + (
        "" if backend == "tensorflow" else ": set KERAS_BACKEND=tensorflow"))  # fmt: skip

    from tfmeta.machine import threads

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        say(True, f"{cores} CPUs; threads: {threads.prefer_tasks()} ({threads.SWITCH} changes it)")
    except ValueError as error:  # a mistyped switch is a finding like others, not the end of the examination
        say(False, f"{cores} CPUs; {error}")
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        say(True, f"GPU: {', '.join(names)}")
    elif Path("/proc/driver/nvidia").exists():
        say(False, "an NVIDIA driver is loaded, but TensorFlow sees no GPU: pip install 'tensorflow[and-cuda]'")
    else:
        say(True, "no GPU: everything runs on the CPU")
    for package in ("tensorflow-datasets", "matplotlib", "tensorboard", "jupyterlab", "ipywidgets"):
        try:
            say(True, f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            needed = package in ("tensorflow-datasets", "matplotlib", "tensorboard")
            say(not needed, f"{package} is not installed" + (" and is needed" if needed else " (for the tutorials)"))
    _look_at_data(say, data_dir)
    return lines, all(line.startswith("ok") for line in lines)


def _look_at_data(say, data_dir) -> None:
    from tfmeta.datasets import cache, omniglot_source

    try:
        folder = cache.resolve_data_dir(data_dir)
        cache.check_writable(folder, 30_000_000)
        say(True, f"data folder {folder} can be written to")
    except OSError as error:  # there is nowhere to look on
        say(False, f"{error}; choose another with --data-dir or TFMETA_DATA_DIR")
        return
    packed = sorted(folder.glob("omniglot-*.npz"))
    source = omniglot_source.find_prepared(folder)
    if packed:
        say(True, f"Omniglot is packed in {packed[-1]}")
    elif source is not None:
        say(True, f"Omniglot is prepared in {source}")
    else:
        say(
            True,
            "Omniglot is not here yet; it is downloaded when first asked for, and glyphs stand in without a network",
        )


def _at_least(version: str, wanted: tuple[int, int]) -> bool:
    return tuple(int(part) for part in version.split(".")[:2]) >= wanted
