import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tfmeta.datasets import OmniglotUnavailableError, load_omniglot, omniglot_source
from tfmeta.datasets.omniglot import CACHE_NAME


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_download_leaves_only_the_finished_folder(download_host, tmp_path):
    _, asked = download_host
    splits = load_omniglot(data_dir=tmp_path)
    assert splits.train.n_classes == 4 * 47
    assert names(tmp_path) == ["omniglot", CACHE_NAME]
    assert names(tmp_path / "omniglot") == ["3.0.0"]
    assert omniglot_source.is_complete(tmp_path / "omniglot" / "3.0.0")
    assert len(asked) == 4
    (tmp_path / CACHE_NAME).unlink()
    load_omniglot(data_dir=tmp_path)
    assert len(asked) == 4, "downloaded twice"


def test_broken_download_leaves_nothing_and_the_next_try_works(download_host, tmp_path):
    files, _ = download_host
    good = files["images_evaluation.zip"]
    files["images_evaluation.zip"] = good[: len(good) // 2]
    with pytest.raises(OmniglotUnavailableError, match=r"the download broke off.*Received: data_dir="):
        load_omniglot(data_dir=tmp_path)
    assert names(tmp_path) == []
    files["images_evaluation.zip"] = good
    assert load_omniglot(data_dir=tmp_path).test.n_classes == 4 * 26


def test_interrupted_download_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(temporary):
        (temporary / "half").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(omniglot_source, "reachable", lambda: True)
    monkeypatch.setattr(omniglot_source, "_prepare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_omniglot(data_dir=tmp_path)
    assert names(tmp_path) == []


def test_what_a_killed_download_left_is_removed(download_host, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".omniglot.tmp-{ended.pid}-abc").mkdir()
    (tmp_path / f".omniglot.tmp-{ended.pid}-abc" / "half.zip").write_text("half")
    (tmp_path / f".omniglot.tmp-{os.getppid()}-def").mkdir()  # of a process that still runs
    omniglot_source.download(tmp_path)
    assert names(tmp_path) == [f".omniglot.tmp-{os.getppid()}-def", "omniglot"]


def test_incomplete_folder_is_kept_aside(download_host, tmp_path):
    old = tmp_path / "omniglot" / "3.0.0"
    old.mkdir(parents=True)
    (old / "mine.txt").write_text("mine")
    assert omniglot_source.is_complete(omniglot_source.download(tmp_path))
    aside = next((tmp_path / "omniglot").glob("3.0.0.incomplete-*"))
    assert names(aside) == ["mine.txt"]


@pytest.mark.parametrize(
    "missing", ["dataset_info.json", "features.json", "label.labels.txt", "omniglot-test.tfrecord"]
)
def test_a_folder_with_a_missing_file_is_not_complete(miniature, tmp_path, missing):
    folder = tmp_path / "3.0.0"
    shutil.copytree(miniature.root / omniglot_source.RELATIVE_DIR, folder)
    assert omniglot_source.is_complete(folder)
    next(folder.glob(missing + "*")).unlink()
    assert not omniglot_source.is_complete(folder)


def test_offline_error_says_what_to_do(tmp_path, monkeypatch):
    """Nothing listens on the port: as without a network, but at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        monkeypatch.setattr(omniglot_source.reachable, "__defaults__", (address, 8.0))
        with pytest.raises(OmniglotUnavailableError) as caught:
            load_omniglot(data_dir=tmp_path)
    message = str(caught.value)
    assert isinstance(caught.value, RuntimeError)
    for advice in ("omniglot/3.0.0", "TFDS_DATA_DIR", "load_glyphs", f"Received: data_dir={str(tmp_path)!r}"):
        assert advice in message
    assert names(tmp_path) == []


def test_silent_host_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never answers
        assert not omniglot_source.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.5)


def test_hanging_name_server_is_given_up(monkeypatch):
    release, waited = threading.Event(), []

    def hang(*_, **__):
        waited.append(release.wait(60))
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert not omniglot_source.reachable("http://nowhere.invalid/", seconds=0.5)
    assert waited == [], "the look-up had come to its end"
    release.set()


def test_probe_limit_leaves_room_below_15_seconds():
    assert omniglot_source.reachable.__defaults__[1] == omniglot_source.PROBE_SECONDS <= 8


def test_tensorflow_datasets_is_not_asked_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(omniglot_source, "reachable", lambda: False)
    monkeypatch.setattr(omniglot_source, "_prepare", lambda _: pytest.fail("asked"))
    with pytest.raises(OmniglotUnavailableError):
        omniglot_source.download(tmp_path)


def test_only_a_host_that_has_the_file_counts_as_reachable(archive_address):
    assert omniglot_source.reachable(archive_address + "images_background.zip", seconds=5)
    assert not omniglot_source.reachable(archive_address + "other.zip", seconds=5)


def test_disk_full_during_the_download(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(omniglot_source, "reachable", lambda: True)
    monkeypatch.setattr(tfds.image_classification.Omniglot, "download_and_prepare", full)
    with pytest.raises(OSError, match=r"200 MiB of free disk space.*Received: data_dir=") as caught:
        load_omniglot(data_dir=tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_importing_the_modules_is_cheap():
    """Heavy packages are imported by the functions that need them; the parent packages are left out of the check."""
    code = """if True:
        import importlib, pathlib, sys, types
        for name in ("tfmeta", "tfmeta.datasets"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(pathlib.Path(*name.split(".")).absolute())]
        for name in ("omniglot", "images", "glyphs", "cache", "classes"):
            importlib.import_module("tfmeta.datasets." + name)
        heavy = ("tensorflow", "keras", "tensorflow_datasets", "matplotlib", "PIL", "platformdirs")
        print([name for name in heavy if name in sys.modules])
    """
    root = Path(omniglot_source.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_a_download_that_another_process_finishes_first_is_no_error(download_host, tmp_path, monkeypatch):
    prepare, other = omniglot_source._prepare, tmp_path / "omniglot" / "3.0.0"

    def slow(temporary):
        prepare(temporary)
        shutil.copytree(temporary / omniglot_source.RELATIVE_DIR, other)
        (other / "of_the_other").write_text("")

    monkeypatch.setattr(omniglot_source, "_prepare", slow)
    monkeypatch.setattr(Path, "exists", lambda path: path != other and os.path.exists(path))  # it came a moment later
    assert omniglot_source.download(tmp_path) == other
    monkeypatch.undo()
    assert names(tmp_path) == ["omniglot"]
    assert "of_the_other" in names(other)
