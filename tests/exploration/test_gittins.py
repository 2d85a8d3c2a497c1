import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.trials import play
from tfmeta.exploration.counts import Counts, thompson
from tfmeta.exploration.gittins import gittins, gittins_indices
from tfmeta.tasks.bandits import BernoulliBandits, InformativeBandits


def key(seed=0):
    return tf.constant([seed, 11], tf.int64)


def test_indices_of_a_short_trial_by_hand():
    table = gittins_indices(3)
    # With one pull to go the index is the posterior mean.
    np.testing.assert_allclose(table[0, :2, :2], [[1 / 2, 1 / 3], [2 / 3, 1 / 2]], rtol=1e-6)
    # With two to go one stays after a success: (1/2 + 1/2 * 2/3) / (1 + 1/2) = 5/9, and after one success
    # (2/3 + 2/3 * 3/4) / (1 + 2/3) = 7/10.
    np.testing.assert_allclose([table[1, 0, 0], table[1, 1, 0]], [5 / 9, 7 / 10], rtol=1e-6)
    # With three to go one stops at the first failure: (1/2 + 1/2 * 2/3 + 1/2 * 2/3 * 3/4) / (1 + 1/2 + 1/3) = 13/22
    np.testing.assert_allclose(table[2, 0, 0], 13 / 22, rtol=1e-6)
    assert np.isnan(table[2, 1, 0])
    assert np.isnan(table[1, 1, 1])


def best_ratio(a, b, to_go, discount):
    """The greatest (expected reward) / (expected pulls), both discounted, over all rules when to stop."""
    after = [(s, f) for t in range(1, to_go) for s in range(t + 1) for f in [t - s]]

    def sums(goes_on, s=0, f=0):
        if s + f == to_go or (s + f > 0 and (s, f) not in goes_on):
            return 0.0, 0.0
        p = (a + s + 1) / (a + b + s + f + 2)
        (r1, n1), (r0, n0) = sums(goes_on, s + 1, f), sums(goes_on, s, f + 1)
        return p + discount * (p * r1 + (1 - p) * r0), 1 + discount * (p * n1 + (1 - p) * n0)

    rules = itertools.chain.from_iterable(itertools.combinations(after, n) for n in range(len(after) + 1))
    return max(reward / pulls for reward, pulls in map(sums, rules))


@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_an_index_is_the_best_reward_per_pull_of_all_stopping_rules(discount):
    table = gittins_indices(6, discount)
    for to_go, a, b in [(1, 2, 3), (2, 0, 4), (3, 1, 2), (4, 0, 0), (4, 1, 1), (4, 2, 0)]:
        assert table[to_go - 1, a, b] == pytest.approx(best_ratio(a, b, to_go, discount), abs=2e-4), (to_go, a, b)


def test_many_pulls_to_go_and_a_discount_give_the_published_indices():
    # Gittins, Glazebrook, Weber (2011), the table for Bernoulli rewards, discount 0.9, priors Beta(1 to 4, 1 to 3).
    table = gittins_indices(90, discount=0.9)[84, :4, :3]
    published = [[0.7029, 0.5001, 0.3796], [0.8001, 0.6346, 0.5163], [0.8452, 0.7072, 0.6010], [0.8723, 0.7539, 0.6579]]
    for (a, b), index in np.ndenumerate(published):
        assert a + b > 5 or table[a, b] == pytest.approx(index, abs=4e-4), (a, b)


def test_more_pulls_to_go_are_worth_more_trying():
    table = gittins_indices(30)
    assert np.all(np.diff(table[:, 0, 0]) > 0)
    a, b = np.indices([30, 30])
    known = ~np.isnan(table)
    assert np.all(table[known] >= np.broadcast_to((a + 1) / (a + b + 2), table.shape)[known] - 1e-6)
    assert np.all(np.diff(table, axis=1)[known[:, 1:]] > 0)
    assert np.all(np.diff(table, axis=2)[known[:, :, 1:]] < 0)


def test_what_a_caller_does_to_a_table_stays_with_the_caller():
    gittins_indices(3)[:] = 0.0
    assert gittins_indices(3)[0, 0, 0] == 0.5


