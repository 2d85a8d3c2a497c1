"""What an autograder needs: results that are true or false, silence, and an end."""

import contextlib
import math
import signal
import threading
import time

import pytest

import tfmeta
from tfmeta import checks
from tfmeta.checks.report import judge, require

CHECKS = [name for name in checks.__all__ if name not in ("Result", "predict", "progress", "quiz")]


def wrong(*_):
    return [[0.0]]


@pytest.mark.parametrize("name", CHECKS)
def test_a_wrong_answer_is_false_and_quiet_prints_nothing(name, capsys):
    result = getattr(checks, name)(wrong, quiet=True)
    assert not result
    assert capsys.readouterr().out == ""
    assert not getattr(checks, name)(..., quiet=True)


def test_a_right_answer_is_true():
    assert checks.prototypical_logits(tfmeta.prototypical_logits, quiet=True)


def endless(*_):
    while True:
        with contextlib.suppress(Exception):  # an answer that swallows errors does not get away with it
            time.sleep(0.01)


@pytest.mark.parametrize("name", ["adapt", "sample_episode", "prototypical_head"])
def test_an_endless_loop_is_an_answer(name):
    before = signal.getsignal(signal.SIGALRM)
    result = getattr(checks, name)(endless, seconds=0.2)
    assert result.status == "not right yet"
    assert "has not come to an end within 0.2 s" in result.message
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_without_alarms_there_is_no_limit_and_no_harm():
    found = []
    grader = threading.Thread(target=lambda: found.append(checks.prototypical_head(wrong, quiet=True)))
    grader.start()
    grader.join()
    assert found[0].status == "not right yet"
    assert checks.prototypical_logits(tfmeta.prototypical_logits, seconds=math.inf)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, "10", None])
def test_a_limit_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match=r"seconds must be a number above 0. Received: seconds="):
        checks.prototypical_head(wrong, seconds=seconds)


def test_a_check_of_one_s_own(capsys):
    def double(answer, **options):
        def examine(call):
            require(call(2) == 4, "the double of 2 is 4.")
            return "it doubles."

        return judge("double", answer, examine, **options)

    assert double(lambda x: 2 * x)
    assert not double(lambda x: x)
    assert not double(lambda x: x / 0)
    assert capsys.readouterr().out.splitlines()[1] == "[x] double: not right yet: the double of 2 is 4."
