"""A limit on how long an answer may take: an endless loop is an answer, too."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator


class TimeLimitError(BaseException):
    """Raised inside an answer that takes too long; no `except Exception` of its own catches it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stop what runs inside after a time, where the system can.

    Args:
        seconds: above 0; infinite for no limit.

    Returns:
        A context, for `with`.

    Raises:
        TimeLimitError: from the line that is running when the time is over.

    Note:
        An alarm rings in the main thread alone, and not on Windows; elsewhere there is no limit. A single operation
        of TensorFlow or NumPy is not interrupted, only what comes after it.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if math.isinf(seconds) or not hasattr(signal, "setitimer") or not in_main_thread:
        yield
        return

    def ring(number, frame):
        raise TimeLimitError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
