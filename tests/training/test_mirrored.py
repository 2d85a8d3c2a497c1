"""One device against two that share the tasks out: the same losses, the same weights."""

import json
import subprocess
import sys

import pytest
import tensorflow as tf

import tfmeta
from tests.helpers import ROOT, environment
from tfmeta.training import replicas

LEARNERS = ("MAML", "MAML++", "Reptile", "MatchingNetwork", "FineTunedClassifier")  # tests/training/mirrored.py


@pytest.fixture(scope="module")
def compared():
    command = [sys.executable, "-m", "tests.training.mirrored"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_two_devices_learn_what_one_learns(compared, name):
    found = compared[name]
    assert found["one"].keys() == found["two"].keys()
    assert found["two"]["loss"] == pytest.approx(found["one"]["loss"], rel=1e-5)
    assert found["moved"] > 1e-3  # else the next line says nothing
    assert found["apart"] < 1e-5 * max(1.0, found["moved"])


def test_one_device_is_left_alone():
    assert replicas.number() == 1
    gradients = [tf.constant([1.0, 2.0])]
    assert replicas.share(gradients) is gradients
    assert int(replicas.first_task(tf.constant(4))) == 0
    replicas.check_even("meta_batch_size", 5, tf.distribute.get_strategy())


def test_tasks_that_cannot_be_shared_out_evenly_are_refused():
    class Two:
        num_replicas_in_sync = 2

    with pytest.raises(ValueError, match=r"multiple of the 2 replicas .* Received: meta_batch_size=5"):
        replicas.check_even("meta_batch_size", 5, Two())


def test_fit_asks_before_it_starts(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(replicas, "check_even", lambda *given: asked.append(given[:2]))
    learner = tfmeta.MAML(tfmeta.networks.mlp(5, hidden=(4,), input_shape=(16, 16, 1)))
    learner.compile()
    stream = tfmeta.episode_dataset(tiny, n_way=5, k_shot=1, n_query=1, meta_batch_size=3, seed=0)
    learner.fit(stream, steps_per_epoch=1, verbose=0)
    assert asked == [("meta_batch_size", 3)]
