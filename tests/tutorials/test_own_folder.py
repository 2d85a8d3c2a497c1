"""A folder of copies: renewed where nobody has worked in it, and never in the place of the tutorials."""

import own_folder
import pages
import pytest


def test_copies_are_renewed_and_old_ones_removed(tmp_path):
    own_folder.write_folder(tmp_path / "copies", {"a.txt": b"1", "old/b.txt": b"2"}, force=False)
    (tmp_path / "copies" / "mine.txt").write_text("mine")
    own_folder.write_folder(tmp_path / "copies", {"a.txt": b"3"}, force=False)
    found = {path.name for path in (tmp_path / "copies").rglob("*") if path.is_file()}
    assert found == {"a.txt", "mine.txt", own_folder.RECORD}
    assert (tmp_path / "copies" / "a.txt").read_bytes() == b"3"


def test_what_was_changed_is_kept(tmp_path):
    own_folder.write_folder(tmp_path, {"a.txt": b"1", "b.txt": b"2"}, force=False)
    (tmp_path / "a.txt").write_bytes(b"mine")
    with pytest.raises(SystemExit, match=r"changed since they were written: a\.txt in .* or say --force"):
        own_folder.write_folder(tmp_path, {"a.txt": b"3", "b.txt": b"3"}, force=False)
    assert (tmp_path / "a.txt").read_bytes() == b"mine"
    assert (tmp_path / "b.txt").read_bytes() == b"2", "all or nothing"
    own_folder.write_folder(tmp_path, {"b.txt": b"4"}, force=False)
    assert (tmp_path / "a.txt").read_bytes() == b"mine", "what was changed is not removed either"
    own_folder.write_folder(tmp_path, {"a.txt": b"3"}, force=True)
    assert (tmp_path / "a.txt").read_bytes() == b"3"


@pytest.mark.parametrize("record", [None, "", "[]", "7", '{"a.txt": 1}'])
def test_a_folder_of_somebody_else_is_refused(tmp_path, record):
    (tmp_path / "thesis.txt").write_text("mine")
    if record is not None:
        (tmp_path / own_folder.RECORD).write_text(record)
    with pytest.raises(SystemExit, match="is not empty, and was not written by this script"):
        own_folder.write_folder(tmp_path, {"a.txt": b"1"}, force=False)
    assert not (tmp_path / "a.txt").exists()
    own_folder.write_folder(tmp_path, {"a.txt": b"1"}, force=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "folder", [pages.FOLDER, pages.FOLDER / "solutions", pages.FOLDER.parent, pages.FOLDER / "new" / "er"]
)
def test_the_tutorials_themselves_are_never_overwritten(folder):
    with pytest.raises(SystemExit, match=r"apart from the tutorials\. Received: folder="):
        own_folder.write_folder(folder, {"a.txt": b"1"}, force=True)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit, match="a folder is needed"):
        own_folder.write_folder(tmp_path / "file", {"a.txt": b"1"}, force=True)


def test_an_export_that_was_interrupted_is_taken_up_again(tmp_path, monkeypatch):
    own_folder.write_folder(tmp_path, {"a.txt": b"1", "b.txt": b"1"}, force=False)

    def full_disk(path, content):
        if path.name == "b.txt":
            raise OSError("no space left on device")
        pages.write(path, content)

    monkeypatch.setattr(own_folder, "write", full_disk)
    with pytest.raises(OSError, match="no space"):
        own_folder.write_folder(tmp_path, {"a.txt": b"2", "b.txt": b"2"}, force=False)
    monkeypatch.undo()
    own_folder.write_folder(tmp_path, {"a.txt": b"3", "b.txt": b"3"}, force=False)
    assert [(tmp_path / name).read_bytes() for name in ("a.txt", "b.txt")] == [b"3", b"3"]


def test_a_record_does_not_reach_outside(tmp_path):
    (tmp_path / "mine.txt").write_bytes(b"1")
    own_folder.write_folder(tmp_path / "copies", {"mine.txt": b"1"}, force=False)
    record = tmp_path / "copies" / own_folder.RECORD
    record.write_text(record.read_text().replace("mine.txt", "../mine.txt"))
    (tmp_path / "copies" / "mine.txt").unlink()
    own_folder.write_folder(tmp_path / "copies", {"other.txt": b"1"}, force=False)
    assert (tmp_path / "mine.txt").exists()


def test_a_half_written_file_is_not_left(tmp_path, monkeypatch):
    monkeypatch.setattr(pages.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        pages.write(tmp_path / "a.txt", "1")
    assert list(tmp_path.iterdir()) == []
