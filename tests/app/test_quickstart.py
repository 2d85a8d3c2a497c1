import contextlib
import dataclasses
import io
import json

import keras
import numpy as np
import pytest

from tests.helpers import assert_shows_something, contents, tiny_splits
from tfmeta import datasets
from tfmeta.app import building, pretrained, quickstart, runs
from tfmeta.datasets import OmniglotUnavailableError
from tfmeta.evaluation import Score
from tfmeta.tasks.sampling import sample_episode

PICTURES = ("adaptation.png", "embedding.png", "episode-maml.png", "episode-prototypical.png")


def make_small(patch):
    patch.setattr(quickstart, "_EPISODES", 20)
    small = {"filters": 4, "epochs": 2, "steps_per_epoch": 2, "meta_batch_size": 2}
    small |= {"inner_steps": 1, "eval_inner_steps": 1}  # without a loop in the graph
    for name in quickstart._SHARE:
        preset = quickstart.PRESETS[name]
        changed = dataclasses.replace(preset.settings, **small)
        patch.setitem(quickstart.PRESETS, name, dataclasses.replace(preset, settings=changed))


def unavailable(**_):
    raise OmniglotUnavailableError("the server cannot be reached (timed out). Put it there by hand:\n  see data/README")


def lack_time_for_half_of_maml(patch):
    """Whatever this machine's speed: all steps of one method are taken, and half of the other's."""
    original = quickstart._fit_into

    def fit(settings, *arguments):
        training = original(settings, *arguments)
        taken = dataclasses.replace(settings, steps_per_epoch=1) if settings.method == "maml" else settings
        return dataclasses.replace(training, taken=taken, minutes=11.2)

    patch.setattr(quickstart, "_fit_into", fit)


@pytest.fixture(scope="session")
def ended(tmp_path_factory):
    """Folder and printed text of a small run; Omniglot cannot be had, the glyphs are tiny, and MAML lacks time."""
    out, printed = tmp_path_factory.mktemp("quickstart") / "deep" / "out", io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        lack_time_for_half_of_maml(patch)
        patch.setattr(datasets, "load_omniglot", unavailable)
        patch.setattr(datasets, "load_glyphs", lambda seed: tiny_splits(8))
        with contextlib.redirect_stdout(printed):
            quickstart.run(out, "omniglot", minutes=5)
    return out, printed.getvalue()


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_folder_holds_pictures_models_and_scores_and_the_text_names_them(ended):
    out, text = ended
    expected = sorted([*PICTURES, "maml.keras", "prototypical.keras", "scores.json"])
    assert sorted(path.name for path in out.iterdir()) == expected
    for name in expected:
        assert f"  {out / name}" in text.splitlines()
    for name in PICTURES:
        assert_shows_something(out / name)


@pytest.mark.slow
def test_scores_before_and_after_have_all_their_fields(ended):
    found = json.loads((ended[0] / "scores.json").read_text())
    assert set(found) == {"prototypical", "maml"}
    for method, row in found.items():
        assert set(row) == {"untrained", "before", "after"}
        for moment, fields in row.items():
            if (method, moment) == ("prototypical", "before"):
                assert fields is None  # there are no classes before there are prototypes
                continue
            assert set(fields) == {field.name for field in dataclasses.fields(Score)} - {"details", "calibration"}
            assert 0 <= fields["accuracy"] <= 1
            assert fields["interval"] > 0
            assert (fields["n_way"], fields["k_shot"], fields["n_query"], fields["episodes"]) == (5, 1, 15, 20)
            assert (fields["data"], fields["seed"]) == ("tiny", 30_000)
    assert found["maml"]["before"]["settings"]["inner_steps"] == 0
    assert found["maml"]["after"]["settings"]["inner_steps"] > 0


@pytest.mark.slow
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
    assert "[2/2] MAML: 2 steps of 2 tasks, 5-way 1-shot" in lines


@pytest.mark.slow
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
    monkeypatch.setattr(runs, "load_data", lambda *_, **__: pytest.fail("data was loaded"))
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"exists and is not overwritten; choose another folder with --out"):
        quickstart.run(tmp_path)
    assert contents(tmp_path) == {"note.txt": b"mine"}


