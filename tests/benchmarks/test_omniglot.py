"""The Omniglot table's runner, on tiny data, and the results files that are committed."""

import json
import math

import pytest

from benchmarks import omniglot, omniglot_cells, omniglot_order, omniglot_speed, omniglot_table
from tests.helpers import ROOT, small_conv4, tiny_settings, tiny_splits, train_tiny
from tfmeta.app import runs
from tfmeta.app.presets import PRESETS, Preset
from tfmeta.app.settings import TrainSettings

FILES = [path for path in (ROOT / "results/omniglot.json", ROOT / "results/omniglot_short.json") if path.exists()]
ROWS = [
    pytest.param(path.name, row, id=f"{path.stem}-{row['cell']}")
    for path in FILES
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]
]


def test_cells_that_differ_in_judging_share_a_training():
    def same(a, b):
        return omniglot_cells.training_of(PRESETS[a].settings) == omniglot_cells.training_of(PRESETS[b].settings)

    assert same("protonet-omniglot-5w1s", "protonet-omniglot-20w1s")
    assert same("reptile-omniglot-5w1s", "reptile-omniglot-5w5s")
    assert same("proto-maml-omniglot-5w1s", "proto-maml-omniglot-20w1s")
    assert same("fine-tuning-omniglot-5w1s", "fine-tuning-omniglot-20w5s")
    assert not same("protonet-omniglot-5w1s", "protonet-omniglot-5w5s")
    assert not same("maml-omniglot-5w1s", "maml-omniglot-20w1s")
    assert not same("maml-omniglot-5w1s", "fomaml-omniglot-5w1s")
    for name in omniglot_cells.CELLS:
        assert len(omniglot_cells.training_of(PRESETS[name].settings)) > 10
    assert omniglot_cells.trained_as("protonet-omniglot-20w1s") == "protonet-omniglot-5w1s"
    assert omniglot_cells.trained_as("maml-omniglot-20w1s") == "maml-omniglot-20w1s"
    assert omniglot_cells.trained_as("nearest-neighbour-omniglot-5w1s") is None
    assert omniglot_cells.trainings().count("protonet-omniglot-5w1s") == 1
    assert "protonet-omniglot-20w1s" not in omniglot_cells.trainings()


def test_hours_of_cells_that_were_not_run():
    steps = PRESETS["protonet-omniglot-5w1s"].settings.steps
    speeds = {"protonet-omniglot-5w1s": steps / 7200}
    for name in ("protonet-omniglot-5w1s", "protonet-omniglot-20w1s"):
        assert omniglot_speed.projected_hours(name, speeds) == pytest.approx(2.0)
    assert omniglot_speed.projected_hours("maml-omniglot-5w1s", speeds) is None
    assert omniglot_speed.projected_hours("nearest-neighbour-omniglot-5w1s", speeds) is None
    table = omniglot_table.overview([], speeds)
    assert table.count("not run yet (2.0 h)") == 2
    assert "2.0 h" not in omniglot_table.overview([])


def test_speeds_of_another_machine_are_not_used(tmp_path, monkeypatch):
    path = tmp_path / "speed.json"
    assert omniglot_speed.known_speeds(path) == {}
    path.write_text(json.dumps({"machine": {"cores": 2}, "steps_per_second": {"x": 3.0}}), encoding="utf-8")
    monkeypatch.setattr(omniglot_speed, "machine_facts", lambda: {"cores": 2})
    assert omniglot_speed.known_speeds(path) == {"x": 3.0}
    monkeypatch.setattr(omniglot_speed, "machine_facts", lambda: {"cores": 4})
    assert omniglot_speed.known_speeds(path) == {}


@pytest.mark.slow
def test_the_probe_counts_steps(monkeypatch):
    monkeypatch.setattr(runs, "load_data", lambda *_: tiny_splits())
    monkeypatch.setattr(omniglot_speed, "PROBE_S", 0.2)
    assert omniglot_speed.steps_per_second(tiny_settings("prototypical")) > 1


