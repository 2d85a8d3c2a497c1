"""TensorFlow's start-up notes kept off the screen.

TensorFlow writes some lines (which CPU instructions it uses, that it finds no GPU) straight to the process's standard
error when it is imported, whatever its log level is set to, and another one at its first operation. In front of a
progress bar they read like errors, and below the first cell of a notebook they fill a page.

Whoever wants to read them sets `TF_CPP_MIN_LOG_LEVEL` to 0, 1 or 2 (TensorFlow's own variable), or imports TensorFlow
before tfmeta. Then nothing is changed here.
"""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import tempfile
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# "I0000 00:00:17957.02 18980 port.cc:153] ...", its older form "2026-01-31 12:00:00.1: I tensorflow/...", and the two
# lines of them that have no such beginning. "F" is not among them: the process ends with it.
_NOTE = re.compile(
    rb"[IWE]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] |WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions:"
)


def import_tensorflow() -> None:
    """Import TensorFlow without its notes, unless it is there already or the user asked for them.

    Other lines that reach standard error meanwhile are shown when the import has ended.

    Raises:
        ImportError: if TensorFlow cannot be imported; then everything that was written is shown.

    References:
        Python, `os.dup2`: the notes come from C++ and pass by `sys.stderr`. https://docs.python.org/3/library/os.html
    """
    if "tensorflow" in sys.modules or os.environ.get(LEVEL, "3") != "3":
        return
    os.environ[LEVEL] = "3"  # for what it says later, at its first operation
    try:
        screen, aside = os.dup(2), tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # no standard error, or nowhere to put it aside
        return
    with aside, _crashes_shown(screen):
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(aside.fileno(), 2)
        shown = _all_lines
        try:
            import tensorflow  # noqa: F401

            shown = _other_lines
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(screen, 2)
            aside.seek(0)
            for line in shown(aside):
                os.write(screen, line)
            os.close(screen)


def _all_lines(written) -> Iterator[bytes]:
    return iter(written)


def _other_lines(written) -> Iterator[bytes]:
    """The lines that are none of TensorFlow's notes."""
    return (line for line in written if not _NOTE.match(line))


class _crashes_shown:  # noqa: N801
    """Let Python say where it was, on the screen, if the process dies: on a CPU that TensorFlow was not built for."""

    def __init__(self, screen: int):
        self.screen = screen

    def __enter__(self):
        self.mine = not faulthandler.is_enabled()
        if self.mine:
            faulthandler.enable(self.screen)

    def __exit__(self, *_):
        if self.mine:
            faulthandler.disable()
