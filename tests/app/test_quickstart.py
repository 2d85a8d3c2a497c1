import contextlib
import dataclasses
import io
import json

import keras
import numpy as np
import pytest

from tests.helpers import assert_shows_something, contents, tiny_splits
from tfmeta import datasets
from tfmeta.app import quickstart, runs
from tfmeta.datasets import OmniglotUnavailableError
from tfmeta.evaluation import Score
from tfmeta.tasks.sampling import sample_episode

PICTURES = ("adaptation.png", "embedding.png", "episode-maml.png", "episode-prototypical.png")


def make_small(patch):
    patch.setattr(quickstart, "_EPISODES", 20)
    small = {"filters": 4, "epochs": 2, "steps_per_epoch": 2, "meta_batch_size": 2}
    for name in quickstart._SHARE:
        preset = quickstart.PRESETS[name]
        changed = dataclasses.replace(preset.settings, **small)
        patch.setitem(quickstart.PRESETS, name, dataclasses.replace(preset, settings=changed))


def unavailable(**_):
    raise OmniglotUnavailableError("the server cannot be reached (timed out). Put it there by hand:\n  see data/README")


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Folder and printed text of a small run; Omniglot cannot be had, and the glyphs are tiny."""
    out, printed = tmp_path_factory.mktemp("quickstart") / "deep" / "out", io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr(datasets, "load_omniglot", unavailable)
        patch.setattr(datasets, "load_glyphs", lambda seed: tiny_splits(8))
        with contextlib.redirect_stdout(printed):
            quickstart.run(out, "omniglot", minutes=5)
    return out, printed.getvalue()


def test_glyphs_stand_in_for_omniglot_with_one_clear_line(ended):
    said = [line for line in ended[1].splitlines() if "Omniglot" in line]
    assert said == [
        "Omniglot cannot be had (the server cannot be reached (timed out)); learning on tfmeta's generated glyphs "
        "instead."
    ]
    assert ended[1].splitlines()[0] == said[0]


def test_nothing_stands_in_for_other_data_sets(tmp_path):
    with pytest.raises(ValueError, match=r"dataset must be .*Received: dataset='omniglott'"):
        quickstart.run(tmp_path / "out", "omniglott")
    assert not (tmp_path / "out").exists()


def test_the_folder_holds_pictures_models_and_scores_and_the_text_names_them(ended):
    out, text = ended
    expected = sorted([*PICTURES, "maml.keras", "prototypical.keras", "scores.json"])
    assert sorted(path.name for path in out.iterdir()) == expected
    for name in expected:
        assert f"  {out / name}" in text.splitlines()
    for name in PICTURES:
        assert_shows_something(out / name)


def test_scores_before_and_after_have_all_their_fields(ended):
    found = json.loads((ended[0] / "scores.json").read_text())
    assert set(found) == {"prototypical", "maml"}
    for method, row in found.items():
        assert set(row) == {"untrained", "before", "after"}
        for moment, fields in row.items():
            if (method, moment) == ("prototypical", "before"):
                assert fields is None  # there are no classes before there are prototypes
                continue
            assert set(fields) == {field.name for field in dataclasses.fields(Score)}
            assert 0 <= fields["accuracy"] <= 1
            assert fields["interval"] > 0
            assert (fields["n_way"], fields["k_shot"], fields["n_query"], fields["episodes"]) == (5, 1, 15, 20)
            assert (fields["data"], fields["seed"]) == ("tiny", 30_000)
    assert found["maml"]["before"]["settings"]["inner_steps"] == 0
    assert found["maml"]["after"]["settings"]["inner_steps"] > 0


def test_the_table_shows_the_scores(ended):
    found = json.loads((ended[0] / "scores.json").read_text())
    lines = ended[1].splitlines()
    for title, method in (("Prototypical network", "prototypical"), ("MAML", "maml")):
        (line,) = [line for line in lines if line.startswith(title)]
        cells = [f"{100 * s['accuracy']:.1f} % +- {100 * s['interval']:.1f}" for s in found[method].values() if s]
        assert [cell in line for cell in cells] == [True] * len(cells)
        assert ("chance (20 %)" in line) == (method == "prototypical")
        assert str(Score(**found[method]["after"])) in ended[1]
    assert "[1/2] Prototypical network: 4 steps of 2 tasks, 8-way 1-shot" in lines  # 60-way needs 60 classes
    assert "[2/2] MAML: 4 steps of 2 tasks, 5-way 1-shot" in lines


def test_the_saved_models_are_those_that_were_judged(ended, monkeypatch):
    make_small(monkeypatch)
    found = json.loads((ended[0] / "scores.json").read_text())
    test = tiny_splits(8).test
    for method, row in found.items():
        learner = keras.models.load_model(ended[0] / f"{method}.keras")
        assert quickstart._score(learner, test).to_dict() == row["after"]
    one = sample_episode(test, n_way=5, k_shot=1, n_query=3, seed=0)
    adapted = learner.adapt(one.support_x, one.support_y)
    assert np.isfinite(adapted.predict(one.query_x, verbose=0)).all()


def test_an_existing_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "load_data", lambda *_: pytest.fail("data was loaded"))
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"exists and is not overwritten; choose another folder with --out"):
        quickstart.run(tmp_path)
    assert contents(tmp_path) == {"note.txt": b"mine"}


@pytest.mark.parametrize("part", ["train", "test"])
def test_data_that_is_too_small_is_refused_before_anything_is_written(tmp_path, monkeypatch, part):
    poor = tiny_splits(8)._replace(**{part: getattr(tiny_splits(4), part)})
    monkeypatch.setattr(runs, "load_data", lambda *_: poor)
    with pytest.raises(ValueError, match=r"at most the number of classes, and 'tiny' has 4. Received: n_way=5"):
        quickstart.run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_slow_machine_takes_fewer_steps_and_says_so(monkeypatch, capsys):
    make_small(monkeypatch)
    settings = quickstart.PRESETS["prototypical-quickstart"].settings
    settings = dataclasses.replace(settings, train_way=5, steps_per_epoch=50)
    clock = iter([0.0, 40.0])  # twenty steps in forty seconds
    monkeypatch.setattr(quickstart.time, "monotonic", lambda: next(clock))
    fewer = quickstart._fit_into(settings, tiny_splits(), seconds=28)
    assert fewer == dataclasses.replace(settings, steps_per_epoch=7)  # 14 steps in two epochs
    assert capsys.readouterr().out == "This machine has time for 14 of 100 steps; accuracy will be lower.\n"
    clock = iter([0.0, 40.0])
    assert quickstart._fit_into(settings, tiny_splits(), seconds=0.1).steps_per_epoch == 1
    capsys.readouterr()
    clock = iter([0.0, 40.0])
    assert quickstart._fit_into(settings, tiny_splits(), seconds=200) is settings
    assert capsys.readouterr().out == ""
