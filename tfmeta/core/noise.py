"""Judging a network without its noise: dropout and random augmentation off, batch statistics on.

Keras has one `training` flag for all of it. A network that adapts is judged with the statistics of its batch, as in
training, but a prediction that depends on dropout or on a random flip is no prediction. Nothing of the layers is
changed for it, so other threads are not disturbed: within the block, and in its thread alone, the layers that draw
random numbers are called with `training=False`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import keras

from tfmeta.core.replaced import Replaced

_thread = threading.local()  # .quiet: layers that draw at random, by id; .inside: whether one of them is running


def draws(layer: keras.layers.Layer) -> bool:
    """Whether a layer draws random numbers itself; of a recurrent layer its cells do."""
    parts = layer._flatten_layers() if isinstance(layer, keras.layers.RNN) else [layer]
    return any(part._seed_generators for part in parts)


def _call(layer, *args, **kwargs):
    quiet = getattr(_thread, "quiet", None)
    if not quiet or not layer._call_has_training_arg:
        return _quiet.original(layer, *args, **kwargs)
    if id(layer) in quiet:
        positional = list(layer._call_signature.parameters)[: len(args)]
        if "training" in positional:
            args = tuple(False if name == "training" else a for name, a in zip(positional, args, strict=False))
        else:
            kwargs["training"] = False
        before, _thread.inside = getattr(_thread, "inside", False), True
        try:
            return _quiet.original(layer, *args, **kwargs)
        finally:
            _thread.inside = before
    # A block of layers that draws at random may hold a batch norm, which is to see its batch all the same.
    if getattr(_thread, "inside", False) and isinstance(layer, keras.layers.BatchNormalization):
        kwargs["training"] = True
    return _quiet.original(layer, *args, **kwargs)


_quiet = Replaced(keras.layers.Layer, "__call__", _call)


@contextlib.contextmanager
def without_dropout(network: keras.Model) -> Iterator[None]:
    """Within the block the network draws nothing at random, although batch norm runs with `training=True`.

    Meant are dropout and noise, also inside of recurrent and attention layers, Keras's random augmentation layers
    (`RandomFlip`, `RandomRotation`, ...), and every layer of one's own that has a `keras.random.SeedGenerator` and a
    `training` argument.

    Args:
        network: the model. It is not changed, and other threads may use it at the same time.

    Returns:
        A context.

    References:
        Srivastava et al. (2014), "Dropout", section 10. https://jmlr.org/papers/v15/srivastava14a.html
    """
    before = getattr(_thread, "quiet", frozenset())
    _thread.quiet = before | {id(layer) for layer in network._flatten_layers() if draws(layer)}
    try:
        with _quiet():
            yield
    finally:
        _thread.quiet = before
