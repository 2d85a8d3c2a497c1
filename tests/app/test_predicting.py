"""`tfmeta predict`: names for pictures, from a folder with a few of each class."""

import csv

import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

import tfmeta
from tests.helpers import contents
from tfmeta.app.cli import app


def command(*words):
    return CliRunner().invoke(app, ["predict", *map(str, words)])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Support of 5 classes, 1 to 3 pictures each, white ink on black; pictures of the same classes to be named."""
    root = tmp_path_factory.mktemp("glyphs")
    test = tfmeta.datasets.load_glyphs(0).test
    for k in range(5):
        pictures = test.images[test.labels == k][..., 0]
        (root / "support" / f"letter{k}").mkdir(parents=True)
        (root / "new").mkdir(exist_ok=True)
        for i in range(1 + k % 3):
            Image.fromarray(pictures[i]).save(root / "support" / f"letter{k}" / f"{i}.png")
        Image.fromarray(pictures[10]).resize((50, 50)).save(root / "new" / f"{k}.png")
    (root / "new" / ".hidden.png").write_bytes(b"")
    (root / "new" / "notes.txt").write_text("no picture")
    return root


def test_names_with_their_probabilities_and_a_table(folders, tmp_path):
    out = tmp_path / "predictions.csv"
    words = ["prototypical-quickstart", "--support", folders / "support", "--images", folders / "new", "--out", out]
    result = command(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    *lines, last = result.stdout.splitlines()
    assert last == f"predictions: {out}"
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["file"] for row in rows] == [str(folders / "new" / f"{k}.png") for k in range(5)]
    for line, row in zip(lines, rows, strict=True):
        assert row["class"] in {f"letter{k}" for k in range(5)}
        assert 0.2 <= float(row["probability"]) <= 1
        assert line == f"{row['file']}  {row['class']}  {100 * float(row['probability']):.1f} %"
    assert sum(row["class"] == f"letter{k}" for k, row in enumerate(rows)) >= 4
    before = contents(tmp_path)
    refused = command(*words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "exists and is not overwritten; say --force" in refused.stderr
    assert contents(tmp_path) == before
    assert command(*words, "--force").exit_code == 0


def test_the_predictions_are_those_of_adapt(folders):
    learner = tfmeta.load_pretrained("maml-quickstart")

    def read(path):
        return np.asarray(Image.open(path).resize((28, 28), Image.Resampling.BOX), np.float32)[..., None] / 255

    support = sorted((folders / "support").rglob("*.png"))
    labels = np.array([int(path.parent.name[-1]) for path in support], np.int32)
    adapted = learner.adapt(np.stack([read(path) for path in support]), labels)
    picture = folders / "new" / "3.png"
    logits = adapted.predict(read(picture)[None], verbose=0)[0]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    result = command("maml-quickstart", "--support", folders / "support", "--images", picture)
    assert result.stdout == f"{picture}  letter{shares.argmax()}  {100 * shares.max():.1f} %\n"


def test_several_files_as_a_shell_gives_them(folders):
    files = [folders / "new" / f"{k}.png" for k in (4, 0, 2)]
    result = command("prototypical-quickstart", "--support", folders / "support", "--images", *files)
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(map(str, files))


def test_another_number_of_classes_is_refused_where_the_head_is_fixed(folders, tmp_path):
    for k in range(3):
        (tmp_path / f"letter{k}").symlink_to(folders / "support" / f"letter{k}")
    words = ["--support", tmp_path, "--images", folders / "new"]
    result = command("maml-quickstart", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "must have 5 classes" in result.stderr
    assert "Received: 3 classes, 'letter0', 'letter1', 'letter2'" in result.stderr
    assert command("prototypical-quickstart", *words).exit_code == 0


def test_dark_ink_on_white_is_warned_of_and_inverted_on_request(folders, tmp_path):
    for path in [*folders.rglob("support/*/*.png"), *folders.rglob("new/?.png")]:
        target = tmp_path / path.relative_to(folders)
        target.parent.mkdir(parents=True, exist_ok=True)
        ImageOps.invert(Image.open(path)).save(target)
    words = ["prototypical-quickstart", "--support", tmp_path / "support", "--images", tmp_path / "new"]
    plain, inverted = command(*words), command(*words, "--invert")
    assert "look inverted" in plain.stderr
    assert "--invert turns dark ink on white into white ink on black" in plain.stderr
    assert plain.stderr.count("\n") == 1
    assert inverted.stderr == ""
    right = command("prototypical-quickstart", "--support", folders / "support", "--images", folders / "new")
    names = [[line.split()[1] for line in one.stdout.splitlines()] for one in (inverted, right)]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: (root / "images").mkdir(), "which has none"),
        (lambda root: (root / "images").write_bytes(b"no picture"), "an image must be readable"),
    ],
)
def test_pictures_that_there_are_not(folders, tmp_path, make, words):
    make(tmp_path)
    result = command("prototypical-quickstart", "--support", folders / "support", "--images", tmp_path / "images")
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
