"""The nearest name to a mistyped one, or to another name of the same thing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping


def did_you_mean(name: object, names: Iterable[str], also: Mapping[str, str] | None = None) -> str:
    """Suggest a name that looks like a mistyped one, or is another name of what was meant.

    Args:
        name: what was given.
        names: those that there are.
        also: other names of the same things -> one of `names`; those that lead elsewhere are passed over.

    Returns:
        " Did you mean 'maml'?", to be put behind a sentence; empty where none looks like it.
    """
    names = list(names)
    known = {_plain(other): own for other, own in (also or {}).items() if own in names}
    known |= {_plain(own): own for own in names}
    near = difflib.get_close_matches(_plain(name), known, n=1)
    return f" Did you mean {known[near[0]]!r}?" if near else ""


def _plain(name: object) -> str:
    """A name without what people write in different ways: capitals, spaces, hyphens, and `++` for "plus plus"."""
    return re.sub(r"[\s_-]+", "-", str(name).lower().replace("+", "-plus")).strip("-")
