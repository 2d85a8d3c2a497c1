"""The lines that a training shows: one an epoch, short enough for every screen and for a log."""

from __future__ import annotations

import shutil
import sys
import time

import keras

WIDTH = 100


class Progress(keras.callbacks.Callback):
    """Keras callback: one line an epoch, and between them, on a terminal, a line that rewrites itself.

    Keras's own line has all metrics, which are several hundred characters for some methods; `log.csv` keeps them.

    Args:
        epochs: epochs in all.
        live: whether a line may be rewritten, as on a terminal; a log takes whole lines alone.
    """

    def __init__(self, epochs: int, live: bool):
        super().__init__()
        self.epochs, self.live = epochs, live

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.epoch, self.start, self.shown, self.seconds = epoch, time.perf_counter(), 0.0, None

    def on_train_batch_end(self, batch, logs=None):
        """Rewrite the line, five times a second at most."""
        now = time.perf_counter()
        if batch == 0:  # which was traced, and says nothing about the others
            self.traced = now
        if not self.live or now - self.shown < 0.2:
            return
        self.shown, steps = now, self.params.get("steps")
        line = f"{self._beginning()}  step {batch + 1}/{steps or '?'}{_numbers(logs)}"
        if steps and batch:
            line += f"  {(now - self.traced) / batch * (steps - batch - 1):.0f} s left"
        self._rewrite(line)

    def on_test_begin(self, logs=None):
        """Stop the clock: the steps are done and validation begins."""
        if hasattr(self, "start"):
            self.seconds = time.perf_counter() - self.start
            if self.live:
                self._rewrite(f"{self._beginning()}  validation ...")

    def on_epoch_end(self, epoch, logs=None):
        """Write the epoch's line, which stays."""
        seconds = time.perf_counter() - self.start if self.seconds is None else self.seconds
        line = f"{self._beginning()}{_numbers(logs)}  {seconds:.1f} s"[:WIDTH]
        if self.live:
            self._rewrite(line)
        print("" if self.live else line, flush=True)

    def _beginning(self) -> str:
        width = len(str(self.epochs))
        return f"epoch {self.epoch + 1:{width}}/{self.epochs}"

    def _rewrite(self, line: str) -> None:
        # One that is wider than the screen would be broken in two, of which only the second is rewritten.
        room = min(WIDTH, shutil.get_terminal_size().columns - 1)
        print(f"\r{line[:room]:{room}}", end="", flush=True)


def progress(epochs: int, verbose: int | str) -> list[keras.callbacks.Callback]:
    """Make the callbacks that show a training.

    Args:
        epochs: epochs in all.
        verbose: 0 for nothing, 1 for a line that rewrites itself, 2 for a line an epoch; `"auto"` for 1 on a terminal
            and 2 elsewhere.

    Returns:
        One callback or none.
    """
    if verbose == "auto":
        verbose = 1 if sys.stdout.isatty() else 2
    return [Progress(epochs, live=verbose == 1)] if verbose else []


def _numbers(logs) -> str:
    found, logs = "", logs or {}
    if "loss" in logs:
        found += f"  loss {float(logs['loss']):.4f}"
    if "reward" in logs:
        found += f"  reward {float(logs['reward']):.3f}"
    for name, word in (("accuracy", "accuracy"), ("val_accuracy", "validation")):
        if name in logs:
            found += f"  {word} {100 * float(logs[name]):.1f} %"
    return found