@pytest.fixture
def small_cells(monkeypatch, tmp_path):
    """Two cells of a small metric learner that share a training; trained in this process on tiny data."""
    trained = []
    settings = {"train_way": 3, "steps_per_epoch": 2, "test_episodes": 10}
    cells = {
        "small-omniglot-3w1s": Preset(tiny_settings("prototypical", **settings), "here"),
        "small-omniglot-2w1s": Preset(tiny_settings("prototypical", **settings, n_way=2), "here", paper=(90.0, 1.0)),
    }
    monkeypatch.setattr(omniglot, "PRESETS", cells)
    monkeypatch.setattr(omniglot, "CELLS", list(cells))
    monkeypatch.setattr(omniglot, "EPISODES", 10)
    monkeypatch.setattr(runs, "load_data", lambda *_: tiny_splits())

    def train(name, folder, epochs):
        trained.append((name, epochs))
        if not folder.exists():
            train_tiny(folder, **settings | {"epochs": epochs})

    monkeypatch.setattr(omniglot, "train", train)
    with small_conv4():  # as in train_tiny, whose weights it takes
        yield cells, trained, tmp_path


@pytest.mark.slow
def test_a_cell_is_trained_judged_and_described(small_cells):
    cells, trained, folder = small_cells
    rows = [omniglot.run_cell(name, folder, None) for name in cells]
    assert trained == [("small-omniglot-3w1s", 3), ("small-omniglot-3w1s", 3)]  # the second finds the first's run
    for row, name in zip(rows, cells, strict=True):
        check_row(row)
        assert (row["cell"], row["training_of"], row["steps"]) == (name, "small-omniglot-3w1s", 6)
        assert row["command"] == f"tfmeta train --preset {name} --epochs 3 --run-dir runs/omniglot/{name}"
    assert [row["n_way"] for row in rows] == [3, 2]
    assert rows[1]["paper"] == [90.0, 1.0]
    assert runs.load_score(folder / "small-omniglot-3w1s").accuracy == rows[0]["scores"][0]["accuracy"]


def check_row(row):
    """A row says all that one must know to read it."""
    assert {"cell", "method", "n_way", "k_shot", "seed", "scores", "split", "steps", "training_seconds", "device",
            "versions", "commit", "command", "paper", "settings", "date"} <= set(row)  # fmt: skip
    assert TrainSettings.from_dict(row["settings"]).steps == row["steps"] > 0
    assert {"python", "tensorflow", "keras", "tfmeta"} <= set(row["versions"])
    assert 1 <= len(row["scores"]) <= 2
    assert len({score["batch_norm"] for score in row["scores"]}) == len(row["scores"])
    for score in row["scores"]:
        assert 0 <= score["accuracy"] <= 1
        assert math.isfinite(score["interval"])
        assert 0 <= score["interval"] < 0.5
        assert score["n_query"] == 15
    assert row["training_seconds"] >= 0


@pytest.mark.parametrize(("file", "row"), ROWS)
def test_committed_rows_are_complete(file, row):
    check_row(row)
    assert row["cell"] in PRESETS
    assert row["command"].startswith(f"tfmeta train --preset {row['cell']} ")
    assert row["split"] == "Vinyals"
    assert all(score["episodes"] == 1000 for score in row["scores"])
    wanted = PRESETS[row["cell"]].settings
    assert (row["n_way"], row["k_shot"], row["method"]) == (wanted.n_way, wanted.k_shot, wanted.method)
    # What the preset says today is what was run, but for its length.
    assert TrainSettings.from_dict(row["settings"] | {"epochs": wanted.epochs}) == wanted
    if file == "omniglot_short.json" and wanted.recipe.learns:
        # Its steps are 15 minutes of a quiet machine; its seconds are more where there was other work beside them.
        speed = row.get("steps_per_second") or omniglot_table.speeds()[omniglot_cells.trained_as(row["cell"])]
        assert 14 * 60 < row["steps"] / speed < 16 * 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tables_in_the_pages_are_those_of_the_files(path):
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert len({row["cell"] for row in rows}) == len(rows)
    page = (ROOT / "results/README.md").read_text(encoding="utf-8")
    assert omniglot_table.overview(rows, omniglot_table.speeds() if path.stem == "omniglot" else None) in page
    assert omniglot_table.details(rows) in page
    assert path.with_suffix(".png").exists()
    if path.stem == "omniglot_short":
        assert omniglot_table.overview(rows) in (ROOT / "docs/results.md").read_text(encoding="utf-8")
        assert omniglot_table.front(rows) in (ROOT / "README.md").read_text(encoding="utf-8")
        assert omniglot_order.orders(rows, omniglot_table.LABELS) in page


