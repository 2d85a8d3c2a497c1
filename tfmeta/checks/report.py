"""How a check speaks: it runs an answer, catches what goes wrong, and says in words what to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tfmeta.checks import record
from tfmeta.checks.stops import describe
from tfmeta.checks.time_limit import TimeLimitError, time_limit

UNFILLED, WRONG, RIGHT = "not filled in yet", "not right yet", "right"
# The longest check takes some ten seconds on two slow, busy cores.
SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Result:
    """What a check found. It has been printed already, so a notebook shows it once.

    A result is true where the answer is right: `if checks.adapt(my_adapt): ...`.

    Args:
        status: `"right"`, `"not right yet"` or `"not filled in yet"`.
        message: what was found, in words.

    References:
        Hattie, Timperley (2007), "The Power of Feedback": feedback helps where it says what to do next.
        https://doi.org/10.3102/003465430298487
    """

    status: str
    message: str

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == RIGHT

    def __bool__(self) -> bool:
        return self.passed

    def _ipython_display_(self) -> None:
        """Nothing: the message has been printed."""


class WrongAnswerError(Exception):
    """Raised inside a check: the answer is wrong, and the message says how."""


class StoppedError(WrongAnswerError):
    """Raised inside a check: the answer stopped with an error of its own, or ended the program."""


class UnfilledError(Exception):
    """Raised inside a check: there is no answer yet."""


def require(condition: Any, message: str) -> None:
    """Stop the check with this message unless the condition holds.

    Args:
        condition: what must be true.
        message: what to say where it is not.

    Raises:
        WrongAnswerError: with the message.
    """
    if not bool(condition):
        raise WrongAnswerError(message)


def is_unfilled(returned: Any) -> bool:
    """Whether a value is what a stub returns: nothing, dots, or a row of dots."""
    if isinstance(returned, list | tuple):
        return any(part is ... for part in returned)
    return returned is None or returned is ...


class Call:
    """An answer that is safe to call: whatever it does becomes a sentence.

    Args:
        answer: what the reader wrote.
        hints: pairs of a piece of an error's text and a sentence to add where an error contains it.
    """

    def __init__(self, answer: Callable, hints: tuple[tuple[str, str], ...] = ()):
        self.answer, self.hints = answer, hints

    def __call__(self, *args) -> Any:
        """What the answer returns.

        Args:
            *args: the answer's arguments.

        Returns:
            Anything but nothing.

        Raises:
            StoppedError: if the answer raises an error, or ends the program.
            UnfilledError: if it returns nothing.
        """
        return self.run(self.answer, *args)

    def run(self, function: Callable, *args) -> Any:
        """The same for another function that runs the reader's code, such as a method of a class that is the answer.

        Args:
            function: what to call.
            *args: its arguments.

        Returns:
            What it returns.

        Raises:
            StoppedError: if it raises an error, or ends the program.
            UnfilledError: if it returns nothing.
        """
        try:
            returned = function(*args)
        except (Exception, SystemExit) as error:  # whatever a half-written answer does, the notebook goes on
            raise StoppedError(describe(error, self.answer, self.hints)) from error
        if is_unfilled(returned):
            raise UnfilledError
        return returned


def judge(
    exercise: str,
    answer: Any,
    examine: Callable[[Call], str],
    hints: tuple[tuple[str, str], ...] = (),
    *,
    quiet: bool = False,
    seconds: float = SECONDS,
) -> Result:
    """Examine an answer without ever raising; print and return what was found.

    This is also how to write a check of one's own: a function that calls `judge` with an `examine` in which `require`
    says what is wrong. `examine(call)` gets the answer as `call`, which turns whatever goes wrong in it into words.

    Args:
        exercise: name of the exercise.
        answer: what the reader wrote: a function or a class, or still an ellipsis.
        examine: takes the answer as a function that is safe to call, returns the praise, and stops at the first thing
            that is wrong.
        hints: pairs of a piece of an error's text and a sentence to add where the answer stops with such an error.
        quiet: print nothing.
        seconds: how long the answer may take before it counts as endless; infinite for no limit. It can be stopped
            between two of its lines, in the main thread of a system with alarms (not on Windows).

    Returns:
        A `Result`.

    Raises:
        ValueError: if `seconds` is not above 0.

    References:
        Hattie, Timperley (2007), table 1. https://doi.org/10.3102/003465430298487
    """
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise ValueError(f"seconds must be a number above 0. Received: seconds={seconds!r}")
    try:
        if is_unfilled(answer):
            raise UnfilledError
        require(callable(answer), f"give the check your function itself, not what it returns (a {_kind(answer)})")
        with time_limit(seconds):
            result = Result(RIGHT, examine(Call(answer, hints)))
    except TimeLimitError:
        result = Result(WRONG, f"your function has not come to an end within {seconds:g} s. Does a loop never stop?")
    except UnfilledError:
        result = Result(UNFILLED, "your function returns nothing. Replace the dots and run both cells again.")
    except WrongAnswerError as wrong:
        result = Result(WRONG, str(wrong))
    except Exception as error:  # an answer of a kind that no comparison foresaw
        result = Result(WRONG, f"what your function returns cannot be compared ({type(error).__name__}: {error})"[:400])
    mark = {UNFILLED: "[ ]", WRONG: "[x]", RIGHT: "[ok]"}[result.status]
    if not quiet:
        print(f"{mark} {exercise}: {result.status}: {result.message}")
    record.note(exercise, "exercise", result.status, done=result.passed, tried=result.status != UNFILLED)
    return result


def _kind(value: Any) -> str:
    return type(value).__name__
