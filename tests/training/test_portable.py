"""What is saved is read by the oldest Keras that is allowed."""

import json
import zipfile

import keras
import numpy as np
import pytest

import tfmeta
from tfmeta.app.pretrained import FOLDER
from tfmeta.training.portable import portable

# Arguments that Keras 3.13 to 3.15 added to what 3.12 knows; 3.12 refuses a file that names one.
NEWER = {
    "BatchNormalization": {"renorm", "renorm_clipping", "renorm_momentum"},
    "Dense": {"quantization_config"}, "EinsumDense": {"quantization_config"}, "Embedding": {"quantization_config"},
    "MultiHeadAttention": {"sliding_window", "use_gate"}, "GroupQueryAttention": {"sliding_window", "use_gate"},
} | {
    name: {"input_axes", "output_axes"}
    for name in ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform",
                 "VarianceScaling")
}  # fmt: skip


def too_new(config, path=""):
    if isinstance(config, list):
        return [fault for item in config for fault in too_new(item, path)]
    if not isinstance(config, dict):
        return []
    name, own = config.get("class_name", ""), config.get("config")
    found = [f"{path}/{name}: {key}" for key in NEWER.get(name, set()) & set(own if isinstance(own, dict) else ())]
    return found + [fault for key, value in config.items() for fault in too_new(value, f"{path}/{key}")]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.keras")), ids=lambda path: path.stem)
def test_committed_files_name_nothing_that_keras_3_12_lacks(path):
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    assert any(
        layer in json.dumps(config) for layer in ("BatchNormalization", "Dense")
    )  # which had more settings later
    assert too_new(config) == []


def test_a_saved_learner_names_nothing_new_and_loads(tmp_path):
    layers = keras.layers
    inputs = keras.Input((4, 6))
    attended = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    network = keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(layers.Flatten()(attended))))
    learner = tfmeta.MAML(network)
    learner.compile("adam")
    learner.save(tmp_path / "learner.keras")
    with zipfile.ZipFile(tmp_path / "learner.keras") as archive:
        assert too_new(json.loads(archive.read("config.json"))) == []
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    x = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), learner(x))


def test_settings_that_say_something_stay():
    given = keras.saving.serialize_keras_object(keras.layers.BatchNormalization(momentum=0.5, name="bn"))
    given["config"] |= {"renorm": True, "renorm_momentum": 0.99}
    kept = portable(given)["config"]
    assert (kept["renorm"], kept["momentum"], "renorm_momentum" in kept) == (True, 0.5, False)
    given = keras.saving.serialize_keras_object(keras.initializers.GlorotUniform(seed=3))
    assert portable(given)["config"] == {"seed": 3}
    assert portable({"a": None, "b": [1, None]}) == {"a": None, "b": [1, None]}
