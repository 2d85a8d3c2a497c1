"""The log of a run, `log.csv`: loss and accuracy per epoch, and the seconds that its training took."""

from __future__ import annotations

import contextlib
import csv
import time
from collections.abc import Iterator
from pathlib import Path

import keras

from tfmeta.machine import files


class Clock(keras.callbacks.Callback):
    """Add each epoch's seconds of training, without validation, to the numbers that the callbacks after it log."""

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start, self.seconds = time.perf_counter(), None

    def on_test_begin(self, logs=None):
        """Stop it: the steps are done and validation begins."""
        self.seconds = time.perf_counter() - self.start

    def on_epoch_end(self, epoch, logs=None):
        """Log the seconds up to validation, or up to now where there is none."""
        logs["seconds"] = time.perf_counter() - self.start if self.seconds is None else self.seconds


@contextlib.contextmanager
def logged(path: Path) -> Iterator[keras.callbacks.CSVLogger]:
    """A callback that adds a row an epoch to the log; after the block the file is closed, whatever ended it."""
    log = keras.callbacks.CSVLogger(path, append=True)
    try:
        yield log
    finally:
        if log.csv_file is not None:  # which Keras leaves open when training is stopped
            log.csv_file.close()


def forget_rows_from(path: Path, epoch: int) -> None:
    """Drop the rows of epochs that are about to be run again: a kill can fall between log and checkpoint.

    Args:
        path: the log; nothing is done where there is none.
        epoch: the first epoch to be run, from 0. Rows that were not written to their end are dropped, too.
    """
    if not path.is_file():
        return
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    column = header.index("epoch") if "epoch" in header else None
    kept = [row for row in rows if column is not None and len(row) == len(header) and int(row[column]) < epoch]
    if not kept:
        path.unlink()
        return
    with files.whole(path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *kept])
