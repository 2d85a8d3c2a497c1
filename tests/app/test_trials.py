"""Trainings of agents on the command line: presets in small, resume, curricula, scores, pictures, refusals."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from tfmeta.app import cli
from tfmeta.app.task_runs import read_task_settings, train_on_tasks
from tfmeta.app.trials.presets import TRIALS
from tfmeta.app.trials.settings import TrialSettings

SMALL = {"meta_batch_size": 8, "epochs": 2, "steps_per_epoch": 1, "units": 4, "test_trials": 20}


def tiny(**fields):
    return TrialSettings(**(SMALL | {"n_episodes": 3} | fields))


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A finished run on small bandits."""
    folder = tmp_path_factory.mktemp("trials") / "run"
    result = run(
        "train", "--method", "rl2", "--dataset", "bandits", "--epochs", 2, "--steps-per-epoch", 1,
        "--meta-batch-size", 8,
        "--set", "n_episodes=3", "--set", "units=4", "--set", "n_arms=3", "--set", "test_trials=20", "--set",
        "discount=0.9", "--run-dir", folder,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_the_command_line_sets_all(ended):
    folder, output = ended
    assert "reward " in output.splitlines()[0]  # of the first epoch
    assert "standard error" in output
    assert f"run folder: {folder}" in output
    settings = read_task_settings(folder, TrialSettings)
    assert settings == tiny(environment_options={"n_arms": 3}, options={"discount": 0.9})
    learner = keras.models.load_model(folder / "model.keras")
    assert (learner.discount, learner.n_episodes, learner.environment.n_arms) == (0.9, 3, 3)
    assert json.loads((folder / "score.json").read_text())[0]["trials"] == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIALS)
def test_every_preset_trains_in_small(name, tmp_path):
    settings = dataclasses.replace(TRIALS[name].settings, **SMALL, start=None)
    learner, (score,) = train_on_tasks(settings, tmp_path / "run", verbose=0)
    assert np.isfinite(score.reward)
    assert (score.n_episodes, score.trials) == (settings.n_episodes, 20)
    assert learner.environment == settings.make_environment()
    assert TRIALS[name].source.count("https://") == 1
    assert TRIALS[name].describe(name).startswith(f"{name}\n  settings:   method=rl2, environment=")


@pytest.mark.slow
def test_a_stopped_training_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    from tfmeta.app import progress

    whole, scores = train_on_tasks(tiny(), tmp_path / "whole", verbose=0)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(progress, "progress", lambda *_: [Stop()])
    with pytest.raises(KeyboardInterrupt):
        train_on_tasks(tiny(), tmp_path / "half", verbose=0)
    monkeypatch.undo()
    result = run("train", "--resume", tmp_path / "half")
    assert result.exit_code == 0, result.output
    rest = keras.models.load_model(tmp_path / "half/model.keras")
    for mine, theirs in zip(rest.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert json.loads((tmp_path / "half/score.json").read_text())[0]["reward"] == scores[0].reward


def test_a_training_begins_with_the_weights_of_a_shorter_one(ended):
    folder, _ = ended
    fields = {"environment_options": {"n_arms": 3}, "n_episodes": 5, "start": str(folder)}
    learner = tiny(**fields).build()
    for mine, theirs in zip(
        learner.get_weights(), keras.models.load_model(folder / "model.keras").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="start must have the same architecture"):
        tiny(**(fields | {"units": 5})).build()
    with pytest.raises(ValueError, match="start must be a finished run folder or a pretrained agent"):
        tiny(start="x").build()


@pytest.mark.slow
def test_a_run_is_scored_and_drawn(ended, tmp_path):
    folder, _ = ended
    result = run("evaluate", folder, "--trials", 50, "--trial-episodes", 7)
    assert result.exit_code == 0, result.output
    assert "7 episodes a trial, 50 trials" in result.output
    result = run("plot", folder, "--out", tmp_path / "pictures")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"reward.png", "regret.png", "tried.png"}
    assert run("plot", folder, "--out", tmp_path / "pictures").exit_code == 2
    assert run("plot", folder, "--out", tmp_path / "pictures", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--method", "rl2", "--n-way", 5), "takes --dataset, --epochs"),
        (
            ("train", "--method", "rl2", "--dataset", "omniglot"),
            "environment must be one of bandits, informative-bandits",
        ),
        (("train", "--method", "rl2", "--dataset", "bandit"), "Did you mean 'bandits'?"),
        (("train", "--method", "rl2", "--set", "arms=5"), "options must be among"),
        (("train", "--method", "rl2", "--set", "n_arms"), "--set must be NAME=VALUE. Received: 'n_arms'"),
        (("train", "--method", "rl2", "--set", "n_episodes=0"), "n_episodes must be a whole number of at least 1"),
        (("train", "--method", "rl2", "--distribute", "devices"), "Received: --distribute"),
        (("train", "--preset", "rl2-bandits-10", "--dataset", "mdps"), "rl2-bandits-10 plays trials and takes"),
        (("evaluate", "maml-quickstart", "--trials", 5), "trials are played by agents, and maml-quickstart is none"),
        (("plot", "maml-quickstart", "--out", "x", "--trial-episodes", 5), "trials are played by agents"),
    ],
)
def test_refusals_are_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("evaluate", ("--n-way", 5)),
        ("evaluate", ("--episodes", 5)),
        ("plot", ("--grayscale",)),
        ("plot", ("--k-shot", 1)),
    ],
)
def test_options_of_images_are_not_for_agents(ended, command, option):
    result = run(command, ended[0], *option)
    assert result.exit_code == 2
    assert "plays trials and takes --" in result.output
    assert f"Received: {option[0]}" in result.output


def test_an_agent_predicts_no_images(ended):
    result = run("predict", ended[0], "a.png", "b.png")
    assert result.exit_code == 2


@pytest.mark.parametrize(
    "fields",
    [{"n_episodes": 0}, {"learning_rate": -1.0}, {"units": 2.5}, {"seed": -1}, {"options": []}, {"start": 5},
     {"environment": "mazes"}, {"method": "a2c"}, {"entropy_weight": -0.1}],
)  # fmt: skip
def test_bad_settings(fields):
    with pytest.raises(ValueError, match="Received: "):
        tiny(**fields)


def test_settings_are_read_back_and_unknown_ones_refused():
    assert TrialSettings.from_dict(tiny().to_dict()) == tiny()
    with pytest.raises(ValueError, match="settings must be among"):
        TrialSettings.from_dict({"arms": 5})
