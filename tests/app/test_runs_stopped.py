"""A run that was stopped goes on and ends as if it had never stopped."""

import signal
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from tests.helpers import ROOT, assert_same_end, contents, environment, log_rows, train_tiny
from tfmeta.app import checkpoints, runs
from tfmeta.app.checkpoints import Checkpoints, DamagedCheckpointError

pytestmark = pytest.mark.slow


def stop_in(hook, epoch, monkeypatch):
    """The checkpoint callback raises; it comes last, when the epoch's row has been logged."""
    original, at = getattr(Checkpoints, hook), []

    def stop(self, *arguments, **logs):
        at.append(arguments)
        if len(at) == epoch:
            raise KeyboardInterrupt
        return original(self, *arguments, **logs)

    monkeypatch.setattr(Checkpoints, hook, stop)


@pytest.mark.parametrize(
    ("method", "hook", "calls", "logged", "kept"),
    [
        ("maml", "on_train_batch_end", 4, 1, 1),  # after the last step of the second epoch
        ("prototypical", "on_epoch_end", 2, 2, 1),  # between the second epoch's row and its checkpoint
        ("prototypical", "on_train_batch_begin", 1, 0, 0),  # before anything was learned
        ("prototypical", "on_train_end", 1, 3, 2),  # when all was learned and nothing was saved
    ],
)
def test_a_stopped_run_ends_as_if_it_had_never_stopped(
    uninterrupted, tmp_path, monkeypatch, method, hook, calls, logged, kept
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_in(hook, calls, patch)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(folder, method)
    assert (len(log_rows(folder)) if (folder / "log.csv").exists() else 0) == logged
    assert len(checkpoints.found(folder / "checkpoints")) == kept
    with pytest.raises(FileNotFoundError, match=r"finish it with tfmeta train --resume .*run"):
        runs.load_run(folder)
    keras.utils.set_random_seed(99)  # what a new process would find
    assert len(uninterrupted(method)[1].optimizer.variables) > 2, "there are no moments to restore"
    assert_same_end(folder, train_tiny(folder, method, resume=True), uninterrupted(method))


KILLED = """
import sys
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[4]))
from pathlib import Path
from tests.helpers import train_tiny
from tfmeta.app import checkpoints

def hold():
    print("now", flush=True)
    sys.stdin.read()

folder, method, moment = Path(sys.argv[1]), *sys.argv[2:4]
if moment == "within an epoch":
    steps = []
    def count(self, batch, logs=None):
        steps.append(batch)
        if len(steps) == 3:
            hold()
    checkpoints.Checkpoints.on_train_batch_end = count
else:
    original = checkpoints.files.sha256
    def hash(path):
        if checkpoints.found(folder / "checkpoints"):
            hold()
        return original(path)
    checkpoints.files.sha256 = hash
train_tiny(folder, method)
"""


@pytest.mark.parametrize("moment", ["within an epoch", "while a checkpoint is written"])
def test_a_run_killed_with_signal_9_goes_on(uninterrupted, tmp_path, moment):
    """That every method goes on from a checkpoint alike is shown above and in test_runs."""
    method = "prototypical"
    folder, expected = tmp_path / "run", uninterrupted(method)
    # The same threads per operation as here: a sum over two threads can differ from one in its last bit.
    threads = str(tf.config.threading.get_intra_op_parallelism_threads())
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, folder, method, moment, threads], cwd=ROOT, text=True,
        env=environment(TF_CPP_MIN_LOG_LEVEL="3", TFMETA_THREADS="tensorflow"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert [path.name[:11] for path in checkpoints.found(folder / "checkpoints")] == ["epoch-00001"]
    assert any((folder / "checkpoints").glob(".writing*")) == (moment == "while a checkpoint is written")
    assert_same_end(folder, train_tiny(folder, method, resume=True), expected)
    assert not [path for path in folder.rglob("*") if "writing" in path.name]


def test_a_folder_that_exists_is_not_touched(finished):
    before = contents(finished)
    with pytest.raises(FileExistsError, match=r"exists and is not overwritten.*tfmeta train --resume .*run"):
        train_tiny(finished)
    assert contents(finished) == before


def test_resuming_needs_a_run_and_its_own_settings(finished, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has a settings.json. Received: .*nowhere, which has none"):
        train_tiny(tmp_path / "nowhere", resume=True)
    assert not (tmp_path / "nowhere").exists()
    before = contents(finished)
    with pytest.raises(ValueError, match=r"with its own settings, .*Received: epochs=4 \(not 3\), seed=1 \(not 0\)"):
        train_tiny(finished, resume=True, epochs=4, seed=1)
    assert contents(finished) == before


def test_a_corrupt_checkpoint_is_reported_and_the_one_before_it_serves(finished, uninterrupted):
    (finished / "model.keras").unlink()
    newest = checkpoints.found(finished / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    before = contents(finished)
    with pytest.raises(DamagedCheckpointError, match=r"epoch-00003.*is damaged.*Remove it to go on from the one"):
        train_tiny(finished, resume=True)
    assert contents(finished) == before
    newest.unlink()
    assert_same_end(finished, train_tiny(finished, resume=True), uninterrupted("prototypical"))


def test_resuming_a_finished_run_changes_none_of_its_results(finished, uninterrupted):
    ended = train_tiny(finished, resume=True)
    assert_same_end(finished, ended, uninterrupted("prototypical"))
