"""`tfmeta compare`: every run is trained once, and the table and the figures hold their means over seeds."""

import json

import pytest
from typer.testing import CliRunner

import tfmeta
from tests.helpers import small_conv4
from tfmeta.app import comparing, runs
from tfmeta.app.cli import app
from tfmeta.app.commands.compare import _parts

OPTIONS = ["--dataset", "glyphs", "--epochs", "1", "--steps-per-epoch", "1", "--test-episodes", "4"]


def compare(*words):
    with small_conv4():
        return CliRunner().invoke(app, ["compare", *map(str, words)])


@pytest.mark.slow
def test_methods_seeds_and_shots_become_a_table_and_two_figures(tmp_path, monkeypatch):
    words = ["fomaml", "prototypical", "--seeds", 2, "--shots", "1", "2", *OPTIONS, "--out", tmp_path / "c"]
    done = compare(*words)
    assert done.exit_code == 0, done.output
    folders = sorted(path.name for path in (tmp_path / "c").iterdir() if path.is_dir())
    assert folders == sorted(f"{m}-5w{k}s-seed{s}" for m in ("fomaml", "prototypical") for k in (1, 2) for s in (0, 1))
    rows = [line.split(" | ") for line in (tmp_path / "c" / "table.md").read_text().splitlines()]
    assert [row[0] for row in rows[2:4]] == ["| FOMAML", "| PrototypicalNetwork"]
    accuracies = [runs.load_score(tmp_path / "c" / f"fomaml-5w2s-seed{s}").accuracy for s in (0, 1)]
    assert rows[2][2].startswith(f"{50 * sum(accuracies):.1f} ± ")
    scores = json.loads((tmp_path / "c" / "scores.json").read_text())
    assert [(s["method"], s["k_shot"]) for s in scores] == [
        ("FOMAML", 1), ("FOMAML", 2), ("PrototypicalNetwork", 1), ("PrototypicalNetwork", 2)
    ]  # fmt: skip
    assert all((tmp_path / "c" / name).stat().st_size > 5000 for name in ("scores.png", "adaptation.png"))

    monkeypatch.setattr(runs, "train", lambda *_, **__: pytest.fail("a run that has ended is trained again"))
    before = (tmp_path / "c" / "table.md").read_text()
    again = compare(*words)
    assert again.exit_code == 0, again.output
    assert (tmp_path / "c" / "table.md").read_text() == before
    other = compare(*words, "--n-way", 5, "--test-episodes", 5)
    assert other.exit_code == 2
    assert "take another folder with --out. Received: test_episodes=5 (not 4)" in other.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mamml"], "Did you mean 'maml'? Received: 'mamml'"),
        (["maml", "5"], "numbers of shots follow --shots. Received: 5"),
        (["maml", "--shots", "0"], "Received: '0'"),
        (["maml", "--shots", "one"], "Received: 'one'"),
        (["5", "--shots", "1"], "methods must be named"),
        (["maml", "--dataset", "glyph"], "Received: dataset='glyph'"),
        (["maml", "--epochs", "0"], "Received: epochs=0"),
        (["maml", "maml", "--dataset", "glyphs"], "different ones"),
        (["maml", "--shots", "1", "1", "--dataset", "glyphs"], "different ones"),
    ],
)
def test_mistakes_are_answered_before_any_training(words, message, monkeypatch):
    monkeypatch.setattr(runs, "train", lambda *_, **__: pytest.fail("trained"))
    done = compare(*words)
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize("shots", [["1", "5"], ["1,5"], ["1"]])
def test_shots_are_read_in_every_way(shots):
    late = ["5"] if shots == ["1"] else []
    assert _parts(["maml", *late, "fomaml"], shots) == (["maml", "fomaml"], [1, 5])


def test_one_seed_keeps_the_interval_over_episodes():
    score = tfmeta.Score(0.5, 0.01, 600, 5, 1, 15, "test", "MAML", {}, "none", 0)
    assert comparing.table({("maml", 1): score}).endswith("\ntest; one training, interval over 600 episodes.\n")
