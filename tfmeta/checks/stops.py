"""What to say when an answer stops with an error: which one, in which of the reader's lines, and what it may mean."""

from __future__ import annotations

import functools
import inspect
import linecache
import re
import traceback
from collections.abc import Callable
from typing import Any

# A tape's gradient is None where it did not watch; the error comes one line later, when None is multiplied.
FORGOTTEN_WATCH = "params are tensors, and a tape records only what it was told to: tape.watch(params) before the loss"
TENSOR_HINTS = (
    (
        "assign",
        "(Tensors cannot be written to, and should not be: the next task would start from what this one has left. "
        "Compute new ones, w - inner_lr * g.)",
    ),
)
WATCH_HINTS = (
    *TENSOR_HINTS,
    ("NoneType", f"(A gradient is None. {FORGOTTEN_WATCH}.)"),
    ("None values not supported", f"(A gradient is None. {FORGOTTEN_WATCH}.)"),
)


def describe(error: BaseException, answer: Any, hints: tuple[tuple[str, str], ...] = ()) -> str:
    """One sentence about an error of an answer.

    Args:
        error: what was raised.
        answer: the function or class that the reader gave.
        hints: pairs of a piece of the error's text and a sentence to add.

    Returns:
        The error's type and text, the line of the reader's cell or file where it happened, and the hint that fits.
    """
    where = _line(error, answer)
    if isinstance(error, SystemExit):
        return f"your function ended the program (sys.exit or quit){where}. Return a value instead."
    text = _text(error)
    hint = next((f" {words}" for piece, words in hints if piece in f"{type(error).__name__}: {error}"), "")
    return f"your function stopped with {type(error).__name__}: {text}{where}{hint}"


def _text(error: BaseException) -> str:
    """The line of an error's text that says what happened: the first one, or the last where a graph's error is long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return "no message"
    if lines[0].startswith("in user code"):
        return lines[-1][:300]
    return lines[0][:300]


def _line(error: BaseException, answer: Any) -> str:
    """The last line of the reader's own code on the way to the error."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    files = _files(answer) or {name for name, _ in frames if name != __file__ and not _of_a_library(name)}
    # The error of a graph holds the reader's lines in its text.
    frames += [(name, int(number)) for name, number in re.findall(r'File "(.+?)", line (\d+), in', str(error))]
    own = [(name, number) for name, number in frames if name in files]
    if not own:
        return ""
    name, number = own[-1]
    source = linecache.getline(name, number or 0).strip()
    return f" (in line {number}" + (f": {source[:90]})" if source else ")")


def _files(answer: Any) -> set[str]:
    """Files or notebook cells in which an answer was written."""
    seen = 0
    while seen < 20:  # decorators around decorators
        seen += 1
        if isinstance(answer, functools.partial):
            answer = answer.func
        elif hasattr(answer, "python_function"):  # a tf.function
            answer = answer.python_function
        elif hasattr(answer, "__wrapped__"):
            answer = answer.__wrapped__
        else:
            break
    if inspect.isclass(answer):
        methods: list[Callable] = [value for value in vars(answer).values() if inspect.isfunction(value)]
    elif hasattr(answer, "__code__") or inspect.ismethod(answer):
        methods = [answer]
    else:
        methods = [vars(type(answer)).get("__call__")]
    return {method.__code__.co_filename for method in methods if hasattr(method, "__code__")}


def _of_a_library(filename: str) -> bool:
    return any(
        part in filename for part in ("site-packages", "dist-packages", "/tfmeta/checks/", "<__array_function__")
    )
