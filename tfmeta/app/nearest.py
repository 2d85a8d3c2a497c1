"""The nearest name to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """Suggest a name that looks like a mistyped one.

    Args:
        name: what was given.
        names: those that there are.

    Returns:
        " Did you mean 'maml'?", to be put behind a sentence; empty where none looks like it.
    """
    names = list(names)
    by_lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
