"""Numbers before their nouns."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun, for messages and printed lines.

    Args:
        n: how many.
        noun: of one, such as "channel".
        plural: of several; the noun with an s by default.

    Returns:
        "1 channel", "3 channels".
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
