"""Two worker processes on this machine train one learner: as one process does, and again after one was killed."""

import json
import signal
import socket
import subprocess
import time

import numpy as np
import pytest

from tests.helpers import COMMAND, ROOT, draw_folder, environment, log_rows
from tfmeta.app import checkpoints, runs

SETTINGS = {
    "method": "maml", "n_way": 3, "n_query": 2, "meta_batch_size": 4, "filters": 4, "epochs": 30, "steps_per_epoch": 1,
    "optimizer": "sgd", "learning_rate": 0.03, "schedule": "constant", "inner_lr": 0.4, "test_episodes": 10,
}  # fmt: skip


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start_workers(options):
    """The two processes of one run."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(
            subprocess.Popen(
                [COMMAND, "train", *options, "--distribute", "workers"], cwd=ROOT, text=True,
                env=environment(TF_CONFIG=json.dumps(config)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    return workers


def ends(workers):
    """Wait for both; what they printed if one fails."""
    try:
        said = [worker.communicate(timeout=240)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(text[-3000:] for text in said)
    return said


def new_run(data, folder):
    options = [part for name, value in SETTINGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return [*options, "--dataset", str(data), "--run-dir", str(folder)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("drawings"), n_classes=30, per_class=8)


@pytest.fixture(scope="module")
def together(data, tmp_path_factory):
    """A finished run of two workers."""
    folder = tmp_path_factory.mktemp("workers") / "run"
    said = ends(start_workers(new_run(data, folder)))
    return folder, said


def weights(folder):
    return runs.load_run(folder)[1].get_weights()


def test_two_workers_learn_what_one_process_learns(data, together, tmp_path):
    folder, said = together
    command = [COMMAND, "train", *new_run(data, tmp_path / "alone")]
    alone = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=240)
    assert alone.returncode == 0, alone.stderr[-2000:]
    for mine, theirs in zip(weights(folder), weights(tmp_path / "alone"), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(log_rows(folder), log_rows(tmp_path / "alone"), strict=True):
        assert float(mine["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-5)
        assert float(mine["val_loss"]) == pytest.approx(float(theirs["val_loss"]), rel=1e-4)
    # Both name the same score; the first alone writes, so that the folder is as of a run of one.
    assert len({line for text in said for line in text.splitlines() if line.startswith("accuracy")}) == 1
    assert {path.name for path in folder.iterdir()} == {path.name for path in (tmp_path / "alone").iterdir()}


def test_after_a_worker_was_killed_the_run_goes_on_to_the_same_end(data, together, tmp_path):
    folder = tmp_path / "run"
    workers = start_workers(new_run(data, folder))
    deadline = time.monotonic() + 120
    try:
        while not checkpoints.found(folder / "checkpoints") and time.monotonic() < deadline:
            time.sleep(0.02)
        workers[1].send_signal(signal.SIGKILL)
        assert workers[1].wait(timeout=60) == -signal.SIGKILL
    finally:
        # The other waits for the dead one, or ends with an error when it notices.
        for worker in workers:
            worker.kill()
            worker.communicate(timeout=60)
    assert checkpoints.found(folder / "checkpoints")
    assert not (folder / "model.keras").exists(), "the run had ended before its worker was killed"
    ends(start_workers(["--resume", str(folder)]))
    for mine, theirs in zip(weights(folder), weights(together[0]), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [row["epoch"] for row in log_rows(folder)] == [str(epoch) for epoch in range(SETTINGS["epochs"])]
