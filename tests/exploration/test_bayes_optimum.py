import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.trials import play
from tfmeta.exploration.bayes_optimum import bayes_optimal, bayes_optimal_reward, n_states
from tfmeta.exploration.counts import (
    epsilon_greedy,
    greedy,
    optimistic_thompson,
    random_agent,
    thompson,
    tuned_ucb1,
    ucb1,
)
from tfmeta.exploration.gittins import gittins
from tfmeta.tasks.bandits import BernoulliBandits, InformativeBandits


def key(seed=0):
    return tf.constant([seed, 13], tf.int64)


def totals(agent, n_arms, n_pulls, n_trials, seed=0):
    environment = BernoulliBandits(n_arms)

    @tf.function
    def rewards():
        tasks = environment.sample_tasks(n_trials, key(2 * seed))
        return tf.reduce_sum(play(agent, environment, tasks, n_pulls, key(2 * seed + 1)).rewards, axis=1)

    return rewards().numpy()


@pytest.mark.parametrize(
    ("n_arms", "n_pulls", "value"),
    [(5, 10, 6.660), (2, 10, 6.022), (3, 20, 13.466), (5, 15, 10.432), (2, 50, 31.997), (10, 10, 6.714)],
)
def test_known_values(n_arms, n_pulls, value):
    assert bayes_optimal_reward(n_arms, n_pulls) == pytest.approx(value, abs=5e-4)


def expectimax(n_arms, n_pulls):
    """Over ordered arms and exact fractions."""

    @functools.cache
    def value(counts, to_go):
        if to_go == 0:
            return Fraction(0)
        options = []
        for arm, (s, f) in enumerate(counts):
            p = Fraction(s + 1, s + f + 2)
            won, lost = ((*counts[:arm], after, *counts[arm + 1 :]) for after in ((s + 1, f), (s, f + 1)))
            options.append(p * (1 + value(won, to_go - 1)) + (1 - p) * value(lost, to_go - 1))
        return max(options)

    return float(value(((0, 0),) * n_arms, n_pulls))


@pytest.mark.parametrize(("n_arms", "n_pulls"), [(1, 1), (1, 6), (2, 2), (2, 7), (3, 5), (4, 4), (5, 3), (7, 2)])
def test_the_value_is_that_of_a_search_without_sorting(n_arms, n_pulls):
    assert bayes_optimal_reward(n_arms, n_pulls) == pytest.approx(expectimax(n_arms, n_pulls), abs=1e-12)


def test_values_by_hand():
    # One arm pays half of its pulls. With two pulls and two arms one stays after a success and leaves after a failure:
    # 1/2 + 1/2 * 2/3 + 1/2 * 1/2.
    assert bayes_optimal_reward(1, 7) == pytest.approx(3.5, abs=1e-12)
    assert bayes_optimal_reward(2, 2) == pytest.approx(13 / 12, abs=1e-12)


@pytest.mark.parametrize(("n_arms", "n_pulls"), [(1, 4), (2, 5), (3, 4), (5, 3)])
def test_states_are_counted_one_by_one(n_arms, n_pulls):
    kinds = [(s, f) for s in range(n_pulls) for f in range(n_pulls - s)]
    ways = itertools.combinations_with_replacement(kinds, n_arms)
    assert n_states(n_arms, n_pulls) == sum(sum(map(sum, way)) < n_pulls for way in ways)


@pytest.mark.slow
@pytest.mark.parametrize(("n_arms", "n_pulls"), [(2, 10), (5, 10), (10, 6)])
def test_the_agent_is_worth_the_value(n_arms, n_pulls):
    won = totals(bayes_optimal(n_arms, n_pulls), n_arms, n_pulls, 20_000)
    assert abs(won.mean() - bayes_optimal_reward(n_arms, n_pulls)) <= 3 * won.std() / math.sqrt(len(won))


@pytest.mark.parametrize(
    "agent",
    [
        random_agent(3), greedy(3), epsilon_greedy(3, 0.1), ucb1(3), tuned_ucb1(3), thompson(3), optimistic_thompson(3),
        gittins(3, 8), bayes_optimal(3, 8),
    ],
    ids=lambda agent: agent.name,
)  # fmt: skip
def test_no_rule_wins_more(agent):
    won = totals(agent, 3, 8, 8000, seed=1)
    assert won.mean() <= bayes_optimal_reward(3, 8) + 3 * won.std() / math.sqrt(len(won))


