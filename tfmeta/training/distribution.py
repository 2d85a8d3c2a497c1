"""Training on several devices or machines: which strategy, and who of the workers writes files.

Tasks of a meta-batch are independent, so each replica adapts its share of them and only the meta-gradient is summed
(`tfmeta.algorithms.replicas`). `docs/devices.md` says how to start it.
"""

from __future__ import annotations

import json
import os

import tensorflow as tf

from tfmeta.machine import threads

CHOICES = ("none", "devices", "workers")
_EXAMPLE = '{"cluster": {"worker": ["host:port", "host:port"]}, "task": {"type": "worker", "index": 0}}'


def make_strategy(choice: str = "none") -> tf.distribute.Strategy:
    """The strategy to build, compile and fit a learner under.

    Args:
        choice: `"none"`; `"devices"` for all GPUs of this machine (or its logical CPUs); `"workers"` for the processes
            that the environment variable `TF_CONFIG` names, which must be the program's first use of TensorFlow.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: if the choice is unknown, or there are no workers.

    References:
        TensorFlow, "Multi-worker training with Keras".
        https://www.tensorflow.org/tutorials/distribute/multi_worker_with_keras
    """
    if choice not in CHOICES:
        raise ValueError(f"distribute must be one of {', '.join(CHOICES)}. Received: distribute={choice!r}")
    threads.prefer_tasks()
    if choice == "none":
        return tf.distribute.get_strategy()
    if choice == "devices":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    _check_cluster(os.environ.get("TF_CONFIG", ""))
    return tf.distribute.MultiWorkerMirroredStrategy()


def _check_cluster(text: str) -> None:
    try:
        config = json.loads(text)
        kind, index = config["task"]["type"], config["task"]["index"]
        alike = config["cluster"][kind]
        good = kind in ("chief", "worker") and isinstance(alike, list) and 0 <= int(index) < len(alike)
    except (ValueError, KeyError, TypeError):  # json's own error is a ValueError
        good = False
    if not good:
        raise ValueError(f"TF_CONFIG must be JSON such as {_EXAMPLE}. Received: TF_CONFIG={text!r}")


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes logs, checkpoints and results."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    has_chief = "chief" in resolver.cluster_spec().as_dict()
    return resolver.task_type == ("chief" if has_chief else "worker") and (resolver.task_id or 0) == 0
