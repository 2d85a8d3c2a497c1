"""Training on several devices or machines: which strategy, and who of the workers writes files.

Tasks of a meta-batch are independent, so each replica adapts its share of them and only the meta-gradient is summed
(`tfmeta.algorithms.replicas`). `tutorials/several_machines.md` says how to start it.
"""

from __future__ import annotations

import json
import os

import tensorflow as tf

from tfmeta import threads

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
        workers, index = config["cluster"]["worker"], config["task"]["index"]
        good = isinstance(workers, list) and isinstance(index, int) and 0 <= index < len(workers)
    except (json.JSONDecodeError, KeyError, TypeError):
        good = False
    if not good:
        raise ValueError(f"TF_CONFIG must be JSON such as {_EXAMPLE}. Received: TF_CONFIG={text!r}")


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes logs, checkpoints and results."""
    resolver = strategy.cluster_resolver
    return resolver is None or (resolver.task_id or 0) == 0
