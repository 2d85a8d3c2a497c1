import dataclasses
import json
import re

import numpy as np
import pytest

import tfmeta
from tests.helpers import ROOT, tiny_settings, tiny_splits
from tfmeta.app import pretrained, runs
from tfmeta.app.presets import PRESETS
from tfmeta.app.regression.presets import REGRESSION
from tfmeta.app.trials.presets import TRIALS
from tfmeta.evaluation import evaluate_agent


@pytest.fixture
def exported(uninterrupted, tmp_path, monkeypatch):
    """A small trained learner, exported; the package's own are out of the way."""
    _, learner, score = uninterrupted("maml")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "weights")
    row = {"settings": tiny_settings("maml").to_dict(), "scores": [score.to_dict()], "command": "tfmeta train ..."}
    card = pretrained.export_pretrained(learner, "small", row, [{"epoch": 0, "loss": 1.0}], tmp_path / "weights")
    return learner, score, card


@pytest.mark.slow
def test_what_was_exported_is_loaded_with_its_card(exported):
    learner, score, card = exported
    assert pretrained.pretrained_names() == ["small"]
    assert pretrained.pretrained_card("small") == card
    assert card.settings == tiny_settings("maml")
    assert card.log == [{"epoch": 0, "loss": 1.0}]
    loaded = tfmeta.load_pretrained("small")
    assert not loaded.compiled
    for mine, theirs in zip(loaded.get_weights(), learner.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    shape = {"n_way": 3, "k_shot": 1, "n_query": 15, "episodes": 10, "seed": score.seed}
    assert tfmeta.evaluate(loaded, tiny_splits().test, **shape) == score


def test_a_changed_file_is_refused(exported):
    path = pretrained.FOLDER / "small.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"must have the hash [0-9a-f]{64} of its card.*Received: [0-9a-f]{64}$"):
        tfmeta.load_pretrained("small")
    path.unlink()
    with pytest.raises(ValueError, match="Received: no file"):
        tfmeta.load_pretrained("small")


def test_an_unknown_name_says_what_there_is(exported):
    with pytest.raises(ValueError, match=re.escape("one of small. Did you mean 'small'? Received: name='smal'")):
        tfmeta.load_pretrained("smal")


def test_a_large_file_is_not_written(exported, monkeypatch, tmp_path):
    learner, _, card = exported
    real = pretrained.files.whole

    class Large:
        st_size = 1_000_001

    monkeypatch.setattr(pretrained.Path, "stat", lambda self, **_: Large())
    with pytest.raises(ValueError, match=r"at most 1000000 bytes\. Received: other with 1000001"):
        pretrained.export_pretrained(learner, "other", card.row, [], tmp_path / "more")
    monkeypatch.undo()
    assert real is pretrained.files.whole
    assert list((tmp_path / "more").iterdir()) == []


def learned(field):
    """Pretrained learners whose settings have this field: "tasks" for curves, "environment" for agents."""
    return [name for name in pretrained.pretrained_names() if field in pretrained.pretrained_card(name).row["settings"]]


CURVES, AGENTS = learned("tasks"), learned("environment")


@pytest.mark.parametrize("name", [name for name in pretrained.pretrained_names() if name not in CURVES + AGENTS])
def test_the_packages_own_weights_are_whole_and_named_after_presets(name):
    card = pretrained.pretrained_card(name)
    wanted = PRESETS[name].settings
    assert (card.settings.method, card.settings.n_way, card.settings.k_shot) == (
        wanted.method, wanted.n_way, wanted.k_shot,
    )  # fmt: skip
    path = pretrained.FOLDER / f"{name}.keras"
    assert path.stat().st_size < 1_000_000
    learner = tfmeta.load_pretrained(name)
    accuracy = card.row["scores"][0]["accuracy"]
    assert 0.5 < accuracy <= 1
    assert len(card.log) == card.settings.epochs
    assert json.loads(json.dumps(card.row)) == card.row
    # Not the score itself, which needs the data: weights of a trained learner, all finite.
    assert all(np.isfinite(weight).all() for weight in learner.get_weights())


@pytest.mark.parametrize("name", CURVES)
def test_learners_of_curves_are_whole_and_score_what_their_card_says(name):
    card = pretrained.pretrained_card(name)
    assert card.settings == REGRESSION[name].settings
    assert (pretrained.FOLDER / f"{name}.keras").stat().st_size < 1_000_000
    assert len(card.log) == card.settings.epochs
    learner = tfmeta.load_pretrained(name)
    last = card.row["scores"][-1]
    if learner.has_inner_loop:
        learner.eval_inner_steps = last["settings"]["inner_steps"]
    few = tfmeta.evaluate(learner, dataclasses.replace(card.settings, test_tasks=50).test_stream())
    assert abs(few.loss - last["loss"]) < 4 * few.interval


@pytest.mark.parametrize("name", AGENTS)
def test_agents_are_whole_and_earn_what_their_card_says(name):
    card = pretrained.pretrained_card(name)
    assert card.settings == TRIALS[name].settings
    assert len(card.log) == card.settings.epochs
    score = card.row["scores"][0]
    few = evaluate_agent(tfmeta.load_pretrained(name), trials=400, seed=score["seed"] + 1)
    assert abs(few.reward - score["reward"]) < 4 * few.standard_error
    assert few.n_episodes == score["n_episodes"]


@pytest.mark.parametrize("name", [name for name in AGENTS if name in ("rl2-bandits-10", "rl2-bandits-25")])
def test_no_agent_earns_more_than_the_exact_optimum(name):
    learner = tfmeta.load_pretrained(name)
    score = evaluate_agent(learner, trials=5000, seed=7)
    optimum = {10: 6.65999, 25: 18.19309}[learner.n_episodes]  # by dynamic programming, see bayes_optimal_reward
    assert score.reward < optimum + 3 * score.standard_error
    assert score.reward > 0.95 * optimum


def test_a_learner_of_curves_is_not_for_the_command_line():
    from typer.testing import CliRunner

    from tfmeta.app import cli

    assert CURVES
    for command in (["evaluate", CURVES[0]], ["plot", CURVES[0], "--out", "pictures"]):
        result = CliRunner().invoke(cli.app, command)
        assert result.exit_code == 2
        assert (
            f"{CURVES[0]} takes curves or plays trials and is used in Python, tfmeta.load_pretrained"
            in result.output.replace("\n", " ")
        )


def test_the_page_names_every_pretrained_learner():
    page = (ROOT / "docs/pretrained.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page or f'"{name}"' in page for name in pretrained.pretrained_names())


@pytest.mark.slow
def test_the_command_judges_a_pretrained_learner(exported, monkeypatch):
    from typer.testing import CliRunner

    from tfmeta.app import cli

    monkeypatch.setattr(runs, "load_data", lambda *_, **__: tiny_splits())
    result = CliRunner().invoke(cli.app, ["evaluate", "small", "--episodes", "10"])
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, str(exported[1]))
