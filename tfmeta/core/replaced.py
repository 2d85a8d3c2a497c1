"""Somebody else's function, replaced for the length of a block."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

_lock = threading.RLock()


class Replaced:
    """A function of a module or class that is another one within blocks, which may overlap in several threads.

    Args:
        owner: the module or class.
        name: of the function.
        new: stands in for it; must do no harm to other threads that meet a block.
    """

    def __init__(self, owner: Any, name: str, new: Callable):
        self.owner, self.name, self.new = owner, name, new
        self.original = getattr(owner, name)
        self._blocks = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Within the block the owner has the new function; the last block that ends puts the old one back."""
        with _lock:
            if not self._blocks:  # which somebody else may have replaced since
                self.original = getattr(self.owner, self.name)
            self._blocks += 1
            setattr(self.owner, self.name, self.new)
        try:
            yield
        finally:
            with _lock:
                self._blocks -= 1
                if not self._blocks:
                    setattr(self.owner, self.name, self.original)
