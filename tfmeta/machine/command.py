"""The `tfmeta` command waits with its imports until there is work to do.

`tfmeta --help` and a mistyped option are answered at once, while TensorFlow takes seconds to import. In every other
program `import tfmeta` imports everything, so that Keras knows the learners when it loads one.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from typing import Any

COMMANDS = ("tfmeta", "tfmeta.exe")
MODULES = ("tfmeta", "tfmeta.app.cli")  # of `python -m`

_waiting: list[bool] = []  # decided when the package is imported: `sys.argv` changes later


def waits() -> bool:
    """Whether the running program is the `tfmeta` command and no work has begun."""
    if not _waiting:
        _waiting.append(is_command(sys.argv, sys.orig_argv))
    return _waiting[0]


def is_command(arguments: list[str], started: list[str]) -> bool:
    """Say whether a program is the `tfmeta` command.

    Args:
        arguments: `sys.argv`; the program comes first, which is `-m` while Python still looks for a module.
        started: `sys.orig_argv`, the words with which Python was started.

    Returns:
        Whether it is; where it cannot be told, False.
    """
    program = arguments[0] if arguments else ""
    if program != "-m":
        return Path(program).name in COMMANDS
    return any(word == "-m" and name in MODULES for word, name in itertools.pairwise(started))


def begin_work(package: str = "tfmeta") -> None:
    """Import everything, if the command has waited with it.

    Args:
        package: the name of the package whose `__init__` asked `waits`; it is run once more.

    References:
        Python, `importlib.reload`. https://docs.python.org/3/library/importlib.html#importlib.reload
    """
    if waits():
        _waiting[0] = False
        importlib.reload(sys.modules[package])


def first_use(package: str, name: str) -> Any:
    """Find a public name of the package when it is first used (`__getattr__` of a module, PEP 562).

    Args:
        package: the name of the package.
        name: what was asked of it.

    Returns:
        What it stands for.

    Raises:
        AttributeError: if there is no such name.

    References:
        PEP 562. https://peps.python.org/pep-0562/
    """
    if not name.startswith("__") and waits():  # Python itself asks for names with underscores
        begin_work(package)
        if name in vars(sys.modules[package]):
            return vars(sys.modules[package])[name]
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
