"""The game against an agent: the same task and luck for both, and an end."""

import ipywidgets
import numpy as np
import pytest

from tfmeta.exploration import greedy, random_agent
from tfmeta.notebook import Duel
from tfmeta.tasks import BernoulliBandits, InformativeBandits, TabularMDPs


def test_who_pulls_the_same_arm_gets_the_same(capsys):
    game = Duel(random_agent(3), BernoulliBandits(3), n_pulls=60, seed=1)
    for _ in range(60):
        game.pull(1)
    same = [pays for arms, pays in zip(game.arms, game.rewards, strict=True) if arms[0] == arms[1]]
    assert len(same) > 5
    assert all(mine == theirs for mine, theirs in same)
    assert game.totals == tuple(np.sum(game.rewards, axis=0))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 61
    assert lines[0].startswith("pull  1: you arm 1, ")
    assert "random arm " in lines[0]
    assert lines[-1].startswith("the best arm was ")
    with pytest.raises(ValueError, match="the trial is over after 60 pulls"):
        game.pull(0)


def test_the_agent_learns_from_its_own_pulls_and_the_best_arm_is_named(capsys):
    game = Duel(greedy(5), InformativeBandits(5), n_pulls=12, seed=3)
    for _ in range(12):
        game.pull(4)  # which pays you less than 0.2
    assert game.totals[1] > game.totals[0]
    good = int(np.rint(game.rewards[0][0] / 0.2 * 4)) - 1
    assert capsys.readouterr().out.splitlines()[-1] == f"the best arm was {good}"


def test_buttons_pull_and_end(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *parts: shown.extend(parts))
    monkeypatch.delenv("TFMETA_STATIC", raising=False)
    game = Duel(greedy(2), BernoulliBandits(2), n_pulls=2)
    game.buttons()
    row = shown[0].children
    assert [button.description for button in row] == ["arm 0", "arm 1"]
    assert isinstance(shown[1], ipywidgets.Output)
    row[1].click()
    assert game.arms[0][0] == 1
    row[0].click()
    assert all(button.disabled for button in row)
    monkeypatch.setenv("TFMETA_STATIC", "1")
    capsys.readouterr()
    game.buttons()
    assert capsys.readouterr().out.strip() == "In a running notebook with ipywidgets, buttons appear here."


def test_refusals():
    with pytest.raises(TypeError, match="environment must be a Bandit"):
        Duel(greedy(2), TabularMDPs())
    with pytest.raises(ValueError, match="n_pulls must be"):
        Duel(greedy(2), BernoulliBandits(2), n_pulls=0)
    with pytest.raises(ValueError, match="seed must be"):
        Duel(greedy(2), BernoulliBandits(2), seed=-1)
    with pytest.raises(ValueError, match="actions must be whole numbers from 0 to 1"):
        Duel(greedy(2), BernoulliBandits(2)).pull(2)
