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
    "after import": "note(intra(), inter())",
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
    "own setting of zero": "tf.config.threading.set_intra_op_parallelism_threads(0); tfmeta.networks.mlp();"
    " note(intra(), threads.prefer_tasks())",
    "an optimizer after the import": "keras.optimizers.Adam(); tfmeta.networks.mlp(); note(intra())",
    "a change that comes too late": "tf.constant(1.0); os.environ['TFMETA_THREADS'] = 'tensorflow';"
    " note(intra(), threads.prefer_tasks())",
    "parallel tasks": "first = threads.parallel_tasks(); tf.config.threading.set_inter_op_parallelism_threads(3);"
    " note(first, threads.parallel_tasks())",
}
# What each does before it imports tfmeta; with TensorFlow imported.
BEFORE = {
    "own setting first": "tf.config.threading.set_intra_op_parallelism_threads(3); import tfmeta; note(intra())",
    "own variable first": "os.environ['TF_NUM_INTRAOP_THREADS'] = '2'; import tfmeta; note(intra())",
    "switched off first": "os.environ['TFMETA_THREADS'] = 'tensorflow'; import tfmeta; tfmeta.networks.mlp();"
    " note(intra(), tfmeta.threads.prefer_tasks())",
    "a bad switch": "os.environ['TFMETA_THREADS'] = 'many'; import tfmeta; note(intra())",
    "import after the start": "tf.constant(1.0); import tfmeta; note(intra())",
    "too late": "tf.constant(1.0); load(); found = [threads.prefer_tasks() for _ in range(3)]; tfmeta.networks.mlp();"
    " note(intra(), found)",
    "an optimizer first": "keras.optimizers.Adam(); load(); note(intra(), threads.prefer_tasks())",
    "too late, switched off": "os.environ['TFMETA_THREADS'] = 'tensorflow'; tf.constant(1.0);"
    " load(); note(intra(), threads.prefer_tasks())",
    "too late, GPU": "tf.constant(1.0); load(); tf.config.list_physical_devices = lambda kind: ['GPU:0'];"
    " note(intra(), threads.prefer_tasks())",
}

SCRIPT = """
import json, logging, os, sys
import keras, numpy as np, tensorflow as tf
intra = tf.config.threading.get_intra_op_parallelism_threads
inter = tf.config.threading.get_inter_op_parallelism_threads
logged = []
handler = logging.Handler()
handler.emit = lambda record: logged.append((record.name, record.levelname, record.getMessage()))
logging.getLogger().addHandler(handler)

def load():
    global tfmeta, threads
    import tfmeta
    from tfmeta.machine import threads

def run(name, case):
    def note(*found):
        print(json.dumps([name, found, [one for one in logged if one[0].startswith("tfmeta")]]), flush=True)
    process = os.fork()
    if not process:
        globals()["note"] = note
        exec(case, globals())
        os._exit(0)
    os.waitpid(process, 0)

before, after = map(json.loads, sys.argv[1:])
for name, case in before.items():
    run(name, case)
load()
tiny = tfmeta.datasets.from_arrays(np.zeros((8, 16, 16), np.uint8), np.repeat(np.arange(4), 2))
for name, case in after.items():
    run(name, case)
"""


@pytest.fixture(scope="module")
def found():
    """Per case: what its process noted, and what tfmeta logged there."""
    done = run_python(SCRIPT, json.dumps(BEFORE), json.dumps(CASES))
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert [line[0] for line in lines] == [*BEFORE, *CASES], done.stderr
    return {name: (noted, logged) for name, noted, logged in lines}


@pytest.mark.slow
def test_importing_makes_the_setting_and_none_for_threads_between_operations(found):
    assert found["after import"] == ([1, 0], [])


def test_an_optimizer_between_the_import_and_the_learner_does_no_harm(found):
    assert found["an optimizer after the import"] == ([1], [])


def test_what_was_chosen_before_the_import_stays(found):
    assert found["own setting first"] == ([3], [])
    assert found["own variable first"] == ([0], [])
    assert found["switched off first"] == ([0, "TensorFlow's own setting (TFMETA_THREADS=tensorflow)"], [])
    assert found["a bad switch"] == ([0], [])  # the first call names it; an import does not fail for it
    assert found["import after the start"] == ([0], [])  # nor does it warn before there is work


@pytest.mark.parametrize("case", ["mlp", "conv4", "sinusoid", "episodes", "episode", "asked for"])
def test_calls_that_start_work_leave_each_operation_one_thread(found, case):
    noted, logged = found[case]
    assert (noted[0], logged) == (1, [])


def test_what_is_in_force_is_said(found):
    assert found["mlp"][0][1] == "one thread per operation, tasks in parallel"


def test_a_call_that_is_refused_says_why(found):
    assert found["a refused call"][0] == [1, "n_way=9"]


def test_a_setting_of_one_s_own_is_respected(found):
    assert found["own setting"] == ([3, "your own setting, 3 threads per operation"], [])
    assert found["own setting of zero"] == (
        [0, "your own setting, as many threads per operation as TensorFlow chooses"],
        [],
    )
    assert found["own variable"] == ([0, "your own setting, 2 threads per operation"], [])


def test_it_can_be_switched_off(found):
    expected = ([0, "TensorFlow's own setting (TFMETA_THREADS=tensorflow)"], [])
    assert found["switched off"] == expected
    assert found["too late, switched off"] == expected
    assert found["a change that comes too late"] == ([1, "one thread per operation, tasks in parallel"], [])


def test_a_call_that_comes_too_late_says_so_once(found):
    noted, logged = found["too late"]
    assert noted == [0, ["TensorFlow's own setting (it ran an operation before tfmeta was imported)"] * 3]
    ((name, level, message),) = logged
    assert (name, level) == (threads.__name__, "WARNING")
    for advice in ("TensorFlow had started", "Import tfmeta before anything", "set TFMETA_THREADS=tensorflow"):
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
