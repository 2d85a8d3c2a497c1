import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import assert_same_end, draw_folder, log_rows, tiny_settings, tiny_splits, train_tiny
from tfmeta import datasets
from tfmeta.app import building, checkpoints, presets, runs
from tfmeta.app.methods import RECIPES
from tfmeta.app.settings import METHODS as METHODS_OF_RUNS
from tfmeta.evaluation import evaluate

METHODS = ("maml", "prototypical")  # whose runs are looked at closely


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_what_a_run_leaves_in_its_folder(uninterrupted, method):
    folder, learner, score = uninterrupted(method)
    assert sorted(path.name for path in folder.iterdir()) == [
        "SHA256SUMS", "checkpoints", "log.csv", "model.keras", "score.json", "settings.json", "tensorboard",
    ]  # fmt: skip
    assert runs.read_settings(folder) == tiny_settings(method)
    assert [row["epoch"] for row in log_rows(folder)] == ["0", "1", "2"]
    for row in log_rows(folder):
        for name in ("accuracy", "loss", "val_accuracy", "val_loss"):
            assert np.isfinite(float(row[name]))
        assert 0 < float(row["seconds"]) < 600
    assert [path.name[:11] for path in checkpoints.found(folder / "checkpoints")] == ["epoch-00002", "epoch-00003"]
    assert {p.parent.name for p in folder.rglob("events.out.tfevents*")} == {"train", "validation"}
    assert not [path for path in folder.rglob("*") if "writing" in path.name]
    assert runs.load_score(folder) == score
    assert (score.n_way, score.k_shot, score.n_query, score.episodes) == (3, 1, 15, 10)
    settings, loaded = runs.load_run(folder)
    assert settings == tiny_settings(method)
    again = evaluate(loaded, tiny_splits().test, n_way=3, k_shot=1, n_query=15, episodes=10, seed=score.seed)
    assert again == score
    assert int(learner.optimizer.iterations) == 6


def test_settings_decide_the_learner(classes_of):
    for method, first_order in (("maml", False), ("fomaml", True)):
        learner = building.build_learner(tiny_settings(method, inner_lr=0.3, inner_steps=2), tiny_splits().train)
        assert (learner.inner_lr, learner.inner_steps, learner.eval_inner_steps) == (0.3, 2, 3)
        assert learner.first_order is first_order
        assert learner.trainable_variables[-1].shape == (3,)  # the head's biases, one for each class
    encoder = building.build_learner(
        tiny_settings("prototypical", downsample="pool"), classes_of([9], size=32, channels=3)
    ).encoder
    assert encoder.input_shape == (None, 32, 32, 3)
    assert any(isinstance(layer, keras.layers.MaxPooling2D) for layer in encoder.layers)
    constant = building.build_learner(tiny_settings("prototypical", schedule="constant"), tiny_splits().train).optimizer
    assert float(constant.learning_rate) == pytest.approx(0.01)


def of_presets(method):
    """What the presets of a method set beside sizes."""
    preset = presets.PRESETS[presets.cell_name(RECIPES[method], 5, 1)].settings
    names = ("options", "inner_lr", "inner_steps", "optimizer", "learning_rate", "schedule")
    return {name: getattr(preset, name) for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in METHODS_OF_RUNS if method not in METHODS])
def test_every_method_trains_resumes_and_is_loaded(tmp_path, method):
    """Resumed in its folder as it was after the first epoch, a run ends as it did; real stops: test_runs_stopped.

    With what the method's presets say: they differ in numbers only, and tests/app/test_presets.py builds all of them.
    """
    options = {"epochs": 2, "steps_per_epoch": 1, "eval_inner_steps": 1} | of_presets(method)
    if method == "reptile":
        options |= {"train_shot": 2, "inner_batch_size": 3, "eval_inner_batch_size": 3}
    ended = tmp_path / "ended", *train_tiny(tmp_path / "ended", method, **options)
    stopped = shutil.copytree(ended[0], tmp_path / "stopped")
    for path in (checkpoints.found(stopped / "checkpoints")[-1], stopped / "model.keras", stopped / "score.json"):
        path.unlink()
    assert [path.name[:11] for path in checkpoints.found(stopped / "checkpoints")] == ["epoch-00001"]
    keras.utils.set_random_seed(99)  # what a new process would find
    again = train_tiny(stopped, method, resume=True, **options)
    loaded = assert_same_end(stopped, again, ended)
    assert runs.read_settings(stopped) == tiny_settings(method, **options)
    score = again[1]
    shape = {"n_way": 3, "k_shot": 1, "n_query": 15, "episodes": 10, "seed": score.seed}
    assert evaluate(loaded, tiny_splits().test, **shape) == score


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "must be JSON as tfmeta wrote it"),
        (b"", "must be JSON as tfmeta wrote it"),
        (b"\xff\xfe\x00", "must be JSON as tfmeta wrote it"),
        (b"null", "must be JSON as tfmeta wrote it"),
        (b"[1, 2]", "must be JSON as tfmeta wrote it"),
        (b'{"colour": "red"}', "settings must be among.*Received: colour='red'"),
        (b'{"epochs": "three"}', "Received: epochs='three'"),
    ],
)
def test_damaged_settings_are_reported(tmp_path, content, message):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        runs.read_settings(tmp_path)


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"", lambda c: b"x"])
def test_a_damaged_model_is_reported(finished, damage):
    path = finished / "model.keras"
    path.write_bytes(damage(path.read_bytes()))
    (finished / "SHA256SUMS").unlink()  # as in runs from before there was one; see tests/app/test_damage.py
    with pytest.raises(ValueError, match=r"must be as tfmeta wrote it .*Received: .*model\.keras$"):
        runs.load_run(finished)


