"""Another backend of Keras is answered with one sentence."""

import os
import subprocess
import sys

import keras
import pytest

from tfmeta.machine.backend import require_tensorflow


@pytest.mark.parametrize("name", ["torch", "jax", "numpy"])
def test_a_backend_in_the_environment_is_refused(monkeypatch, name):
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(ImportError, match=rf"needs Keras on TensorFlow.*Received: backend '{name}'.*KERAS_BACKEND"):
        require_tensorflow()


def test_one_in_kerass_own_file_too(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    require_tensorflow()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"backend 'jax', set by ~/.keras/keras.json"):
        require_tensorflow()


def test_import_tfmeta_says_so_before_it_imports_anything():
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    found = subprocess.run([sys.executable, "-c", "import tfmeta"], env=environment, capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stderr.strip().splitlines()[-1].startswith("ImportError: tfmeta needs Keras on TensorFlow")
    assert "No module named" not in found.stderr