def test_the_table_of_methods_has_the_numbers_of_the_file():
    rows = json.loads((ROOT / "results/omniglot_short.json").read_text(encoding="utf-8"))["rows"]
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    assert omniglot_table.fill_scores(page, rows) == page
    assert all(f"<!-- score:{method}-omniglot-5w1s -->" in page for method in omniglot_table.LABELS)
    text = "a <!-- score:x -->1.0<!-- end --> b <!-- score:y --><!-- end -->"
    row = {"cell": "x", "scores": [{"accuracy": 0.5, "interval": 0.01}]}
    filled = omniglot_table.fill_scores(text, [row])
    assert filled == "a <!-- score:x -->50.0 ± 1.0<!-- end --> b <!-- score:y -->not run yet<!-- end -->"


def test_a_cell_that_was_not_run_says_so_beside_the_papers_number():
    text = omniglot_table.overview([])
    assert text.count("not run yet") == len(omniglot_cells.CELLS)
    assert "not run yet<br>paper 98.7 ± 0.4" in text
    assert {name.split("-omniglot-")[0] for name in omniglot_cells.CELLS} == set(omniglot_table.LABELS)


def stored(name):
    path = ROOT / f"results/{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


def test_the_picture_shows_every_cell(tmp_path):
    score = {"accuracy": 0.97, "interval": 0.01, "batch_norm": "statistics of all queries together"}
    row = {"cell": "maml-omniglot-5w1s", "scores": [score]}
    omniglot_table.draw({"rows": [row]}, tmp_path / "dots.png")
    assert (tmp_path / "dots.png").stat().st_size > 5000


def test_a_marker_says_what_normalised_the_queries():
    """Moving averages are not the same protocol as a query beside the support set, though both are of one query."""
    rows = [row for name in ("omniglot", "omniglot_short") for row in stored(name)]
    modes = {score["batch_norm"] for row in rows for score in row["scores"]}
    looks = {mode: omniglot_table.look_of(mode, "#123456") for mode in modes}
    shape = {mode: (look["marker"], look["markerfacecolor"]) for mode, look in looks.items()}
    assert shape["moving averages of the inner step"] == shape["moving averages of training"] == ("s", "white")
    assert shape["statistics of the support set and one query"] == ("o", "white")
    assert shape["statistics of all queries together"] == ("o", "#123456")


def test_orders_and_pairs_that_are_the_other_way_round():
    labels = {"a": "A", "b": "B", "c": "C"}
    ours = {"a": (90.0, 0.3), "b": (95.0, 0.3), "c": (94.7, 0.3)}
    assert omniglot_order.in_order(ours, labels) == "B ≈ C > A"
    assert omniglot_order.in_order({}, labels) == ""
    papers = {"a": (98.0, 0.1), "b": (95.0, 0.1), "c": (96.0, 0.1)}
    # B before C here is within our intervals, so it is not a swap although the papers have them the other way.
    assert omniglot_order.swapped(ours, papers) == [("b", "a"), ("c", "a")]
    assert omniglot_order.swapped(ours | {"c": (94.0, 0.3)}, papers) == [("b", "a"), ("b", "c"), ("c", "a")]
    assert omniglot_order.swapped(ours, papers | {"a": (96.05, 0.2), "c": (95.9, 0.2)}) == [("b", "a")]
    assert omniglot_order.swapped(ours, {}) == []


def test_the_table_of_orders_takes_the_papers_of_the_methods_that_were_run():
    rows = [
        {"cell": f"{method}-omniglot-5w1s", "scores": [{"accuracy": value, "interval": 0.002}]}
        for method, value in (("maml", 0.90), ("reptile", 0.95), ("anil", 0.97))
    ]
    # The paper of matching networks has no interval; 98.1 is then not clearly below MAML's 98.7 +- 0.4.
    rows.append({"cell": "matching-omniglot-5w1s", "scores": [{"accuracy": 0.98, "interval": 0.005}]})
    table = omniglot_order.orders(rows, omniglot_table.LABELS).splitlines()
    ours, papers = "Matching network > ANIL > Reptile > MAML", "MAML ≈ Matching network ≈ Reptile"
    assert table[2] == f"| 5-way 1-shot | {ours} | {papers} | Reptile before MAML |"
    assert table[3] == "| 5-way 5-shot |  |  | - |"
