"""Configurations that older versions of Keras read, too.

A newer Keras writes arguments that an older one does not know, such as `GlorotUniform(input_axes=None)`, and the older
one refuses the whole file. An argument that has its default value need not be written.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras

# What versions after 3.12, the oldest that is allowed, have added with another default than None.
_NEWER = {"renorm": False, "renorm_momentum": 0.99, "use_gate": False, "oov_method": "floormod"}


def portable(config: Any) -> Any:
    """Leave out what says nothing: arguments of Keras's own classes that older versions lack and that have defaults.

    Args:
        config: what `keras.saving.serialize_keras_object` gave, or any part of it.

    Returns:
        The same, shorter; it describes the same object.

    References:
        Keras, "Serialization". https://keras.io/api/models/model_saving_apis/serialization_utils/
    """
    if isinstance(config, list | tuple):
        return type(config)(portable(value) for value in config)
    if not isinstance(config, dict):
        return config
    config = {name: portable(value) for name, value in config.items()}
    parts = str(config.get("module")).split(".")
    if parts[0] == "keras" and len(parts) == 2 and isinstance(config.get("config"), dict):
        cls = getattr(getattr(keras, parts[1], None), str(config.get("class_name")), None)
        if inspect.isclass(cls):
            optional = {p.name for p in inspect.signature(cls.__init__).parameters.values() if p.default is None}
            config["config"] = {
                name: value
                for name, value in config["config"].items()
                if (value is not None or name not in optional) and (name not in _NEWER or value != _NEWER[name])
            }
    return config