def chosen(agent, successes, failures):
    counts = agent.begin(4000)._replace(
        successes=tf.tile(tf.constant([successes], tf.float32), [4000, 1]),
        failures=tf.tile(tf.constant([failures], tf.float32), [4000, 1]),
    )
    return np.bincount(agent.act(counts, tf.zeros([4000, 0]), key())[0], minlength=len(successes)) / 4000


def test_what_the_agent_does_by_hand():
    agent = bayes_optimal(3, 3)
    share = chosen(agent, [0, 0, 0], [0, 1, 0])
    assert share[1] == 0
    assert abs(share[0] - 0.5) < 4 * 0.5 / math.sqrt(4000)
    assert chosen(agent, [0, 1, 0], [0, 0, 0]).tolist() == [0, 1, 0]
    # The last pull goes to the highest mean; so does every pull after the trial.
    assert chosen(agent, [1, 0, 0], [0, 1, 0]).tolist() == [1, 0, 0]
    assert chosen(agent, [9, 19, 0], [2, 1, 4]).tolist() == [0, 1, 0]


@pytest.mark.parametrize(("n_arms", "n_pulls"), [(3, 4), (6, 3)])
def test_the_choices_followed_through_every_outcome_have_the_value(n_arms, n_pulls):
    agent = bayes_optimal(n_arms, n_pulls)

    def value(successes, failures, to_go):
        if to_go == 0:
            return 0.0
        memory = agent.begin(1)._replace(
            successes=tf.constant([successes], tf.float32), failures=tf.constant([failures], tf.float32)
        )
        arm = int(agent.act(memory, tf.zeros([1, 0]), key())[0][0])
        p = (successes[arm] + 1) / (successes[arm] + failures[arm] + 2)
        won, lost = ([c + (i == arm) for i, c in enumerate(counts)] for counts in (successes, failures))
        return p * (1 + value(won, failures, to_go - 1)) + (1 - p) * value(successes, lost, to_go - 1)

    assert value([0] * n_arms, [0] * n_arms, n_pulls) == pytest.approx(bayes_optimal_reward(n_arms, n_pulls), abs=1e-9)


def test_permuted_arms_are_worth_the_same():
    def mean_and_error(chances, seed):
        tasks = tf.tile(tf.constant([chances]), [4000, 1])
        rewards = play(bayes_optimal(3, 8), BernoulliBandits(3), tasks, 8, key(seed)).rewards
        total = tf.reduce_sum(rewards, axis=1).numpy()
        return total.mean(), total.std() / math.sqrt(len(total))

    (one, its_error), (other, other_error) = mean_and_error([0.9, 0.5, 0.1], 1), mean_and_error([0.1, 0.9, 0.5], 2)
    assert abs(one - other) <= 4 * math.hypot(its_error, other_error)


@pytest.mark.parametrize("n_trials", [1, 5])
def test_it_runs_in_a_graph_that_does_not_know_the_number_of_trials(n_trials):
    agent = bayes_optimal(3, 4)

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def rewards(tasks):
        return play(agent, BernoulliBandits(3), tasks, 6, key()).rewards

    tasks = BernoulliBandits(3).sample_tasks(n_trials, key())
    np.testing.assert_array_equal(rewards(tasks), play(agent, BernoulliBandits(3), tasks, 6, key()).rewards)


@pytest.mark.parametrize("in_graph", [True, False])
def test_parts_of_a_success_are_refused(in_graph):
    environment = InformativeBandits(n_arms=4)
    tasks = environment.sample_tasks(8, key())

    def rewards():
        return play(bayes_optimal(4, 5), environment, tasks, 5, key()).rewards

    with pytest.raises(tf.errors.InvalidArgumentError, match="rewards must be 0 or 1"):
        tf.function(rewards)() if in_graph else rewards()


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (2.0, 5), (True, 5)])
@pytest.mark.parametrize("function", [bayes_optimal, bayes_optimal_reward, n_states])
def test_sizes_that_are_no_positive_whole_numbers_are_refused(function, size):
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        function(*size)


@pytest.mark.parametrize("size", [(5, 100), (2, 500), (1000, 100), (1, 10_000), (3, 10**9)])
@pytest.mark.parametrize("function", [bayes_optimal, bayes_optimal_reward])
def test_sizes_with_too_many_states_are_refused_with_their_number(function, size):
    with pytest.raises(ValueError, match=rf"these give [\d,]+ or more. Received: n_arms={size[0]}, n_pulls={size[1]}"):
        function(*size)
