"""Damaged files, two processes at once, clocks set back, odd names of folders, no home."""

import errno
import os
import shutil

import pytest

from tests.helpers import assert_same_end, contents, draw_folder, train_tiny
from tfmeta.app import checkpoints, doctor, pictures, pretrained, runs
from tfmeta.datasets import cache
from tfmeta.machine import files

READERS = {
    "settings.json": runs.read_settings,
    "model.keras": runs.load_run,
    "score.json": runs.load_score,
    "log.csv": lambda run: pictures.draw_log(run / "log.csv", run / "log.png"),
}
DAMAGE = {
    "one bit": lambda content: content[:-20] + bytes([content[-20] ^ 1]) + content[-19:],
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_whatever_is_damaged_in_a_finished_run_is_named(finished, kind):
    for name, read in READERS.items():
        whole = (finished / name).read_bytes()
        (finished / name).write_bytes(DAMAGE[kind](whole))
        with pytest.raises(ValueError, match=rf"must be as it was written.*Received: .*{name}, which was changed"):
            read(finished)
        (finished / name).write_bytes(whole)
        read(finished)


def test_runs_from_before_there_were_hashes_are_read(finished, uninterrupted):
    (finished / files.SUMS).unlink()
    assert runs.load_score(finished) == uninterrupted("prototypical")[2]
    (finished / "score.json").write_text('{"accuracy": 3}')
    with pytest.raises(ValueError, match=r"JSON as tfmeta wrote it \(.*\)\. Received: .*score.json"):
        runs.load_score(finished)


def test_a_changed_card_is_named(tmp_path, monkeypatch):
    names = ("maml-quickstart.json", "maml-quickstart.keras", files.SUMS)
    for name in names:
        shutil.copy(pretrained.FOLDER / name, tmp_path / name)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    pretrained.pretrained_card("maml-quickstart")
    card = tmp_path / names[0]
    card.write_bytes(DAMAGE["one bit"](card.read_bytes()))
    with pytest.raises(ValueError, match=r"Received: .*maml-quickstart.json, which was changed or damaged"):
        pretrained.load_pretrained("maml-quickstart")


def test_all_cards_have_their_hashes():
    listed = (pretrained.FOLDER / files.SUMS).read_text(encoding="utf-8").split()[1::2]
    assert listed == sorted(path.name for path in pretrained.FOLDER.glob("*.json"))
    for name in listed:
        files.check_sum(pretrained.FOLDER / name)


def test_a_run_folder_is_for_one_process_at_a_time(finished, uninterrupted):
    before = contents(finished)
    with (
        files.alone_in(finished),
        pytest.raises(BlockingIOError, match=r"one process at a time. Received: .*run, in use"),
    ):
        train_tiny(finished, resume=True)
    assert contents(finished) == before
    assert_same_end(finished, train_tiny(finished, resume=True), uninterrupted("prototypical"))


def test_the_newest_checkpoint_is_that_of_the_highest_epoch_whatever_the_clock_says(tmp_path):
    digest = "0123456789abcdef"
    for age, epoch in enumerate((100000, 99999, 3)):
        path = tmp_path / f"epoch-{epoch:05d}-{digest}.weights.h5"
        path.touch()
        os.utime(path, (age, age))
    found = [path.name.split("-")[1] for path in checkpoints.found(tmp_path)]
    assert found == ["00003", "99999", "100000"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("Can't flush (file write failed: errno = 28, ...")]
)
def test_a_full_disk_is_said_in_one_line_and_damages_nothing(tmp_path, error):
    path = tmp_path / "score.json"
    files.write_json(path, {"accuracy": 1})
    words = r"the disk is full; what was there before is unchanged: .*score.json"
    with pytest.raises(OSError, match=words), files.whole(path) as beside:  # noqa: PT012
        beside.write_text("half of")
        raise error
    assert contents(tmp_path) == {"score.json": b'{\n  "accuracy": 1\n}\n'}


def test_a_run_folder_may_have_any_name(tmp_path, uninterrupted):
    folder = tmp_path / "Läufe von heute, 1. Versuch" / ("é" * 100)
    assert_same_end(folder, train_tiny(folder), uninterrupted("prototypical"))


def test_a_folder_of_two_classes_is_divided_in_two(tmp_path):
    data = runs.load_data(str(draw_folder(tmp_path / "photos", n_classes=2)))
    assert (data.train.n_classes, data.validation, data.test.n_classes) == (1, None, 1)


def test_doctor_names_a_missing_home(monkeypatch):
    def homeless(data_dir):
        raise OSError(errno.ENOENT, "data_dir must not be below the home folder where there is none")

    monkeypatch.setattr(cache, "resolve_data_dir", homeless)
    lines, healthy = doctor.examine()
    assert not healthy
    assert lines[-1].startswith("WRONG")
    assert "home folder" in lines[-1]
