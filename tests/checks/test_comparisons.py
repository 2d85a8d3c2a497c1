"""The check of paired differences rejects the known wrong ways."""

import numpy as np
import pytest

from tfmeta import checks
from tfmeta.evaluation import confidence_interval


def error(d, ddof=1):
    return np.std(d, ddof=ddof) / np.sqrt(len(d))


RIGHT = [
    lambda a, b: (np.mean(a - b), 1.96 * error(a - b)),
    lambda a, b: [np.mean(a) - np.mean(b), 1.959964 * error(a - b, ddof=0)],
    lambda a, b: (np.mean(a - b), confidence_interval(a - b)),
]
WRONG = [
    (lambda a, b: (np.mean(b - a), 1.96 * error(a - b)), "sign is turned round"),
    (lambda a, b: (np.mean(a), 1.96 * error(a - b)), "not the mean of a - b"),
    (lambda a, b: (np.mean(a - b), 1.96 * np.hypot(error(a), error(b))), "added the variances"),
    (lambda a, b: (np.mean(a - b), 1.96 * np.std(a - b, ddof=1)), "spread of single episodes"),
    (lambda a, b: (np.mean(a - b), error(a - b)), "one standard error"),
    (lambda a, b: (np.mean(a - b), 3.92 * error(a - b)), "whole width"),
    (lambda a, b: (np.mean(a - b), 1.96 * np.std(a - b, ddof=1) / len(a)), "root of n"),
    (lambda a, b: (np.mean(a - b), 1.96 * error(a + b)), "is not 1.96 s"),
    (lambda a, b: np.mean(a - b), "return two numbers"),
    (lambda a, b: (a - b, a - b), "yours have shapes"),
    (lambda a, b: (np.mean(a - c), 0.0), "stopped with NameError"),  # noqa: F821
    (lambda a, b: ("x", "y"), "cannot be compared"),
]


@pytest.mark.parametrize("answer", RIGHT)
def test_right_answers_pass(answer, capsys):
    assert checks.paired_difference(answer).passed
    assert capsys.readouterr().out.startswith("[ok] paired_difference: right")


@pytest.mark.parametrize(("answer", "words"), WRONG)
def test_wrong_answers_are_told_why(answer, words, capsys):
    result = checks.paired_difference(answer)
    assert result.status == "not right yet"
    assert words in result.message
    assert capsys.readouterr().out.startswith("[x] ")


def test_a_stub_is_no_mistake():
    assert checks.paired_difference(lambda a, b: ...).status == "not filled in yet"
