"""Settings of a folder of images: how they are read from the command line and from JSON, and what is refused."""

from __future__ import annotations

import math
from typing import Any


def image_size(name: str, value: Any) -> int | tuple[int, int]:
    """Read a height and width.

    Args:
        name: of the setting, for the message.
        value: a number, a pair, or a text such as "84" or "60x80".

    Returns:
        One number for square images, else (height, width).

    Raises:
        ValueError: if it is none of these.
    """
    parts = _split(value, "x") if isinstance(value, str) else value
    parts = list(parts) if isinstance(parts, list | tuple) else [parts]
    sides = [int(part) if isinstance(part, str) and part.isdecimal() else part for part in parts]
    if len(sides) not in (1, 2) or not all(type(side) is int and side > 0 for side in sides):
        raise ValueError(
            f"{name} must be a number of pixels, or height x width as in 60x80. Received: {name}={value!r}"
        )
    return sides[0] if len(set(sides)) == 1 else (sides[0], sides[1])


def fractions(name: str, value: Any) -> tuple[float, ...] | None:
    """Read the shares of classes.

    Args:
        name: of the setting, for the message.
        value: two or three numbers, or a text such as "0.6,0.2,0.2"; `None` for the usual ones.

    Returns:
        The shares of (training, validation, test) or of (training, test), or `None`.

    Raises:
        ValueError: if they are not above 0 or do not add up to 1.
    """
    if value is None:
        return None
    try:
        shares = tuple(float(part) for part in (_split(value, ",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        shares = ()
    if len(shares) not in (2, 3) or not all(0 < share < 1 for share in shares) or not math.isclose(sum(shares), 1):
        raise ValueError(
            f"{name} must be three numbers (training, validation, test) or two (training, test) above 0 that add up "
            f"to 1, as in 0.6,0.2,0.2. Received: {name}={value!r}"
        )
    return shares


def flag(name: str, value: Any) -> bool:
    """Read a switch.

    Args:
        name: of the setting, for the message.
        value: True or False.

    Returns:
        The value.

    Raises:
        ValueError: if it is anything else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False. Received: {name}={value!r}")
    return value


def _split(text: str, mark: str) -> list[str]:
    return [part.strip() for part in text.lower().split(mark)]
