"""A check speaks, and never raises."""

import functools
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from tfmeta import checks

OTHERS = {"Result", "predict", "progress", "quiz"}
ALL = [getattr(checks, name) for name in checks.__all__ if name not in OTHERS]
every_check = pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)


def returns_nothing(*_):
    pass


def returns_dots(*_):
    return ...


def returns_a_row_of_dots(*_):
    return ..., ...


class StubOfAClass(keras.Model):
    def __init__(self, encoder, n_way):
        super().__init__()

    def train_step(self, episode):
        return ...


STUBS = {"dots": ..., "None": None, "nothing": returns_nothing, "a stub": returns_dots, "a row": returns_a_row_of_dots}


@every_check
@pytest.mark.parametrize("stub", STUBS.values(), ids=STUBS)
def test_an_unfilled_stub_is_answered_gently(check, stub, capsys):
    result = check(stub)
    assert result.status == "not filled in yet"
    assert not result.passed
    assert not result
    assert capsys.readouterr().out.startswith(f"[ ] {check.__name__}: not filled in yet")


def test_a_stub_of_a_class_is_answered_gently():
    assert checks.prototypical_train_step(StubOfAClass).status == "not filled in yet"


NONSENSE = {
    "3": lambda *_: 3,
    "text": lambda *_: "abc",
    "an empty list": lambda *_: [],
    "no arguments": lambda: 0,
    "a number": 7,
    "a mixed list": lambda *_: [[], 1],
    "a dictionary": lambda *_: {"a": 1},
    "a class": StubOfAClass,
    "an object": object(),
    "a set": lambda *_: {1, 2},
    "NaN": lambda *_: float("nan"),
    "a symbolic tensor": lambda *_: keras.Input((2,)),
    "its arguments": lambda *args: args,
    "text in lists": lambda *_: ["a", "b", "c", "d"],
    "a list of None": lambda *_: [None, None, None, None],
}


# For the one check that asks for a class, the class is a stub.
ANSWERS = {
    f"{check.__name__}-{name}": (check, nonsense)
    for check in ALL
    for name, nonsense in NONSENSE.items()
    if (check, nonsense) != (checks.prototypical_train_step, StubOfAClass)
}


@pytest.mark.parametrize(("check", "nonsense"), ANSWERS.values(), ids=ANSWERS)
def test_nonsense_is_answered_in_words(check, nonsense):
    result = check(nonsense)
    assert result.status == "not right yet"
    assert len(result.message) > 20


def test_a_result_shows_once_in_a_notebook(capsys):
    result = checks.prototypical_logits(...)
    capsys.readouterr()
    assert result._ipython_display_() is None
    assert capsys.readouterr().out == ""


def leaves(*_):
    sys.exit(1)


def quits(*_):
    raise SystemExit


@every_check
@pytest.mark.parametrize("answer", [leaves, quits])
def test_an_answer_that_ends_the_program_does_not(check, answer):
    assert "ended the program" in check(answer).message


def test_whoever_interrupts_means_it():
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.prototypical_head(interrupted)


def deeper(x):
    return 1 / x


def divides(*_):
    value = 0
    return deeper(value)


def by_tensorflow(*_):
    return tf.matmul(tf.zeros((2, 3)), tf.zeros((2, 3)))


class Callable:
    def __call__(self, *_):
        return deeper(0)


class Divides(keras.Model):
    def __init__(self, encoder, n_way):
        super().__init__()
        self.encoder = encoder

    def train_step(self, episode):
        return deeper(0)


@pytest.mark.parametrize(
    ("check", "answer", "line"),
    [
        (checks.prototypical_head, divides, "return 1 / x"),
        (checks.prototypical_head, by_tensorflow, "return tf.matmul"),
        (checks.prototypical_head, Callable(), "return 1 / x"),
        (checks.prototypical_head, Callable().__call__, "return 1 / x"),
        (checks.prototypical_head, functools.partial(divides, 1), "return 1 / x"),
        (checks.prototypical_head, functools.wraps(divides)(lambda *args: divides(*args)), "return 1 / x"),
        (checks.prototypical_head, tf.function(divides, autograph=False), "return 1 / x"),
        (checks.prototypical_train_step, Divides, "return 1 / x"),
    ],
    ids=["function", "TensorFlow", "object", "method", "partial", "wrapped", "graph", "class"],
)
def test_an_error_is_located_in_the_readers_own_lines(check, answer, line):
    message = check(answer).message
    number = next(
        i for i, text in enumerate(Path(__file__).read_text().splitlines(), start=1) if text.strip().startswith(line)
    )
    assert f"(in line {number}: {line}" in message


def test_a_cell_has_lines_too():
    """Code without a file, as a notebook's cells have none on a disk."""
    scope = {}
    exec(compile("def answer(prototypes):\n    a = 1\n    return a / 0\n", "<cell 7>", "exec"), scope)
    assert "ZeroDivisionError: division by zero (in line 3)" in checks.prototypical_head(scope["answer"]).message


def test_an_error_of_a_graph_is_told_in_its_own_words():
    @tf.function
    def answer(prototypes):
        raise ValueError("too many prototypes")

    message = checks.prototypical_head(answer).message
    assert "too many prototypes" in message
    assert "in user code" not in message
