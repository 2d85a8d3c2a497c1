import hashlib
import json
import os

import pytest

from tfmeta.machine import files


def test_whole_gives_a_path_beside_the_target_with_its_ending(tmp_path):
    target = tmp_path / "model.keras"
    with files.whole(target) as beside:
        assert beside.parent == target.parent  # renaming is atomic only inside one file system
        assert beside.suffix == ".keras"
        assert beside.name.startswith(".")
        beside.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["model.keras"]


def test_whole_replaces_at_the_end_only(tmp_path):
    target = tmp_path / "log.csv"
    target.write_text("old")
    with files.whole(str(target)) as beside:
        beside.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
@pytest.mark.parametrize("written", [True, False])
def test_after_an_error_the_old_target_stands_and_nothing_else_is_left(tmp_path, error, written):
    target = tmp_path / "log.csv"
    target.write_text("old")

    def write():
        with files.whole(target) as beside:
            if written:
                beside.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert caught.value is error
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["log.csv"]


def test_a_block_that_writes_nothing_is_an_error_and_removes_nothing(tmp_path):
    target = tmp_path / "log.csv"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), files.whole(target):
        pass
    assert target.read_text() == "old"


def test_write_json(tmp_path):
    path = tmp_path / "a.json"
    content = {"accuracy": 0.5, "name": "Tagalog", "none": None, "list": [1, 2]}
    files.write_json(path, content)
    assert json.loads(path.read_text(encoding="utf-8")) == content
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert '\n  "accuracy": 0.5' in path.read_text(encoding="utf-8")
    with pytest.raises(TypeError):
        files.write_json(path, {"not json": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == content
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("size", [0, 3, 1_000_000])
def test_sha256(tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "f").write_bytes(content[:size])
    assert files.sha256(tmp_path / "f") == hashlib.sha256(content[:size]).hexdigest()


def test_sha256_of_the_standard_s_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256(str(tmp_path / "abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_name_may_depend_on_what_was_written(tmp_path):
    with files.whole(tmp_path / "any.txt", lambda written: f"{written.read_text()}.txt") as beside:
        beside.write_text("seven")
    assert os.listdir(tmp_path) == ["seven.txt"]
    with pytest.raises(ZeroDivisionError), files.whole(tmp_path / "any.txt", lambda written: 1 / 0) as beside:
        beside.write_text("eight")
    assert os.listdir(tmp_path) == ["seven.txt"]
