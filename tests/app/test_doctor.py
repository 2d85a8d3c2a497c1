import builtins
import importlib.metadata
import platform
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from tests.helpers import contents
from tfmeta.app import cli, doctor
from tfmeta.datasets import cache, omniglot_source


@pytest.fixture(autouse=True)
def no_omniglot(monkeypatch, tmp_path):
    """This machine's own Omniglot must not decide what is said."""
    monkeypatch.setattr(omniglot_source.Path, "home", lambda: tmp_path / "home")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.delenv("TFMETA_DATA_DIR", raising=False)


def line_with(lines, part):
    (found,) = [line for line in lines if part in line]
    return found


def test_a_healthy_machine(tmp_path):
    lines, healthy = doctor.examine(tmp_path)
    assert all(line.startswith(("ok     ", "WRONG  ")) for line in lines)
    assert healthy == (not any(line.startswith("WRONG") for line in lines))
    for part in (
        f"Python {platform.python_version()} ",
        f"TensorFlow {tf.__version__} ",
        f"Keras {keras.__version__} ",
    ):
        assert line_with(lines, part).startswith("ok")
    assert line_with(lines, "threads:").startswith("ok")
    assert "TFMETA_THREADS changes it" in line_with(lines, "threads:")
    assert line_with(lines, "can be written to") == f"ok     data folder {tmp_path} can be written to"
    for package in ("tensorflow-datasets", "matplotlib", "tensorboard"):
        assert line_with(lines, package) == f"ok     {package} {importlib.metadata.version(package)}"
    assert len([line for line in lines if "GPU" in line]) == 1
    assert contents(tmp_path) == {}


def test_where_omniglot_is(tmp_path):
    assert "Omniglot is not here yet; it is downloaded when first asked for" in doctor.examine(tmp_path)[0][-1]
    prepared = tmp_path / "omniglot" / "3.0.0"
    prepared.mkdir(parents=True)
    for name in ("dataset_info.json", "features.json", "label.labels.txt", "alphabet.labels.txt",
                 "omniglot-train.tfrecord-00000-of-00001", "omniglot-test.tfrecord-00000-of-00001"):  # fmt: skip
        (prepared / name).touch()
    assert doctor.examine(tmp_path)[0][-1] == f"ok     Omniglot is prepared in {prepared}"
    (tmp_path / "omniglot-28x28-v1.npz").touch()
    assert doctor.examine(tmp_path)[0][-1] == f"ok     Omniglot is packed in {tmp_path / 'omniglot-28x28-v1.npz'}"


def test_a_data_folder_that_cannot_be_used_is_wrong_and_said_how_to_mend(tmp_path):
    (tmp_path / "file").touch()
    lines, healthy = doctor.examine(tmp_path / "file")
    assert not healthy
    line = line_with(lines, "data_dir must be a folder that can be written to")
    assert line.startswith("WRONG")
    assert str(tmp_path / "file") in line
    assert line.endswith("choose another with --data-dir or TFMETA_DATA_DIR")


def test_a_full_disk_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    lines, healthy = doctor.examine(tmp_path)
    assert not healthy
    assert line_with(lines, "29 MiB of free disk space").startswith("WRONG")


def test_old_versions_another_backend_and_missing_packages_are_wrong(tmp_path, monkeypatch):
    real = importlib.metadata.version

    def version(package):
        if package in ("tensorboard", "jupyterlab"):
            raise importlib.metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(tf, "__version__", "2.9.3")
    monkeypatch.setattr(keras, "__version__", "3.4.0")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(importlib.metadata, "version", version)
    lines, healthy = doctor.examine(tmp_path)
    assert not healthy
    assert line_with(lines, "TensorFlow 2.9.3") == "WRONG  TensorFlow 2.9.3 (2.21 or newer is tested)"
    assert line_with(lines, "Keras 3.4.0") == "WRONG  Keras 3.4.0 (3.12 or newer is needed)"
    assert line_with(lines, "Keras runs on") == "WRONG  Keras runs on jax: set KERAS_BACKEND=tensorflow"
    assert line_with(lines, "tensorboard") == "WRONG  tensorboard is not installed and is needed"
    assert line_with(lines, "jupyterlab") == "ok     jupyterlab is not installed (for the tutorials)"


def test_versions_are_compared_as_numbers():
    assert [doctor._at_least(v, (2, 21)) for v in ("2.9.0", "2.21.0", "2.100", "3.0.0rc1", "2.21.0-rc0")] == [
        False, True, True, True, True,
    ]  # fmt: skip


def test_without_tensorflow_the_rest_is_not_looked_at(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments):
        if name == "keras":
            raise ImportError("no such library")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    lines, healthy = doctor.examine(tmp_path)
    assert not healthy
    assert len(lines) == 2
    assert lines[1].startswith("WRONG  TensorFlow or Keras does not import (no such library): pip install -r")


def test_gpus_are_named_and_a_driver_without_one_is_wrong(tmp_path, monkeypatch):
    device = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    with monkeypatch.context() as patch:
        patch.setattr(tf.config, "list_physical_devices", lambda kind=None: [device])
        patch.setattr(tf.config.experimental, "get_device_details", lambda _: {"device_name": "NVIDIA H200"})
        assert "ok     GPU: NVIDIA H200" in doctor.examine(tmp_path)[0]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    monkeypatch.setattr(doctor, "Path", lambda path: tmp_path / path.strip("/"))
    assert "ok     no GPU: everything runs on the CPU" in doctor.examine(tmp_path)[0]
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    lines, healthy = doctor.examine(tmp_path)
    assert not healthy
    assert line_with(lines, "TensorFlow sees no GPU").startswith("WRONG  an NVIDIA driver is loaded")


@pytest.mark.parametrize(("healthy", "status"), [(True, 0), (False, 1)])
def test_the_command_prints_it_and_its_status_says_the_same(tmp_path, monkeypatch, healthy, status):
    monkeypatch.setattr(doctor, "examine", lambda folder: ([f"one {folder}", "two"], healthy))
    result = CliRunner().invoke(cli.app, ["doctor", "--data-dir", str(tmp_path)])
    assert (result.exit_code, result.stdout, result.stderr) == (status, f"one {tmp_path}\ntwo\n", "")


def test_a_bad_thread_setting_is_wrong_and_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("TFMETA_THREADS", "many")
    lines, healthy = doctor.examine(tmp_path)
    assert not healthy
    assert line_with(lines, "TFMETA_THREADS").startswith("WRONG")
    assert "must be 'tasks' or 'tensorflow'. Received: TFMETA_THREADS='many'" in line_with(lines, "TFMETA_THREADS")
