import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tfmeta.datasets import cache, omniglot_source

ARRAYS = {"images": np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "names": np.array(["Ge_ez", "N_Ko"])}


def test_what_is_written_is_read(tmp_path):
    cache.write_arrays(tmp_path / "x.npz", ARRAYS)
    read = cache.read_arrays(tmp_path / "x.npz")
    assert set(read) == set(ARRAYS)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(read[key], array)
        assert read[key].dtype == array.dtype
    assert os.listdir(tmp_path) == ["x.npz"]


def test_any_flipped_byte_is_noticed_or_harmless(tmp_path):
    """Bytes all over the file, one at a time: the right arrays or an error, never wrong arrays."""
    path = tmp_path / "x.npz"
    cache.write_arrays(path, ARRAYS)
    good, noticed = path.read_bytes(), 0
    tried = range(0, len(good), 3)
    for position in tried:
        path.write_bytes(good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :])
        try:
            read = cache.read_arrays(path)
        except cache.DamagedCacheError:
            noticed += 1
        else:
            assert all(np.array_equal(read[key], array) for key, array in ARRAYS.items())
    assert noticed > len(tried) / 2


def test_any_truncation_is_noticed(tmp_path):
    path = tmp_path / "x.npz"
    cache.write_arrays(path, ARRAYS)
    good = path.read_bytes()
    for length in range(0, len(good), 5):
        path.write_bytes(good[:length])
        with pytest.raises(cache.DamagedCacheError):
            cache.read_arrays(path)


def test_other_content_with_a_valid_archive_is_noticed(tmp_path):
    changed = {**ARRAYS, "images": ARRAYS["images"] + 1}
    np.savez(tmp_path / "x.npz", **changed, sha256=np.array(cache.content_hash(ARRAYS)))
    with pytest.raises(cache.DamagedCacheError, match=r"SHA-256"):
        cache.read_arrays(tmp_path / "x.npz")


def test_hash_tells_names_types_and_shapes_apart():
    a = np.zeros(4, np.uint8)
    variants = [{"a": a}, {"b": a}, {"a": a.astype(np.int8)}, {"a": a.reshape(2, 2)}, {"a": a, "b": a}, {"a": a[:0]}]
    assert len({cache.content_hash(v) for v in variants}) == len(variants)


def test_missing_file_is_not_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        cache.read_arrays(tmp_path / "x.npz")


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    cache.write_arrays(path, ARRAYS)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"data_dir must take the file 'x.npz'.*Received: data_dir="):
        cache.write_arrays(path, {"other": np.zeros(2)})
    assert os.listdir(tmp_path) == ["x.npz"]
    assert set(cache.read_arrays(path)) == set(ARRAYS)


def test_place_is_argument_then_environment_then_checkout(tmp_path, monkeypatch):
    assert cache.resolve_data_dir(tmp_path) == tmp_path
    monkeypatch.setenv("TFMETA_DATA_DIR", str(tmp_path / "env"))
    assert cache.resolve_data_dir() == tmp_path / "env"
    assert cache.resolve_data_dir("~/x") == Path.home() / "x"
    monkeypatch.delenv("TFMETA_DATA_DIR")
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "tfmeta" / "datasets" / "cache.py"))
    assert "tfmeta" in cache.resolve_data_dir().parts
    assert not cache.resolve_data_dir().is_relative_to(tmp_path / "tfmeta")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert cache.resolve_data_dir() != tmp_path / "data"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "tfmeta"\n')
    assert cache.resolve_data_dir() == tmp_path / "data"


def test_user_folder_when_installed(tmp_path, monkeypatch):
    import platformdirs

    monkeypatch.setattr(cache, "__file__", str(tmp_path / "site-packages" / "tfmeta" / "datasets" / "cache.py"))
    assert cache.resolve_data_dir() == Path(platformdirs.user_cache_dir("tfmeta", appauthor=False))


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.EIO, "I/O error")])
def test_a_file_that_cannot_be_opened_is_no_damage(tmp_path, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(OSError, match=r"must let its file 'x.npz' be read \(.*\).*Received: data_dir=") as caught:
        cache.read_arrays(tmp_path / "x.npz")
    assert caught.value.errno == error.errno


def test_a_name_that_is_too_long_is_no_damage(tmp_path):
    with pytest.raises(OSError, match=r"must let its file 'x.npz' be read \(File name too long\)"):
        cache.read_arrays(tmp_path / ("q" * 300) / "x.npz")


@pytest.mark.parametrize("place", ["tempfile.mkstemp", "numpy.savez", "os.fsync", "os.chmod", "os.replace"])
def test_a_full_disk_at_any_moment_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch, place):
    path = tmp_path / "x.npz"
    cache.write_arrays(path, ARRAYS)

    def full(*given, **_):
        if place == "numpy.savez":
            given[0].write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(place, full)
    with pytest.raises(OSError, match=r"needs 0 MiB of free disk space.*Received: data_dir=") as caught:
        cache.write_arrays(path, {"other": np.zeros(2)})
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == ["x.npz"]
    np.testing.assert_array_equal(cache.read_arrays(path)["images"], ARRAYS["images"])


def test_several_writers_and_readers_at_once_meet_whole_files_alone(tmp_path):
    path, each = tmp_path / "x.npz", [{"images": np.full((200, 200), k, np.uint8)} for k in range(4)]
    cache.write_arrays(path, each[0])

    def write(k):
        for _ in range(10):
            cache.write_arrays(path, each[k])

    def read(_):
        return [cache.read_arrays(path)["images"] for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        written, seen = [pool.submit(write, k) for k in range(4)], list(pool.map(read, range(4)))
        for one in written:
            one.result()
    assert all(len(np.unique(images)) == 1 for found in seen for images in found)
    assert os.listdir(tmp_path) == ["x.npz"]


@pytest.mark.parametrize(
    "name", ["a folder with  spaces", "Größe_données_漢字", "x" * 200, "x" * 255, "%s {0} 'quoted'\n"]
)
def test_folders_of_every_name_are_written_and_read(tmp_path, name):
    folder = cache.resolve_data_dir(tmp_path / name)
    cache.check_writable(folder, 1)
    cache.write_arrays(folder / "x.npz", ARRAYS)
    np.testing.assert_array_equal(cache.read_arrays(folder / "x.npz")["names"], ARRAYS["names"])


@pytest.fixture
def homeless(monkeypatch):
    """A user without a home folder, as in a container that is run under a number of its own."""

    def unknown(_):
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "USERPROFILE", "HOMEPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_without_a_home_another_folder_does_and_the_default_says_so(tmp_path, monkeypatch, homeless):
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "site-packages" / "tfmeta" / "datasets" / "cache.py"))
    assert cache.resolve_data_dir(tmp_path) == tmp_path
    for chosen in (None, "~/x"):
        with pytest.raises(OSError, match=rf"pass a data_dir or set TFMETA_DATA_DIR. Received: data_dir={chosen!r}"):
            cache.resolve_data_dir(chosen)
    assert os.listdir(tmp_path) == []


def test_without_a_home_prepared_data_are_still_found(miniature, tmp_path, monkeypatch, homeless):
    assert omniglot_source.find_prepared(tmp_path).is_relative_to(miniature.root)
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert omniglot_source.find_prepared(tmp_path) is None
