"""Which strategy is made, and what is refused before TensorFlow starts anything."""

import json
import subprocess
import sys

import pytest
import tensorflow as tf

from tests.helpers import ROOT, environment
from tfmeta.training import distribution

TWO_WORKERS = {"worker": ["localhost:1", "localhost:2"]}


def test_one_device_by_default():
    assert distribution.make_strategy() is tf.distribute.get_strategy()
    assert distribution.make_strategy("none").num_replicas_in_sync == 1


def test_an_unknown_choice_is_named():
    with pytest.raises(ValueError, match=r"one of none, devices, workers\. Received: distribute='gpus'"):
        distribution.make_strategy("gpus")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        json.dumps({"cluster": TWO_WORKERS}),
        json.dumps({"cluster": {"worker": 2}, "task": {"type": "worker", "index": 0}}),
        json.dumps({"cluster": TWO_WORKERS, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": TWO_WORKERS, "task": {"type": "worker", "index": "first"}}),
        json.dumps({"cluster": TWO_WORKERS, "task": {"type": "chief", "index": 0}}),
        json.dumps({"cluster": TWO_WORKERS | {"ps": ["localhost:3"]}, "task": {"type": "ps", "index": 0}}),
    ],
)
def test_workers_that_are_not_named_are_asked_for(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"TF_CONFIG must be JSON such as .*\. Received: TF_CONFIG="):
        distribution.make_strategy("workers")


@pytest.mark.slow
def test_all_devices_of_the_machine_are_used():
    # A process of its own: devices are divided before TensorFlow starts. Twelve, since a name may have two digits.
    program = """
import tensorflow as tf
from tfmeta.training import distribution
tf.config.set_visible_devices([], "GPU")
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 12)
strategy = distribution.make_strategy("devices")
print(type(strategy).__name__, strategy.num_replicas_in_sync, distribution.is_chief(strategy))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["MirroredStrategy", "12", "True"]


@pytest.mark.parametrize("jobs", [{"worker": 3}, {"chief": 1, "worker": 2}])
def test_one_process_of_a_cluster_writes_files(jobs):
    cluster = tf.train.ClusterSpec({job: [f"localhost:{i}" for i in range(n)] for job, n in jobs.items()})

    class Strategy:
        def __init__(self, job, index):
            self.cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
                cluster, task_type=job, task_id=index
            )

    writers = [(job, i) for job, n in jobs.items() for i in range(n) if distribution.is_chief(Strategy(job, i))]
    assert writers == [(next(iter(jobs)), 0)]


def test_a_strategy_of_one_process_writes_its_files():
    assert distribution.is_chief(tf.distribute.get_strategy())
