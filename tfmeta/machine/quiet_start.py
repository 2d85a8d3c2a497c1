"""TensorFlow's start-up notes kept off the screen of tfmeta's own command and of notebooks, and of no other program.

TensorFlow writes some lines (which CPU instructions it uses, that it finds no GPU) straight to the process's standard
error when it is imported, whatever its log level is set to. In front of a progress bar they read like errors, and
below the first cell of a notebook they fill a page.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

COMMANDS = ("tfmeta", "tfmeta.exe")
KERNELS = ("ipykernel_launcher.py", "colab_kernel_launcher.py")


def import_tensorflow(program: str) -> None:
    """Import TensorFlow; where the running program is the `tfmeta` command or a notebook's kernel, without its notes.

    Args:
        program: what is running, `sys.argv[0]`.

    Raises:
        ImportError: if TensorFlow cannot be imported; then everything that it wrote is shown.

    References:
        Python, `os.dup2`: the notes come from C++ and pass by `sys.stderr`. https://docs.python.org/3/library/os.html
    """
    if Path(program).name not in COMMANDS + KERNELS or os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            aside.seek(0)
            os.write(screen, aside.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
