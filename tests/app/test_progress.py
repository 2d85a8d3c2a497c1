"""The lines of a training: short, one an epoch in a log, rewritten on a terminal; with a clock of the test's own."""

import os

import pytest

from tests.helpers import train_tiny
from tfmeta.app import progress, runs
from tfmeta.app.progress import Progress

LOGS = {"loss": 0.41234, "accuracy": 0.873, "val_accuracy": 0.8512, "val_loss": 0.5}
LOGS |= {f"loss_after_step_{k}": 1.0 for k in range(30)}


def lines_of(live, capsys, monkeypatch, columns=120):
    clock = iter(0.5 * k for k in range(1000))
    one = Progress(10_000, live)
    one.set_params({"steps": 2000})
    with monkeypatch.context() as patch:  # both belong to all of Python, pytest included
        patch.setattr(progress.shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((columns, 24)))
        patch.setattr(progress.time, "perf_counter", lambda: next(clock))
        for epoch in (0, 9_999):
            one.on_epoch_begin(epoch)
            for step in range(3):
                one.on_train_batch_end(step, LOGS)
            one.on_test_begin()
            one.on_epoch_end(epoch, LOGS)
    return capsys.readouterr().out


def test_a_log_has_one_line_an_epoch(capsys, monkeypatch):
    text = lines_of(False, capsys, monkeypatch)
    assert "\r" not in text
    first, last = text.splitlines()
    assert first.startswith("epoch     1/10000  loss 0.4123  accuracy 87.3 %  validation 85.1 %  ")
    assert last.startswith("epoch 10000/10000")
    assert last.endswith(" s")


@pytest.mark.parametrize("columns", [120, 60])
def test_a_line_on_a_terminal_is_rewritten_and_never_wider_than_the_screen_or_100(capsys, monkeypatch, columns):
    text = lines_of(True, capsys, monkeypatch, columns)
    assert text.count("\n") == 2
    for line in text.split("\n")[:2]:
        shown = line.split("\r")[1:]
        assert len(shown) >= 5
        assert {len(one) for one in shown} == {min(100, columns - 1)}, "something of the line before would stay"
        assert "step 2/2000" in shown[1]
        assert "validation" in shown[-1] or columns < 100


def test_where_there_is_no_validation_or_no_number_nothing_is_said_of_it(capsys):
    one = Progress(3, live=False)
    one.on_epoch_begin(0)
    one.on_epoch_end(0, {})
    assert capsys.readouterr().out.startswith("epoch 1/3  0.0 s")


def test_who_sees_what(monkeypatch):
    assert progress.progress(3, 0) == []
    assert [progress.progress(3, verbose)[0].live for verbose in (1, 2)] == [True, False]
    for terminal in (True, False):
        monkeypatch.setattr(progress.sys, "stdout", type("Out", (), {"isatty": lambda self, t=terminal: t})())
        assert progress.progress(3, "auto")[0].live is terminal


@pytest.mark.slow
def test_no_line_of_a_run_is_longer_and_the_log_keeps_every_metric(tmp_path, capsys, monkeypatch):
    train = runs.train
    monkeypatch.setattr(runs, "train", lambda *given, **options: train(*given, **options | {"verbose": 2}))
    train_tiny(tmp_path / "run", "maml", epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert max(map(len, lines)) <= 100
    header = (tmp_path / "run" / "log.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"} <= set(header)
