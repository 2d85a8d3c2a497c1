import errno
import os
from pathlib import Path

import numpy as np
import pytest

from tfmeta.datasets import cache

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
