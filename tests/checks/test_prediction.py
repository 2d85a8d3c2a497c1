"""Commit, then reveal: the guess is kept, scored, and closed once the answer was shown."""

import math

import pytest

from tfmeta import checks
from tfmeta.checks import prediction, record


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    monkeypatch.setattr(prediction, "_made", {})
    record.forget()


@pytest.mark.parametrize(
    ("guess", "measured", "right", "words"),
    [
        (0.45, 0.5, True, "close"),
        (0.4, 0.5, True, "close"),
        (0.39, 0.5, False, "too low by 0.11"),
        (2.0, 0.5, False, "too high by a factor of 4"),
        (0.1, 0.5, False, "too low by a factor of 5"),
        (1, -1.0, False, "too high by 2"),
        (0, 0.0, True, "close"),
        (5, math.nan, False, "not what came out"),
        (5, math.inf, False, "not what came out"),
    ],
)
def test_numbers_are_scored_before_the_answer_is_shown(capsys, guess, measured, right, words):
    kept = checks.predict("loss", guess)
    assert capsys.readouterr().out == f"[..] loss: your guess {guess} is kept\n"
    assert kept.reveal(measured) is right
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"[{'ok' if right else 'x'}] loss: your guess {guess}, {words}"
    assert second.strip().startswith("measured: ")


def test_choices(capsys):
    kept = checks.predict("direction", "falls", choices=("falls", "rises"))
    assert kept.reveal("falls") is True
    wrong = checks.predict("another", "rises", choices=["falls", "rises"])
    assert wrong.reveal("falls") is False
    assert "your guess rises, not what came out\n    measured: falls" in capsys.readouterr().out


@pytest.mark.parametrize("stub", [..., None])
def test_without_a_guess_the_answer_comes_all_the_same(capsys, stub):
    kept = checks.predict("loss", stub)
    assert "write a number in place of the dots" in capsys.readouterr().out
    assert kept.reveal(0.5) is False
    assert capsys.readouterr().out == "[ ] loss: you made no guess. Measured: 0.5\n"


@pytest.mark.parametrize(
    ("guess", "choices"),
    [("0.5", ()), (True, ()), (math.nan, ()), ([1], ()), ("up", ("rises", "falls")), (1, ("a", "b"))],
)
def test_what_is_no_guess_is_said_and_not_kept(capsys, guess, choices):
    kept = checks.predict("loss", guess, choices)
    assert capsys.readouterr().out.startswith("[x] loss: a guess is ")
    assert kept.guess is None


def test_a_guess_can_be_changed_until_the_answer_is_shown(capsys):
    checks.predict("loss", 1.0)
    kept = checks.predict("loss", 2.0)
    kept.reveal(2.0)
    again = checks.predict("loss", 3.0)
    assert again.guess == 2.0
    assert "the answer has been shown; your guess stays 2.0" in capsys.readouterr().out


def test_a_guess_after_a_reveal_without_one_is_welcome():
    checks.predict("loss", ...).reveal(1.0)
    assert checks.predict("loss", 1.0).guess == 1.0


def test_bad_calls_are_named():
    with pytest.raises(TypeError, match=r"question must be a text. Received: question=3"):
        checks.predict(3, 1.0)
    kept = checks.predict("loss", 1.0)
    with pytest.raises(TypeError, match=r"Received: measured='low'"):
        kept.reveal("low")
    with pytest.raises(ValueError, match=r"within=0"):
        kept.reveal(1.0, within=0)
    with pytest.raises(ValueError, match=r"measured='sideways'"):
        checks.predict("way", "up", choices=("up", "down")).reveal("sideways")


def test_a_prediction_shows_nothing_by_itself(capsys):
    kept = checks.predict("loss", 1.0)
    capsys.readouterr()
    assert kept._ipython_display_() is None
    assert capsys.readouterr().out == ""


# ---- progress --------------------------------------------------------------------------------------------------------
def test_progress_lists_what_was_met_and_what_is_done(capsys):
    checks.progress()
    assert "Nothing has been checked yet" in capsys.readouterr().out
    checks.prototypical_logits(...)
    checks.predict("loss", 1.0).reveal(1.0)
    checks.predict("gap", ...)
    capsys.readouterr()
    checks.progress()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[  ] prototypical_logits  exercise: not filled in yet")
    assert lines[1].startswith("[ok] loss ")
    assert lines[2].startswith("[  ] gap ")
    assert lines[3] == "1 of 3 done"


def test_what_is_done_stays_done_and_tries_are_counted(capsys):
    wrong, right = (lambda s, y, q, n: 0), __import__("tfmeta").prototypical_logits
    for answer in (wrong, ..., wrong, right, wrong):
        checks.prototypical_logits(answer)
    capsys.readouterr()
    checks.progress()
    assert capsys.readouterr().out.startswith("[ok] prototypical_logits  exercise: right (3 tries)")