def chosen(agent, successes, failures):
    memory = Counts(*(tf.tile(tf.constant([c], tf.float32), [4000, 1]) for c in (successes, failures)))
    return np.bincount(agent.act(memory, tf.zeros([4000, 0]), key())[0], minlength=len(successes)) / 4000


def test_the_agent_looks_its_arms_up():
    table = gittins_indices(6)
    # Of 6 pulls 3 are done. An arm that paid once of two has the same mean as a fresh one, which has more to tell.
    assert table[2, 0, 0] > table[2, 1, 1] > table[2, 0, 1]
    assert chosen(gittins(3, 6), [1, 0, 0], [1, 1, 0]).tolist() == [0, 0, 1]
    # At the last pull only the mean counts: both are 1/2.
    share = chosen(gittins(2, 3), [1, 0], [1, 0])
    assert abs(share[0] - 0.5) < 4 * 0.5 / math.sqrt(4000)


def test_between_whole_counts_the_index_is_interpolated():
    table = gittins_indices(10)
    # Six pulls to go. 1.9 successes of 2 pulls lie nine tenths of the way from (1, 1) to (2, 0).
    assert 0.5 * table[5, 1, 1] + 0.5 * table[5, 2, 0] < table[5, 1, 0] < 0.1 * table[5, 1, 1] + 0.9 * table[5, 2, 0]
    assert chosen(gittins(3, 10), [1.9, 1.0, 0.0], [0.1, 0.0, 1.0]).tolist() == [1, 0, 0]
    assert chosen(gittins(3, 10), [1.5, 1.0, 0.0], [0.5, 0.0, 1.0]).tolist() == [0, 1, 0]


def test_after_the_trial_it_is_greedy():
    # 4 / 5 against 10 / 13, and against 20 / 22
    assert chosen(gittins(2, 3), [3, 9], [0, 2]).tolist() == [1, 0]
    assert chosen(gittins(2, 3), [3, 19], [0, 1]).tolist() == [0, 1]


@pytest.mark.parametrize("n_trials", [1, 5])
def test_it_runs_in_a_graph_that_does_not_know_the_number_of_trials(n_trials):
    agent = gittins(3, 4)

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def rewards(tasks):
        return play(agent, BernoulliBandits(3), tasks, 6, key()).rewards

    tasks = BernoulliBandits(3).sample_tasks(n_trials, key())
    np.testing.assert_array_equal(rewards(tasks), play(agent, BernoulliBandits(3), tasks, 6, key()).rewards)


def test_it_plays_parts_of_a_success():
    environment = InformativeBandits(n_arms=4)
    rewards = play(gittins(4, 8), environment, environment.sample_tasks(50, key()), 8, key()).rewards.numpy()
    # It finds the arm that pays 1 within four pulls, since one of the others can only disappoint, and stays.
    assert np.all(rewards[:, 4:] == 1.0)


def test_it_beats_thompson_sampling_in_a_short_trial():
    environment = BernoulliBandits(5)
    tasks = environment.sample_tasks(4000, key())

    def totals(agent):
        return tf.reduce_sum(play(agent, environment, tasks, 10, key()).rewards, axis=1).numpy()

    difference = totals(gittins(5, 10)) - totals(thompson(5))
    assert difference.mean() > 3 * difference.std() / math.sqrt(len(difference))


@pytest.mark.parametrize("n_pulls", [0, -1, 2.0, True, 201])
def test_a_number_of_pulls_that_there_is_no_table_for_is_refused(n_pulls):
    with pytest.raises(ValueError, match=f"n_pulls must be .*Received: n_pulls={n_pulls}"):
        gittins_indices(n_pulls)
    with pytest.raises(ValueError, match=f"n_pulls must be .*Received: n_pulls={n_pulls}"):
        gittins(3, n_pulls)


@pytest.mark.parametrize("discount", [0, -0.5, 1.1, float("nan"), "1"])
def test_a_discount_outside_0_to_1_is_refused(discount):
    with pytest.raises(ValueError, match="discount must be"):
        gittins_indices(3, discount)


def test_no_arm_is_refused():
    with pytest.raises(ValueError, match="n_arms must be a whole number"):
        gittins(0, 3)
