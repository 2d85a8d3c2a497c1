"""Commit, then reveal: a guess is kept, and scored before the measured answer is shown."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from tfmeta.checks import record


class Prediction:
    """A guess that waits for its answer; made by `checks.predict`.

    Args:
        question: what is guessed.
        guess: the number or choice; `None` where there is none yet.
        choices: what can be chosen; empty for a number.

    References:
        Crouch et al. (2004), "Classroom demonstrations: Learning tools or entertainment?": students who predict first
        understand what they see. https://doi.org/10.1119/1.1707018
    """

    def __init__(self, question: str, guess: Any, choices: Sequence[str] = ()):
        self.question = question
        self.guess = guess
        self.choices = tuple(choices)
        self.revealed = False

    def reveal(self, measured: float | str, within: float = 0.2) -> bool:
        """Score the guess, then print what was measured.

        Args:
            measured: the number or the choice that is right.
            within: a number counts as right within this part of the measured one (0.2: a fifth).

        Returns:
            Whether the guess was right.

        Raises:
            TypeError: if `measured` is no number, where one was asked for.
            ValueError: if it is not among the choices, or `within` is no number above 0.
        """
        if not isinstance(within, numbers.Real) or not 0 < within < math.inf:
            raise ValueError(f"within must be a number above 0. Received: within={within!r}")
        if self.choices and measured not in self.choices:
            raise ValueError(f"measured must be one of {self.choices}. Received: measured={measured!r}")
        if not self.choices and not isinstance(measured, numbers.Real):
            raise TypeError(f"measured must be a number. Received: measured={measured!r}")
        shown = measured if self.choices else _short(float(measured))
        right = self.guess is not None and self._right(measured, within)
        if self.guess is None:
            print(f"[ ] {self.question}: you made no guess. Measured: {shown}")
        else:
            print(
                f"[{'ok' if right else 'x'}] {self.question}: your guess {self.guess}, {self._verdict(measured, right)}"
            )
            print(f"    measured: {shown}")
            record.note(self.question, "prediction", "right" if right else "revealed", done=True, tried=False)
        self.revealed = True
        return right

    def _right(self, measured: Any, within: float) -> bool:
        if self.choices:
            return self.guess == measured
        return math.isfinite(measured) and bool(abs(self.guess - measured) <= within * abs(measured))

    def _verdict(self, measured: Any, right: bool) -> str:
        if self.choices or not math.isfinite(measured):
            return "right" if right else "not what came out"
        if right:
            return "close"
        if measured > 0 and self.guess > 0 and not 0.5 < self.guess / measured < 2:
            factor = self.guess / measured
            return f"too {'high' if factor > 1 else 'low'} by a factor of {max(factor, 1 / factor):.2g}"
        return f"too {'high' if self.guess > measured else 'low'} by {abs(self.guess - measured):.2g}"

    def _ipython_display_(self) -> None:
        """Nothing: what there is to say has been printed."""


def _short(number: float) -> str:
    """Three digits, and all digits before the point."""
    return f"{number:.0f}" if 100 <= abs(number) < 1e6 else f"{number:.3g}"


_made: dict[str, Prediction] = {}


def predict(question: str, guess: Any, choices: Sequence[str] = ()) -> Prediction:
    """Keep a guess until its answer is revealed. It can be changed until then, and not afterwards.

    Args:
        question: what is guessed, in a few words; the guess is kept under it.
        guess: a number, or one of the choices; dots (`...`) as long as there is none.
        choices: what can be chosen; none where a number is asked for.

    Returns:
        A `Prediction`, whose `reveal(measured)` scores the guess and then shows the answer.

    Raises:
        TypeError: if the question is no text.

    References:
        Crouch et al. (2004), "Classroom demonstrations: Learning tools or entertainment?".
        https://doi.org/10.1119/1.1707018
    """
    if not isinstance(question, str) or not question:
        raise TypeError(f"question must be a text. Received: question={question!r}")
    kept = _made.get(question)
    if kept is not None and kept.revealed and kept.guess is not None:
        print(f"[=] {question}: the answer has been shown; your guess stays {kept.guess}")
        return kept
    choices = tuple(choices)
    wanted = f"one of {', '.join(choices)}" if choices else "a number"
    fits = guess in choices if choices else isinstance(guess, numbers.Real) and not isinstance(guess, bool)
    if guess is None or guess is ...:
        print(f"[ ] {question}: write {wanted} in place of the dots, then run the next cells")
        guess, status = None, "no guess yet"
    elif not fits or (not choices and math.isnan(guess)):
        print(f"[x] {question}: a guess is {wanted}; yours is {guess!r}")
        guess, status = None, "no guess yet"
    else:
        print(f"[..] {question}: your guess {guess} is kept")
        status = "waits for its answer"
    record.note(question, "prediction", status, done=False, tried=guess is not None)
    _made[question] = Prediction(question, guess, choices)
    return _made[question]
