"""TensorFlow takes thread settings once per process, so every case has a process of its own.

They are forked from one that has imported TensorFlow and started nothing, which saves importing it for each.
"""

import json
import os
import re

import pytest

import tfmeta
from tests.helpers import run_python
from tfmeta.machine import threads

# What each process does with `note`, which takes what it finds; run in order below.
CASES = {
    "after import": "note(intra(), inter(), os.environ.get('TF_CPP_MIN_LOG_LEVEL'), os.environ == before)",
    "mlp": "tfmeta.networks.mlp(); note(intra(), threads.prefer_tasks())",
    "conv4": "tfmeta.networks.conv4(5); note(intra())",
    "sinusoid": "tfmeta.datasets.sinusoid_episodes(k_shot=1, n_query=1, meta_batch_size=1, seed=0); note(intra())",
    "episodes": "tfmeta.episode_dataset(tiny, n_way=2, k_shot=1, n_query=1, meta_batch_size=1, seed=0); note(intra())",
    "episode": "tfmeta.sample_episode(tiny, n_way=2, k_shot=1, n_query=1, seed=0); note(intra())",
    "a refused call": (
        "try: tfmeta.episode_dataset(tiny, n_way=9, k_shot=1, n_query=1, meta_batch_size=1, seed=0)\n"
        "except ValueError as error: note(intra(), str(error)[-7:])"
    ),
    "own setting": "tf.config.threading.set_intra_op_parallelism_threads(3); tfmeta.networks.mlp();"
    " note(intra(), threads.prefer_tasks())",
    "own variable": "os.environ['TF_NUM_INTRAOP_THREADS'] = '2'; tfmeta.networks.mlp();"
    " note(intra(), threads.prefer_tasks())",
    "switched off": "os.environ['TFMETA_THREADS'] = 'tensorflow'; tfmeta.networks.mlp();"
    " note(intra(), threads.prefer_tasks())",
    "asked for": "os.environ['TFMETA_THREADS'] = 'tasks'; tfmeta.networks.mlp(); note(intra())",
    "too late": "tf.constant(1.0); found = [threads.prefer_tasks() for _ in range(3)]; tfmeta.networks.mlp();"
    " note(intra(), found)",
    "an optimizer first": "keras.optimizers.Adam(); note(intra(), threads.prefer_tasks())",
    "too late, switched off": "os.environ['TFMETA_THREADS'] = 'tensorflow'; tf.constant(1.0);"
    " note(intra(), threads.prefer_tasks())",
    "too late, GPU": "tf.constant(1.0); tf.config.list_physical_devices = lambda kind: ['GPU:0'];"
    " note(intra(), threads.prefer_tasks())",
    "parallel tasks": "first = threads.parallel_tasks(); tf.config.threading.set_inter_op_parallelism_threads(3);"
    " note(first, threads.parallel_tasks())",
}

SCRIPT = """
import json, logging, os, sys
before = dict(os.environ)
import tfmeta
import keras, numpy as np, tensorflow as tf
from tfmeta.machine import threads
intra = tf.config.threading.get_intra_op_parallelism_threads
inter = tf.config.threading.get_inter_op_parallelism_threads
tiny = tfmeta.datasets.from_arrays(np.zeros((8, 16, 16), np.uint8), np.repeat(np.arange(4), 2))
logged = []
handler = logging.Handler()
handler.emit = lambda record: logged.append((record.name, record.levelname, record.getMessage()))
logging.getLogger().addHandler(handler)

for name, case in json.loads(sys.argv[1]).items():
    def note(*found):
        print(json.dumps([name, found, [one for one in logged if one[0].startswith("tfmeta")]]), flush=True)
    process = os.fork()
    if not process:
        exec(case)
        os._exit(0)
    os.waitpid(process, 0)
"""


@pytest.fixture(scope="module")
def found():
    """Per case: what its process noted, and what tfmeta logged there."""
    done = run_python(SCRIPT, json.dumps(CASES))
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert [line[0] for line in lines] == list(CASES), done.stderr
    return {name: (noted, logged) for name, noted, logged in lines}


@pytest.mark.slow
def test_importing_changes_nothing(found):
    assert found["after import"] == ([0, 0, None, True], [])


@pytest.mark.parametrize("case", ["mlp", "conv4", "sinusoid", "episodes", "episode", "asked for"])
def test_the_first_call_that_starts_work_gives_each_operation_one_thread(found, case):
    noted, logged = found[case]
    assert (noted[0], logged) == (1, [])


def test_what_is_in_force_is_said(found):
    assert found["mlp"][0][1] == "one thread per operation, tasks in parallel"


def test_a_call_that_is_refused_changes_nothing(found):
    assert found["a refused call"][0] == [0, "n_way=9"]


def test_a_setting_of_one_s_own_is_respected(found):
    assert found["own setting"] == ([3, "your own setting, 3 threads per operation"], [])
    assert found["own variable"] == ([0, "your own setting, 2 threads per operation"], [])


def test_it_can_be_switched_off(found):
    expected = ([0, "TensorFlow's own setting (TFMETA_THREADS=tensorflow)"], [])
    assert found["switched off"] == expected
    assert found["too late, switched off"] == expected


def test_a_call_that_comes_too_late_says_so_once(found):
    noted, logged = found["too late"]
    assert noted == [0, ["TensorFlow's own setting (it ran an operation before tfmeta's first call)"] * 3]
    ((name, level, message),) = logged
    assert (name, level) == (threads.__name__, "WARNING")
    for advice in ("TensorFlow had started", "prefer_tasks() or build a network", "set TFMETA_THREADS=tensorflow"):
        assert advice in message
    assert len(found["an optimizer first"][1]) == 1
    assert found["too late, GPU"][1] == []  # where it does not matter


def test_tasks_in_parallel_are_the_inter_op_threads_else_the_cores(found):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert found["parallel tasks"][0] == [cores, 3]


@pytest.mark.parametrize("value", ["many", "", "Tasks", "1"])
def test_a_bad_switch_is_named(monkeypatch, value):
    monkeypatch.setenv("TFMETA_THREADS", value)
    message = f"TFMETA_THREADS must be 'tasks' or 'tensorflow'. Received: TFMETA_THREADS={value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        threads.prefer_tasks()


def test_streams_have_no_tuning_thread_to_wait_for(tiny):
    sizes = {"n_way": 3, "k_shot": 1, "n_query": 1, "meta_batch_size": 1, "seed": 0}
    streams = [
        tfmeta.episode_dataset(tiny, **sizes),
        tfmeta.episode_dataset(tiny, **sizes).take(2),
        tfmeta.datasets.labelled_batches(tiny, batch_size=2, seed=0),
        tfmeta.datasets.sinusoid_episodes(k_shot=1, n_query=1, meta_batch_size=1, seed=0),
    ]
    for stream in streams:
        assert stream.options().autotune.enabled is False
