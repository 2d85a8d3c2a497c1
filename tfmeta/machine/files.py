"""Files written whole or not at all: beside the target first, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
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
    except (OSError, RuntimeError) as error:
        # HDF5 says it in three lines, and not always by an OSError.
        if getattr(error, "errno", None) != errno.ENOSPC and f"errno = {errno.ENOSPC}," not in str(error):
            raise
        raise OSError(errno.ENOSPC, "the disk is full; what was there before is unchanged", str(target)) from error
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


SUMS = "SHA256SUMS"


def write_sums(folder: str | os.PathLike, names: Sequence[str]) -> None:
    """Write the hashes of a folder's files into its `SHA256SUMS`, which `sha256sum --check` reads, too.

    Args:
        folder: where they are.
        names: of files in it that are finished. What an older `SHA256SUMS` said of others is forgotten.
    """
    with whole(Path(folder) / SUMS) as beside:
        lines = [f"{sha256(Path(folder) / name)}  {name}\n" for name in names]
        beside.write_text("".join(lines), encoding="utf-8")


def check_sum(path: str | os.PathLike) -> None:
    """Refuse a file that has not the hash in its folder's `SHA256SUMS`.

    Args:
        path: the file; taken as it is where its folder has no hash of it.

    Raises:
        ValueError: naming the file.
    """
    sums = Path(path).with_name(SUMS)
    if not sums.is_file():
        return
    lines = [line.split("  ", 1) for line in sums.read_text(encoding="utf-8", errors="replace").splitlines()]
    listed = {line[1]: line[0] for line in lines if len(line) == 2}
    found = sha256(path)
    if listed.get(Path(path).name, found) != found:
        raise ValueError(
            f"the file must be as it was written, with the hash that {SUMS} has of it; take its line out there if the "
            f"change was meant. Received: {path}, which was changed or damaged"
        )


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike) -> Iterator[None]:
    """Hold a folder for this process; whoever dies gives it back.

    Args:
        folder: exists. Nothing is written in it.

    Returns:
        A context.

    Raises:
        BlockingIOError: if another process holds it.

    References:
        Linux, `flock`. https://man7.org/linux/man-pages/man2/flock.2.html

    Note:
        Without locks, as on Windows and on some network drives, it lets everybody in.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"a folder is for one process at a time. Received: {folder}, in use by another"
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def sha256(path: str | os.PathLike) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
