"""Two worker processes on this machine train one learner: as one process does, and again after one was killed."""

import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers import ROOT, draw_folder, environment, log_rows, small_conv4
from tfmeta.app import checkpoints, runs

pytestmark = pytest.mark.slow

SETTINGS = {
    "method": "maml", "n_way": 3, "n_query": 2, "meta_batch_size": 4, "filters": 4, "epochs": 3, "steps_per_epoch": 2,
    "optimizer": "sgd", "learning_rate": 0.03, "schedule": "constant", "inner_lr": 0.4, "eval_inner_steps": 1,
    "test_episodes": 10,
}  # fmt: skip
# The command with a small network, since graphs are made six times over; tests/app/test_cli.py runs it as it is.
WORKER = """
from tests.helpers import small_conv4
from tfmeta.app.cli import main

with small_conv4():
    main()
"""
# Killed in its third epoch: the first has ended on both workers, since each step of the second needed both.
KILLED = """
import os, signal, keras
from tests.helpers import small_conv4
from tfmeta.app.cli import main

begin = keras.callbacks.CallbackList.on_epoch_begin

def begin_or_die(self, epoch, logs=None):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    begin(self, epoch, logs)

keras.callbacks.CallbackList.on_epoch_begin = begin_or_die
with small_conv4():
    main()
"""
GRACE = 30  # seconds that one worker may take longer than the other


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run_workers(folder, *commands, grace=GRACE, limit=300):
    """One process per command; how each ended and what it printed.

    Nobody waits for the others once one has failed, or for long once one has ended: a worker may wait for ever for
    another that is no more.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(commands))]
    files = [folder / f"worker{index}.txt" for index in range(len(commands))]
    workers = []
    try:
        for index, (command, file) in enumerate(zip(commands, files, strict=True)):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            with open(file, "w", encoding="utf-8") as said:
                workers.append(
                    subprocess.Popen(
                        [sys.executable, "-c", *command], cwd=ROOT, env=environment(TF_CONFIG=json.dumps(config)),
                        stdout=said, stderr=subprocess.STDOUT,
                    )
                )  # fmt: skip
        deadline = time.monotonic() + limit
        while any(worker.poll() is None for worker in workers) and time.monotonic() < deadline:
            if any(worker.returncode for worker in workers):
                break
            if any(worker.returncode == 0 for worker in workers):
                deadline = min(deadline, time.monotonic() + grace)
            time.sleep(0.05)
        codes = [worker.poll() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return codes, [file.read_text(encoding="utf-8") for file in files]


def check(codes, said, wanted):
    assert codes == wanted, "\n".join(
        f"ended with {code}: {text[-3000:]}" for code, text in zip(codes, said, strict=True)
    )


def new_run(data, folder):
    options = [part for name, value in SETTINGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return ["train", *options, "--dataset", str(data), "--run-dir", str(folder), "--distribute", "workers"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("drawings"), n_classes=15, per_class=6)


@pytest.fixture(scope="module")
def together(data, tmp_path_factory):
    """A finished run of two workers, and what they printed."""
    folder = tmp_path_factory.mktemp("workers")
    command = [WORKER, *new_run(data, folder / "run")]
    codes, said = run_workers(folder, command, command)
    check(codes, said, [0, 0])
    return folder / "run", said


def weights(folder):
    return runs.load_run(folder)[1].get_weights()


def test_a_worker_that_has_ended_is_noticed(tmp_path):
    for last_words, codes in (("sys.exit('no such thing')", [1, None]), ("print('well done')", [0, None])):
        found, said = run_workers(
            tmp_path, [f"import sys; {last_words}"], ["import time; time.sleep(600)"], grace=1
        )  # fmt: skip
        assert found == codes
        assert said[0].strip() in last_words
        assert said[0].strip()


def test_two_workers_learn_what_one_process_learns(data, together, tmp_path):
    folder, said = together
    alone = tmp_path / "alone"
    with small_conv4():
        runs.train(runs.read_settings(folder), alone, data=runs.load_data(str(data)), verbose=0)
    for mine, theirs in zip(weights(folder), weights(alone), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(log_rows(folder), log_rows(alone), strict=True):
        assert float(mine["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-5)
        assert float(mine["val_loss"]) == pytest.approx(float(theirs["val_loss"]), rel=1e-4)
    # Both name the same score; the first alone writes, so that the folder is as of a run of one.
    assert len({line for text in said for line in text.splitlines() if line.startswith("accuracy")}) == 1
    assert {path.name for path in folder.iterdir()} == {path.name for path in alone.iterdir()}


def test_after_a_worker_was_killed_the_run_goes_on_to_the_same_end(data, together, tmp_path):
    folder = tmp_path / "run"
    options = new_run(data, folder)
    codes, said = run_workers(tmp_path, [WORKER, *options], [KILLED, *options])
    # The other waits for the dead one, or ends with an error when it notices.
    check(codes[1:], said[1:], [-signal.SIGKILL])
    assert checkpoints.found(folder / "checkpoints")
    assert not (folder / "model.keras").exists(), "the run had ended before its worker was killed"
    command = [WORKER, "train", "--resume", str(folder), "--distribute", "workers"]
    check(*run_workers(tmp_path, command, command), [0, 0])
    for mine, theirs in zip(weights(folder), weights(together[0]), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [row["epoch"] for row in log_rows(folder)] == [str(epoch) for epoch in range(SETTINGS["epochs"])]
