"""Files written whole or not at all: beside the target first, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def whole(path: str | os.PathLike, name: Callable[[Path], str] | None = None) -> Iterator[Path]:
    """Give a temporary path of the same ending; when the block ends well, it takes the target's place.

    Args:
        path: the target.
        name: function of the written file that gives the target another name in the same folder, for names that say
            what is in the file.

    Returns:
        A context whose value is the path to write to. After an error nothing is left of it, and the target is as it
        was. A process that is killed while it writes leaves a file `.writing-...` behind.

    References:
        Python, `os.replace`: an atomic operation on POSIX. https://docs.python.org/3/library/os.html#os.replace
    """
    target = Path(path)
    # The ending stays last: Keras chooses its format by it.
    beside = target.with_name(f".writing-{os.getpid()}-{target.name}")
    try:
        yield beside
        os.replace(beside, target if name is None else target.with_name(name(beside)))
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write indented JSON, whole or not at all.

    Args:
        path: the file; an older one is replaced.
        content: what JSON can hold.

    Raises:
        TypeError: if it cannot.
    """
    with whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def sha256(path: str | os.PathLike) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
