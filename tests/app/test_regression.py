"""Trainings on regression tasks: a stopped one ends as an uninterrupted one, and bad settings are refused."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from tfmeta.app import cli
from tfmeta.app.regression.presets import REGRESSION
from tfmeta.app.regression.settings import RegressionSettings
from tfmeta.app.task_runs import read_task_settings, train_on_tasks

SMALL = {"k_shot": 3, "n_query": 4, "meta_batch_size": 2, "epochs": 2, "steps_per_epoch": 2, "test_tasks": 4}


def tiny(method="maml", **fields):
    return RegressionSettings(method, **(SMALL | {"hidden": (5,), "inner_steps": 1, "eval_inner_steps": 1} | fields))


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", REGRESSION)
def test_every_preset_trains_in_small(name, tmp_path):
    settings = REGRESSION[name].settings
    options = {
        key: value for key, value in settings.options.items() if key not in ("n_members", "samples", "from_pretrained")
    }
    if settings.method == "ensemble":
        options["n_members"] = 2
    settings = dataclasses.replace(settings, **SMALL, hidden=settings.hidden[-1:] * 2, options=options)
    learner, scores = train_on_tasks(settings, tmp_path / "run", verbose=0)
    assert [score.settings.get("inner_steps") for score in scores] == (
        [0, 1, 5, 10] if learner.has_inner_loop else [None]
    )
    assert all(np.isfinite(score.loss) for score in scores)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "SHA256SUMS", "checkpoints", "log.csv", "model.keras", "score.json", "settings.json",
    }  # fmt: skip
    assert read_task_settings(tmp_path / "run", RegressionSettings) == settings
    loaded = keras.models.load_model(tmp_path / "run/model.keras")
    for mine, theirs in zip(loaded.get_weights(), learner.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert json.loads((tmp_path / "run/score.json").read_text())[-1]["loss"] == scores[-1].loss


def test_a_stopped_training_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    from tfmeta.app import progress

    whole, scores = train_on_tasks(tiny("lstm"), tmp_path / "whole", verbose=0)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(progress, "progress", lambda *_: [Stop()])
    with pytest.raises(KeyboardInterrupt):
        train_on_tasks(tiny("lstm"), tmp_path / "half", verbose=0)
    monkeypatch.undo()
    rest, found = train_on_tasks(tiny("lstm"), tmp_path / "half", resume=True, verbose=0)
    for mine, theirs in zip(rest.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert found == scores
    assert len((tmp_path / "half/log.csv").read_text().splitlines()) == 3


def test_folders_are_not_overwritten_nor_resumed_with_other_settings(tmp_path):
    train_on_tasks(tiny(), tmp_path / "run", verbose=0)
    with pytest.raises(FileExistsError, match="exists and is not overwritten"):
        train_on_tasks(tiny(), tmp_path / "run")
    with pytest.raises(ValueError, match="resumed with its own settings"):
        train_on_tasks(tiny(seed=1), tmp_path / "run", resume=True)
    with pytest.raises(FileNotFoundError, match=r"has a settings.json. Received: .*none"):
        train_on_tasks(tiny(), tmp_path / "none", resume=True)


def test_the_command_line_trains_and_goes_on(tmp_path):
    folder = tmp_path / "waves"
    small = ("--epochs", 1, "--steps-per-epoch", 2, "--meta-batch-size", 2, "--inner-steps", 1)
    done = run("train", "--preset", "maml-sinusoids", "--run-dir", folder, *small)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("mean squared error") == 4
    assert f"run folder: {folder}" in done.stdout.replace("\n", "")
    assert run("train", "--resume", folder).exit_code == 0
    for arguments, words in (
        (("--preset", "maml-sinusoids", "--run-dir", folder), "exists and is not overwritten"),
        (("--preset", "maml-sinusoids", "--n-way", 5), "trained on curves and takes"),
        (("--preset", "maml-sinusoids", "--set", "inner_clip_norm=1"), "Received: --set"),
        (("--resume", folder, "--epochs", 9), "resumed to its own 1 epochs"),
        (("evaluate", folder), "this run has learned curves or trials and is used in Python"),
        (("plot", folder), "this run has learned curves or trials and is used in Python"),
        (("predict", folder, "--support", folder, "--images", folder), "this run has learned curves"),
    ):
        refused = run(*(() if arguments[0] in ("evaluate", "plot", "predict") else ("train",)), *arguments)
        assert refused.exit_code == 2
        assert words in " ".join(refused.output.split())


def test_presets_are_listed_and_described():
    listed = run("presets").stdout.split()
    assert set(REGRESSION) <= set(listed)
    described = run("presets", "lstm-sinusoids").stdout
    assert described.strip() == REGRESSION["lstm-sinusoids"].describe("lstm-sinusoids")
    assert "openreview" in described
    assert all(preset.source.count("https://") == 1 for preset in REGRESSION.values())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "mamml"}, "method must be one of maml,.*Did you mean 'maml'.*Received: method='mamml'"),
        ({"method": "maml", "tasks": "waves"}, "tasks must be one of sinusoids"),
        ({"method": "maml", "epochs": 0}, "epochs must be a whole number of at least 1. Received: epochs=0"),
        ({"method": "maml", "seed": -1}, "seed must be a whole number of at least 0"),
        ({"method": "maml", "learning_rate": 0.0}, "learning_rate must be a positive number"),
        ({"method": "maml", "inner_lr": "fast"}, "inner_lr must be a positive number"),
        ({"method": "lstm", "clip": float("nan")}, "clip must be a positive number. Received: clip=nan"),
        ({"method": "maml", "hidden": (4, 0)}, "hidden must be widths of layers"),
        ({"method": "maml", "hidden": 40}, "hidden must be widths of layers"),
        ({"method": "maml", "options": []}, "options must be a dictionary"),
    ],
)
def test_bad_settings_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        RegressionSettings(**fields)
    with pytest.raises(ValueError, match=r"settings must be among method, .*Received: colour"):
        RegressionSettings.from_dict({"method": "maml", "colour": 1})
