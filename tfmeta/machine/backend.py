"""Keras runs on several backends; tfmeta needs the one that has nested gradient tapes."""

from __future__ import annotations

import os

from tfmeta.machine.quiet_start import import_tensorflow


def require_tensorflow() -> None:
    """Import TensorFlow, quietly; refuse another backend of Keras, before anything of it is imported.

    Raises:
        ImportError: naming the backend and where it is set.

    References:
        Keras, "Configuring your backend". https://keras.io/getting_started/
    """
    where, found = "the environment variable KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if found in (None, "", "tensorflow"):
        import_tensorflow()
    if not found:
        import keras

        where, found = "~/.keras/keras.json or by an earlier import", keras.backend.backend()
    if found != "tensorflow":
        raise ImportError(
            "tfmeta needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow before Keras is imported. "
            f"Received: backend {found!r}, set by {where}"
        )