def too_small(part):
    poor = tiny_splits(2)
    return tiny_splits()._replace(**{part: getattr(poor, part)})


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_data_that_is_too_small_is_refused_before_anything_is_written(tmp_path, part):
    """Of the test classes, too: not after hours of training."""
    with pytest.raises(ValueError, match=r"at most the number of classes, and 'tiny' has 2. Received: n_way=3"):
        train_tiny(tmp_path / "run", data=too_small(part))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("maml", {"train_way": 4}, r"n_way|outputs"),
        ("reptile", {"inner_batch_size": 2, "eval_inner_batch_size": 10}, r"^eval_inner_batch_size must be at most"),
        ("reptile", {"train_shot": 4, "inner_batch_size": 12}, r"^eval_inner_batch_size must be at most the 3"),
        ("reptile", {"inner_batch_size": 4, "eval_inner_batch_size": 3}, r"^inner_batch_size must be at most the 3"),
    ],
)
@pytest.mark.parametrize("validation", [True, False])
def test_settings_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path, method, options, message, validation
):
    data = tiny_splits() if validation else tiny_splits()._replace(validation=None)
    with pytest.raises(ValueError, match=message):
        train_tiny(tmp_path / "run", method, data=data, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_classes_of_few_images_and_no_validation_part(tmp_path):
    """Queries are as many as the smallest class leaves, up to the papers' 15."""
    few = tiny_splits()
    few = few._replace(
        validation=None, test=datasets.from_arrays(few.test.images[::5], few.test.labels[::5], name="few")
    )  # fmt: skip
    assert set(few.test.counts) == {4}
    _, score = train_tiny(tmp_path / "run", data=few, epochs=1)
    assert (score.n_query, score.data) == (3, "few")
    assert log_rows(tmp_path / "run")[0]["val_accuracy"] == "NA"
    _, score = train_tiny(tmp_path / "other", data=few._replace(validation=few.test), epochs=1)
    assert 0 <= float(log_rows(tmp_path / "other")[0]["val_accuracy"]) <= 1


def test_data_sets_by_name(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(datasets, "load_omniglot", lambda *a, **k: asked.append((a, k)))
    monkeypatch.setattr(datasets, "load_glyphs", lambda *a: asked.append(a))
    for name in ("omniglot", "omniglot-lake", "glyphs"):
        runs.load_data(name, tmp_path)
    assert asked == [((), {"data_dir": tmp_path}), (("lake",), {"data_dir": tmp_path}), (0,)]
    for name in ("omniglott", str(tmp_path / "nowhere")):
        with pytest.raises(
            ValueError, match=f"must be omniglot, omniglot-lake, glyphs or .*Received: dataset='{name}'"
        ):
            runs.load_data(name)
    own = runs.load_data(str(draw_folder(tmp_path / "own")))
    assert [part.n_classes for part in own] == [9, 3, 3]
    assert own.train.image_shape == (28, 28, 1)
    assert set(own.train.class_names).isdisjoint(own.test.class_names)
    again = runs.load_data(str(tmp_path / "own"))
    assert [part.class_names for part in again] == [part.class_names for part in own]


def test_training_episodes_start_anywhere_and_may_be_of_more_ways():
    settings = dataclasses.replace(tiny_settings("prototypical"), train_way=5)
    data = tiny_splits().train
    later = next(iter(building.training_data(settings, data, start=2)))
    for i, episodes in enumerate(building.training_data(settings, data).take(3)):
        same = bool(tf.reduce_all(episodes.support_x == later.support_x))
        assert same == (i == 2)
    assert later.support_x.shape == (2, 5, 16, 16, 1)
