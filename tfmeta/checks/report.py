"""How a check speaks: it runs an answer, catches what goes wrong, and says in words what to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tfmeta.checks import record

UNFILLED, WRONG, RIGHT = "not filled in yet", "not right yet", "right"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a check found. It has been printed already, so a notebook shows it once.

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

    def _ipython_display_(self) -> None:
        """Nothing: the message has been printed."""


class WrongAnswerError(Exception):
    """Raised inside a check: the answer is wrong, and the message says how."""


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


def judge(exercise: str, answer: Any, examine: Callable[[Callable], str]) -> Result:
    """Examine an answer without ever raising; print and return what was found.

    Args:
        exercise: name of the exercise.
        answer: what the reader wrote: a function, or still an ellipsis.
        examine: takes the answer as a function that is safe to call, returns the praise, and stops at the first thing
            that is wrong.

    Returns:
        A `Result`.

    References:
        Hattie, Timperley (2007), table 1. https://doi.org/10.3102/003465430298487
    """

    def call(*args):
        try:
            returned = answer(*args)
        except Exception as error:  # whatever a half-written answer does, the notebook goes on
            reason = str(error).strip().splitlines()
            raise WrongAnswerError(
                f"your function stopped with {type(error).__name__}: {reason[0][:300] if reason else 'no message'}"
            ) from error
        if returned is None or returned is ...:
            raise UnfilledError
        return returned

    try:
        if answer is None or answer is ...:
            raise UnfilledError
        require(callable(answer), f"give the check your function itself, not what it returns (a {_kind(answer)})")
        result = Result(RIGHT, examine(call))
    except UnfilledError:
        result = Result(UNFILLED, "your function returns nothing. Replace the dots and run both cells again.")
    except WrongAnswerError as wrong:
        result = Result(WRONG, str(wrong))
    except Exception as error:  # an answer of a kind that no comparison foresaw
        result = Result(WRONG, f"what your function returns cannot be compared ({type(error).__name__}: {error})"[:400])
    mark = {UNFILLED: "[ ]", WRONG: "[x]", RIGHT: "[ok]"}[result.status]
    print(f"{mark} {exercise}: {result.status}: {result.message}")
    record.note(exercise, "exercise", result.status, done=result.passed, tried=result.status != UNFILLED)
    return result


def _kind(value: Any) -> str:
    return type(value).__name__
