"""What `fit` and `evaluate` are given, checked before the first step; and `fit` that reads on where it stopped."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import weakref
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import is_endless, stream_of
from tfmeta.core.validation import check_sizes, check_steps
from tfmeta.training.randomness import batches_seen


def episodes_of(data: Any) -> Episode:
    """The meta-batch itself: `train_on_batch` and `test_on_batch` wrap it in a tuple of inputs, targets, weights."""
    episodes = data if isinstance(data, Episode) else data[0]
    if not isinstance(episodes, Episode):
        raise TypeError(f"a learner takes steps on an Episode. Received: {type(episodes).__name__}")
    return episodes


class Readings:
    """How far each endless stream has been read by a learner's calls of `fit`; Keras does not look in here.

    Args:
        read: what `to_dict` gave.
    """

    def __init__(self, read: dict[str, int] | None = None):
        self._read = dict(read or {})
        # Of datasets of which nobody has said what they hold.
        self._of_this: weakref.WeakKeyDictionary[tf.data.Dataset, int] = weakref.WeakKeyDictionary()

    def to_dict(self) -> dict[str, int]:
        """Give what a file can keep: how far streams were read that can be told apart by what they hold."""
        return dict(self._read)

    @contextlib.contextmanager
    def further(self, learner: keras.Model, dataset: Any) -> Iterator[Any]:
        """The dataset without what was read of it; within the block the learner takes steps on it.

        Args:
            learner: a compiled `Shell`.
            dataset: what `fit` was given; only an endless `tf.data.Dataset` is read on.

        Returns:
            A context that gives a dataset.
        """
        if not isinstance(dataset, tf.data.Dataset) or not is_endless(dataset):
            yield dataset
            return
        stream = stream_of(dataset)
        known, key = self._of_this, dataset
        if stream.key is not None:
            known, key = self._read, hashlib.sha256(repr(stream.key).encode()).hexdigest()[:16]
        done, before = known.get(key, 0), int(batches_seen(learner.optimizer))
        try:
            yield stream.later(done) if done else dataset
        finally:
            updates = max(0, int(batches_seen(learner.optimizer)) - before)
            known[key] = done + updates // learner.updates_per_batch


def fit_arguments(x: Any, args: tuple, kwargs: dict) -> dict[str, Any]:
    """The arguments of `fit` by their names, refused where episodes have no use for them.

    Args:
        x: the training data.
        args: further positional arguments.
        kwargs: keyword arguments.

    Returns:
        All but `x`. Episodes come shuffled: `shuffle` is off, of which Keras would warn.

    Raises:
        TypeError: if an argument is unknown to Keras.
        ValueError: naming an argument that cannot be used.
    """
    given = dict(inspect.signature(keras.Model.fit).bind(None, x, *args, **kwargs).arguments)
    del given["self"], given["x"]
    given.update(given.pop("kwargs", {}))
    for name, why in (
        ("class_weight", "an episode has as many examples of every class"),
        ("sample_weight", "the examples of an episode count alike"),
        ("y", "an Episode holds its labels"),
        ("validation_split", "give other classes as validation_data"),
    ):
        if given.get(name) is not None and given[name] != 0.0:
            raise ValueError(f"fit takes no {name}: {why}. Received: {name}={given[name]!r}")
    given = {"epochs": 1, "initial_epoch": 0, **given}
    whole = ("epochs", "steps_per_epoch", "validation_steps")
    check_sizes(**{name: given[name] for name in whole if given.get(name) is not None or name == "epochs"})
    check_steps(initial_epoch=given["initial_epoch"])
    callbacks = given.get("callbacks") or []
    for one in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if not isinstance(one, keras.callbacks.Callback):
            raise TypeError(f"callbacks must be Keras callbacks. Received: {one!r}")
    return {"shuffle": False, **given}


def set_modes(callbacks: Any, names: list[str]) -> None:
    """Tell callbacks whether more is better of what they watch. Keras looks for it in metrics that `compile` was given.

    Args:
        callbacks: as `fit` takes them; those without a mode "auto" stay as they are.
        names: of what the learner reports.

    Raises:
        ValueError: if a callback watches what is not reported, which Keras says after the first epoch.
    """
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if getattr(callback, "mode", None) != "auto" or not isinstance(getattr(callback, "monitor", None), str):
            continue
        if callback.monitor.removeprefix("val_") not in names:
            raise ValueError(
                f"a callback must watch what is reported: {', '.join(names)}, each also with val_ before it. "
                f"Received: {type(callback).__name__} with monitor={callback.monitor!r}"
            )
        more = any(word in callback.monitor for word in ("accuracy", "reward", "return"))
        callback.mode = "max" if more else "min"


def check_end(dataset: Any, name: str, steps_name: str, steps: int | None) -> None:
    """Refuse an endless dataset where nobody says how much of it is to be read.

    Args:
        dataset: what was given.
        name: the argument's name, for the message.
        steps_name: the argument that says how much.
        steps: its value.

    Raises:
        ValueError: naming both.
    """
    if steps is None and isinstance(dataset, tf.data.Dataset) and is_endless(dataset):
        raise ValueError(
            f"{name} is an endless stream: say {steps_name}, or give {name}.take(n). Received: {steps_name}=None"
        )
