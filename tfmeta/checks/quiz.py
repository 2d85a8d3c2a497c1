"""Six questions at the end of a notebook, with an answer of its own for every wrong choice."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from importlib import resources
from typing import Any

from tfmeta.checks import record
from tfmeta.checks.report import RIGHT, UNFILLED, WRONG, Result

_FOLDER = resources.files("tfmeta.checks") / "questions"


def questions(notebook: str) -> list[dict[str, Any]]:
    """The questions of a notebook.

    Args:
        notebook: its number, such as `"03"`.

    Returns:
        Dictionaries with `question`, `right` (a letter) and `choices`: by letter a `text`, and the `answer` to whoever
        chooses it.

    Raises:
        ValueError: if there are none for that number.
    """
    known = sorted(entry.name[:-5] for entry in _FOLDER.iterdir() if entry.name.endswith(".json"))
    if notebook not in known:
        raise ValueError(f"notebook must be one of {', '.join(known)}. Received: notebook={notebook!r}")
    return json.loads((_FOLDER / f"{notebook}.json").read_text(encoding="utf-8"))


def quiz(notebook: str, answers: Sequence[str] | Any = ...) -> Result:
    """Ask the questions of a notebook, or answer to your choices.

    Args:
        notebook: its number, such as `"03"`.
        answers: one letter per question, in order, dots where there is none yet: `["a", "c", ..., ...]`, or `"ac"`.
            Without any, all questions are printed with their choices.

    Returns:
        A `Result`; it never raises on an answer, whatever that is.

    Raises:
        ValueError: if there is no quiz for that notebook.

    References:
        Roediger, Karpicke (2006), "Test-Enhanced Learning": being asked teaches more than reading again.
        https://doi.org/10.1111/j.1467-9280.2006.01693.x
    """
    asked = questions(notebook)
    given = list(answers) if isinstance(answers, list | tuple | str) else []
    given = [*given[: len(asked)], *[...] * (len(asked) - len(given))]
    right = answered = 0
    for number, (one, answer) in enumerate(zip(asked, given, strict=True), start=1):
        letter = answer.strip().lower() if isinstance(answer, str) else answer
        if letter is ... or letter is None or letter == "":
            _say(f"{number}. {one['question']}")
            for name, choice in one["choices"].items():
                _say(f"   {name}) {choice['text']}", indent=6)
            continue
        answered += 1
        choice = one["choices"].get(letter) if isinstance(letter, str) else None
        correct = choice is not None and letter == one["right"]
        right += correct
        reply = choice["answer"] if choice else f"choose one of {', '.join(one['choices'])}; yours is {answer!r}"
        _say(f"{number}. [{'ok' if correct else 'x'}] {letter}) {reply}")
    status = UNFILLED if not answered else RIGHT if right == len(asked) else WRONG
    message = (
        f"{right} of {len(asked)} right" if answered else "write a letter for each question and run the cell again"
    )
    print(f"[{ {UNFILLED: ' ', WRONG: 'x', RIGHT: 'ok'}[status] }] quiz {notebook}: {message}")
    record.note(f"quiz {notebook}", "quiz", message, done=status == RIGHT, tried=bool(answered))
    return Result(status, message)


def _say(text: str, indent: int = 3) -> None:
    print(textwrap.fill(text, width=78, subsequent_indent=" " * indent, break_on_hyphens=False))