@pytest.mark.parametrize("part", ["train", "test"])
def test_data_that_is_too_small_is_refused_before_anything_is_written(tmp_path, monkeypatch, part):
    poor = tiny_splits(8)._replace(**{part: getattr(tiny_splits(4), part)})
    monkeypatch.setattr(runs, "load_data", lambda *_, **__: poor)
    with pytest.raises(ValueError, match=r"at most the number of classes, and 'tiny' has 4. Received: n_way=5"):
        quickstart.run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_end_says_what_was_cut_short_and_how_to_run_all_of_it(ended):
    """On other data than the cards' there is no accuracy to promise."""
    lines = ended[1].splitlines()
    at = lines.index("There was no time for all steps here:")
    assert lines[at + 1 : at + 3] == [
        "  MAML: 2 of 4 steps",
        "For the full run at this speed: tfmeta quickstart --minutes 12",
    ]
    assert lines[at - 1] == lines[at + 3] == ""


def closing(taken, test="omniglot vinyals test", dataset="omniglot", data_dir=None, reading=None):
    """The closing lines where a training of each preset took that share of its steps."""
    trainings = {}
    for minutes, (name, share) in enumerate(taken.items(), start=8):
        planned = quickstart.PRESETS[name].settings
        cut = dataclasses.replace(planned, steps_per_epoch=int(share * planned.steps_per_epoch))
        trainings[name] = quickstart._Training(planned, cut, minutes - 0.5)
    return quickstart._what_all_steps_reach(trainings, test, dataset, data_dir, reading)


def test_what_all_steps_reach_is_the_cards():
    def of_card(name):
        score = pretrained.pretrained_card(name).row["scores"][0]
        return f"{100 * score['accuracy']:.1f} % +- {100 * score['interval']:.1f}"

    both = closing({"prototypical-quickstart": 0.5, "maml-quickstart": 0.25})
    assert both == [
        "",
        "There was no time for all steps here:",
        f"  Prototypical network: 600 of 1200 steps; 1200 steps reach {of_card('prototypical-quickstart')}",
        f"  MAML: 2500 of 10000 steps; 10000 steps reach {of_card('maml-quickstart')}",
        "For the full run at this speed: tfmeta quickstart --minutes 9",
    ]
    one = closing({"prototypical-quickstart": 1, "maml-quickstart": 0.25}, data_dir="my data")
    assert one[2:] == [both[3], "For the full run at this speed: tfmeta quickstart --minutes 9 --data-dir 'my data'"]
    assert closing({"prototypical-quickstart": 1, "maml-quickstart": 1}) == []
    folder = {"image_size": (40, 50), "grayscale": True, "fractions": (0.5, 0.5)}
    assert closing({"maml-quickstart": 0.25}, test="x", dataset="my", reading=folder)[-1].endswith(
        "--minutes 8 --dataset my --grayscale --image-size 40x50 --fractions 0.5,0.5"
    )
    other = closing({"maml-quickstart": 0.25}, test="glyphs test", dataset="glyphs")
    assert other[2:] == [
        "  MAML: 2500 of 10000 steps",
        "For the full run at this speed: tfmeta quickstart --minutes 8 --dataset glyphs",
    ]


@pytest.mark.parametrize("name", quickstart._SHARE)
def test_the_cards_are_of_the_quickstarts_own_trainings(name):
    assert pretrained.pretrained_card(name).settings == quickstart.PRESETS[name].settings


@pytest.mark.slow
def test_a_slow_machine_takes_fewer_steps_and_says_so(monkeypatch, capsys):
    make_small(monkeypatch)
    settings = quickstart.PRESETS["prototypical-quickstart"].settings
    settings = dataclasses.replace(settings, train_way=5, steps_per_epoch=50)
    learner = building.build_learner(settings, tiny_splits().train)  # once, since it is slow to trace
    monkeypatch.setattr(building, "build_learner", lambda *_: learner)

    def fit(minutes):
        clock = iter([0.0, 40.0])  # twenty steps in forty seconds
        monkeypatch.setattr(quickstart.time, "monotonic", lambda: next(clock))
        training = quickstart._fit_into(settings, tiny_splits(), minutes, share=0.5)
        assert training.planned is settings
        # A hundred steps take 200 s; half of the time is for this method.
        assert training.minutes == pytest.approx(400 / 60)
        return training.taken

    assert fit(56 / 60) == dataclasses.replace(settings, steps_per_epoch=7)  # 14 steps in two epochs
    assert capsys.readouterr().out == "This machine has time for 14 of 100 steps; accuracy will be lower.\n"
    assert fit(0.001).steps_per_epoch == 1
    capsys.readouterr()
    assert fit(400 / 60) is settings
    assert capsys.readouterr().out == ""
