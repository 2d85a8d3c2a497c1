"""A run that is resumed to more epochs."""

import json
import os
import re

import keras
import pytest
from typer.testing import CliRunner

from tests.helpers import assert_same_end, contents, log_rows, tiny_settings, train_tiny
from tfmeta.app import checkpoints, extension, runs
from tfmeta.app.checkpoints import Checkpoints
from tfmeta.app.cli import app
from tfmeta.app.settings import TrainSettings

pytestmark = pytest.mark.slow
CONSTANT = {"schedule": "constant"}


def test_with_a_constant_rate_it_ends_as_one_run_of_that_length(tmp_path):
    one = tmp_path / "one", *train_tiny(tmp_path / "one", epochs=3, **CONSTANT)
    train_tiny(tmp_path / "run", epochs=2, **CONSTANT)
    (tmp_path / "run" / "episode.png").write_bytes(b"of two epochs")
    os.utime(tmp_path / "run" / "episode.png", (1.0, 1.0))
    keras.utils.set_random_seed(99)  # what a new process would find
    ended = train_tiny(tmp_path / "run", epochs=3, resume=True, **CONSTANT)
    assert_same_end(tmp_path / "run", ended, one)
    assert runs.read_settings(tmp_path / "run") == tiny_settings("prototypical", epochs=3, **CONSTANT)
    assert extension.read(tmp_path / "run") == [{"epochs": 2, "done": 2}]
    assert extension.stale_pictures(tmp_path / "run") == ["episode.png"]
    assert (tmp_path / "run" / "episode.png").read_bytes() == b"of two epochs"


def test_a_schedule_ends_at_the_new_last_step(finished):
    learner, _ = train_tiny(finished, epochs=5, resume=True)
    assert [row["epoch"] for row in log_rows(finished)] == list("01234")
    assert int(learner.optimizer.iterations) == 10
    assert float(learner.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-6)
    assert runs.load_run(finished)[0].epochs == 5


@pytest.mark.parametrize("place", ["begin", "in the settings", "in an epoch"])
def test_killed_in_between_it_can_be_resumed(finished, tmp_path, monkeypatch, place):
    whole = train_tiny(tmp_path / "whole", epochs=3)
    expected = tmp_path / "whole", *train_tiny(tmp_path / "whole", epochs=5, resume=True)
    del whole

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if place == "begin":
            patch.setattr(extension.files, "write_sums", stop)
        elif place == "in the settings":
            write = extension.files.write_json
            patch.setattr(
                extension.files, "write_json",
                lambda path, content: stop() if path.name == "settings.json" else write(path, content),
            )  # fmt: skip
        else:
            patch.setattr(Checkpoints, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(finished, epochs=5, resume=True)
    assert not (finished / "score.json").exists(), "the old score would be taken for the new one"
    epochs = runs.read_settings(finished).epochs
    assert epochs == (5 if place == "in an epoch" else 3)
    # Without the number, a run whose settings have it already goes on; else it is asked for once more.
    ended = train_tiny(finished, epochs=5, resume=True)
    assert_same_end(finished, ended, expected)


def test_fewer_epochs_than_are_done_are_refused_and_nothing_is_changed(finished):
    before = contents(finished)
    with pytest.raises(ValueError, match=r"at least the 3 that the run in .* has done\. Received: epochs=2$"):
        train_tiny(finished, epochs=2, resume=True)
    assert contents(finished) == before
    for path in checkpoints.found(finished / "checkpoints"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="goes on from its last checkpoint"):
        train_tiny(finished, epochs=5, resume=True)


def test_the_command_says_what_the_result_is_not_and_which_pictures_are_old(finished, monkeypatch):
    (finished / "log.png").write_bytes(b"old")
    os.utime(finished / "log.png", (1.0, 1.0))
    asked = []
    monkeypatch.setattr(runs, "load_data", lambda *_, **__: type("Data", (), {"test": None}))
    monkeypatch.setattr(runs, "train", lambda settings, *_, **__: (asked.append(settings), (None, "score"))[1])
    monkeypatch.setattr("tfmeta.app.breadth.note", lambda *_: "")
    result = CliRunner().invoke(app, ["train", "--resume", str(finished), "--epochs", "9"])
    assert result.exit_code == 0, result.stderr
    assert asked[0].epochs == 9
    assert result.stdout.splitlines() == [
        "note: the cosine schedule ends at the new last step; the result is not that of one run of 9 epochs",
        "score",
        f"pictures of the run as it was: log.png; tfmeta plot {finished} --force draws them anew",
        f"run folder: {finished}",
    ]
    refused = CliRunner().invoke(app, ["train", "--resume", str(finished), "--epochs", "2"])
    assert (refused.exit_code, len(asked)) == (2, 1)
    assert re.search("at least the 3 .*Received: epochs=2", refused.stderr)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"schedule": "constant"}, ""),
        ({"schedule": "linear"}, "the linear schedule"),
        ({"method": "maml++", "schedule": "constant"}, "multi_step_loss"),
        ({"method": "maml++", "schedule": "constant", "options": {"multi_step_loss": 7}}, ""),
        ({"method": "maml++", "schedule": "cosine"}, "the cosine schedule and multi_step_loss"),
    ],
)
def test_what_depends_on_the_length(settings, reason):
    assert extension.differs_from_one_run(TrainSettings(**settings)) == reason


def test_the_history_is_json(tmp_path):
    assert extension.read(tmp_path) == []
    (tmp_path / "extensions.json").write_text(json.dumps([{"epochs": 1, "done": 1}]))
    assert extension.read(tmp_path) == [{"epochs": 1, "done": 1}]
