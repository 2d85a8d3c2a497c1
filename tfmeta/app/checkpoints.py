"""Checkpoints of a run: one file each, written whole, its hash in its name.

A checkpoint holds weights, the optimizer's state and, in the optimizer's step counter, how far the run has come. Being
a single file it cannot disagree with itself, whenever a run is killed; its hash shows damage before anything is loaded.
Keras's `BackupAndRestore` keeps weights and progress in two files, which a kill between them leaves unequal.
"""

from __future__ import annotations

import re
from pathlib import Path

import keras

from tfmeta.machine import files

_NAME = re.compile(r"epoch-(\d{5,})-([0-9a-f]{16})\.weights\.h5")


class DamagedCheckpointError(RuntimeError):
    """A checkpoint has not the content that was written, or it belongs to another architecture."""


class Checkpoints(keras.callbacks.Callback):
    """Keras callback: write a checkpoint after every epoch and keep the last two.

    Args:
        folder: where they are put; made if needed.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        """Write this epoch's checkpoint, then remove all but the last two and what a killed process left."""
        self.folder.mkdir(parents=True, exist_ok=True)

        def name(written):
            return f"epoch-{epoch + 1:05d}-{files.sha256(written)[:16]}.weights.h5"

        with files.whole(self.folder / "checkpoint.weights.h5", name) as beside:
            self.model.save_weights(beside)
        for old in [*found(self.folder)[:-2], *self.folder.glob(".writing*.weights.h5")]:
            old.unlink()


def found(folder: Path) -> list[Path]:
    """List the checkpoints in a folder by their epochs, oldest first; clocks may have been set back meanwhile."""
    paths = [path for path in Path(folder).glob("epoch-*.weights.h5") if _NAME.fullmatch(path.name)]
    return sorted(paths, key=lambda path: (int(_NAME.fullmatch(path.name)[1]), path.name))


def epochs_done(folder: Path) -> int:
    """Read off the newest checkpoint's name how many epochs are done; 0 where there is none."""
    paths = found(folder)
    return int(_NAME.fullmatch(paths[-1].name)[1]) if paths else 0


def restore(model: keras.Model, folder: Path) -> int:
    """Load the newest checkpoint into a compiled model.

    Args:
        model: compiled, of the architecture that wrote it.
        folder: where checkpoints are.

    Returns:
        The number of epochs done; 0 where there is no checkpoint.

    Raises:
        DamagedCheckpointError: if the file's content does not have the hash in its name, or does not fit the model.
    """
    paths = found(folder)
    if not paths:
        return 0
    newest = paths[-1]
    epoch, digest = _NAME.fullmatch(newest.name).groups()
    advice = "Remove it to go on from the one before it" if len(paths) > 1 else "Remove it to start from the beginning"
    if files.sha256(newest)[:16] != digest:
        raise DamagedCheckpointError(f"checkpoint {newest} is damaged: its content does not have its hash. {advice}.")
    model.optimizer.build(model.trainable_variables)
    try:
        model.load_weights(newest)
    except (OSError, ValueError, KeyError) as error:
        # Keras's own message is a page long; it is the cause, for those who want to read it.
        raise DamagedCheckpointError(
            f"checkpoint {newest} does not fit this architecture. Resume with the settings it was made with."
        ) from error
    return int(epoch)
