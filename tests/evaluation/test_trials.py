"""Scores of agents: means, standard errors, regret and tried arms against slow sums, and the same tasks for all."""

import dataclasses
import json
import math

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.trials import Agent, fold_in, play
from tfmeta.evaluation import TrialScore, evaluate_agent
from tfmeta.evaluation.pairs import paired_difference
from tfmeta.tasks import BernoulliBandits, InformativeBandits, TabularMDPs


def always(arm):
    """An agent that pulls one arm."""
    return Agent(lambda n: (), lambda m, o, k: (tf.fill([tf.shape(o)[0]], arm), m), lambda m, *_: m, f"arm {arm}")


def in_turn(n):
    """An agent that takes the arms one after the other."""

    def act(memory, observation, key):
        return memory % n, memory

    return Agent(lambda size: tf.zeros([size], tf.int32), act, lambda m, *_: m + 1, "in turn")


def test_a_score_is_the_mean_of_the_trials_that_one_can_play_oneself():
    environment, base = BernoulliBandits(3), tf.constant([30_000, 0], tf.int64)
    score = evaluate_agent(in_turn(3), environment, n_episodes=4, trials=3000)
    rewards, best = [], []
    for i, n in enumerate((2500, 500)):  # as many as are played at once
        key = fold_in(base, i)
        tasks = environment.sample_tasks(n, fold_in(key, 0))
        rewards.append(play(in_turn(3), environment, tasks, 4, fold_in(key, 1)).rewards.numpy())
        best.append(tasks.numpy().max(axis=1))
    rewards, best = np.concatenate(rewards), np.concatenate(best)
    sums = rewards.sum(axis=1)
    assert score.reward == pytest.approx(sums.mean())
    assert score.standard_error == pytest.approx(sums.std(ddof=1) / math.sqrt(3000))
    np.testing.assert_allclose(score.per_step, rewards.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(score.per_step_error, rewards.std(axis=0, ddof=1) / math.sqrt(3000), rtol=1e-4)
    regret = [(k + 1) * best.mean() - rewards[:, : k + 1].sum() / 3000 for k in range(4)]
    np.testing.assert_allclose(score.regret, regret, rtol=1e-4)
    np.testing.assert_array_equal(score.distinct, [1, 2, 3, 3])
    np.testing.assert_array_equal(score.sums, sums)


def test_what_is_known_of_simple_agents():
    score = evaluate_agent(always(0), BernoulliBandits(2), n_episodes=5, trials=5000)
    assert abs(score.reward - 2.5) < 4 * score.standard_error
    assert score.regret[-1] == pytest.approx(5 * (2 / 3 - 0.5), abs=0.1)  # the better of two uniform arms has 2/3
    np.testing.assert_array_equal(score.distinct, np.ones(5))
    told = evaluate_agent(always(10), InformativeBandits(), n_episodes=3, trials=500)
    assert told.reward == pytest.approx(3 * 0.02 * 5.5, abs=0.02)
    mdp = evaluate_agent(in_turn(2), TabularMDPs(3, 2, 4), n_episodes=2, trials=300)
    assert len(mdp.per_step) == 8
    assert len(mdp.regret) == 2
    assert mdp.regret[1] > mdp.regret[0] > 0


def test_all_agents_meet_the_same_tasks_and_are_compared_in_pairs():
    first, second = (evaluate_agent(always(arm), BernoulliBandits(2), n_episodes=20, trials=2000) for arm in (0, 1))
    assert abs(np.corrcoef(first.sums, second.sums)[0, 1]) < 0.1  # two arms of one task have nothing in common
    again = evaluate_agent(always(0), BernoulliBandits(2), n_episodes=20, trials=2000)
    np.testing.assert_array_equal(first.sums, again.sums)
    difference = paired_difference(first.sums, second.sums)
    assert abs(difference.mean) < 2 * difference.interval
    other = evaluate_agent(always(0), BernoulliBandits(2), n_episodes=20, trials=2000, seed=1)
    assert (first.sums != other.sums).any()


def test_the_line_and_the_dictionary_say_all():
    score = evaluate_agent(always(0), BernoulliBandits(2), n_episodes=1, trials=1)
    assert str(score).startswith("reward ")
    assert "(arm 0, BernoulliBandits(n_arms=2), 1 episode a trial, 1 trial, regret " in str(score)
    assert math.isnan(score.standard_error)
    score = evaluate_agent(in_turn(2), TabularMDPs(3, 2, 4), n_episodes=2, trials=30)
    assert "2 episodes of 4 steps a trial, 30 trials" in str(score)
    fields = json.loads(json.dumps(score.to_dict()))
    assert "sums" not in fields
    back = TrialScore(**fields)
    assert back == score
    np.testing.assert_allclose(back.regret, score.regret)


@dataclasses.dataclass(frozen=True)
class Unknown(BernoulliBandits):
    """Bandits of which nobody knows the best."""

    def best_return(self, tasks):
        return None


def test_where_the_best_is_not_known_there_is_no_regret():
    score = evaluate_agent(always(0), Unknown(2), n_episodes=2, trials=10)
    assert score.regret is None
    assert "regret" not in str(score)


@pytest.mark.parametrize("name", ["n_episodes", "trials"])
@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True])
def test_numbers_are_counted(name, wrong):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1"):
        evaluate_agent(always(0), BernoulliBandits(2), **({"n_episodes": 2, "trials": 2} | {name: wrong}))
