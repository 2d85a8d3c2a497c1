import math

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.trials import play
from tfmeta.exploration.counts import (
    Counts,
    best_arm,
    counted,
    epsilon_greedy,
    greedy,
    optimistic_thompson,
    posterior_draw,
    random_agent,
    thompson,
    tuned_ucb1,
    ucb1,
)
from tfmeta.tasks.bandits import BernoulliBandits, InformativeBandits
from tfmeta.tasks.tabular_mdps import TabularMDPs

RULES = {
    "random": random_agent,
    "greedy": greedy,
    "epsilon-greedy": lambda n_arms: epsilon_greedy(n_arms, 0.1),
    "UCB1 (textbook)": ucb1,
    "UCB1 (tuned)": tuned_ucb1,
    "Thompson": thompson,
    "optimistic Thompson": optimistic_thompson,
}
every_rule = pytest.mark.parametrize("name", RULES)


def key(seed=0):
    return tf.constant([seed, 7], tf.int64)


def shares(agent, successes, failures, n_trials=20_000, seed=0):
    """How often the agent pulls each arm when it remembers these counts."""
    memory = Counts(*(tf.tile(tf.constant([c], tf.float32), [n_trials, 1]) for c in (successes, failures)))
    actions, _ = agent.act(memory, tf.zeros([n_trials, 0]), key(seed))
    return np.bincount(actions, minlength=len(successes)) / n_trials


def near(share, wanted, n_trials=20_000):
    """Within four standard errors of a frequency."""
    return np.all(np.abs(share - wanted) <= 4 * np.sqrt(np.multiply(wanted, 1 - np.array(wanted)) / n_trials) + 1e-9)


@every_rule
def test_each_rule_has_the_name_of_the_tables(name):
    assert RULES[name](4).name == name


@every_rule
def test_the_first_pull_is_of_any_arm_with_the_same_probability(name):
    assert near(shares(RULES[name](4), [0, 0, 0, 0], [0, 0, 0, 0]), [0.25] * 4)


def test_greedy_takes_the_highest_posterior_mean():
    # (2 + 1) / (3 + 2) = 0.6, (1 + 1) / (1 + 2) = 0.667, 1 / 2
    assert shares(greedy(3), [2, 1, 0], [1, 0, 0]).tolist() == [0, 1, 0]
    # 3 / 5 and 6 / 10 are the same mean; an arm that failed twice is worse than one that nobody tried
    assert near(shares(greedy(3), [2, 5, 0], [1, 3, 2]), [0.5, 0.5, 0])
    assert shares(greedy(2), [0, 0], [2, 0]).tolist() == [0, 1]


def test_epsilon_greedy_shares_epsilon_among_all_arms():
    assert near(shares(epsilon_greedy(4, 0.2), [0, 3, 0, 0], [1, 0, 1, 1]), [0.05, 0.85, 0.05, 0.05])
    assert near(shares(epsilon_greedy(4, 1.0), [0, 3, 0, 0], [1, 0, 1, 1]), [0.25] * 4)
    assert shares(epsilon_greedy(4, 0.0), [0, 3, 0, 0], [1, 0, 1, 1]).tolist() == [0, 1, 0, 0]


def test_ucb1_pulls_every_arm_once_first():
    assert near(shares(ucb1(4), [1, 0, 0, 0], [0, 1, 0, 0]), [0, 0, 0.5, 0.5])


def test_ucb1_by_hand():
    # t = 10: 4/6 + sqrt(2 ln 10 / 6) = 1.5427, 1/3 + sqrt(2 ln 10 / 3) = 1.5724, 0 + sqrt(2 ln 10 / 1) = 2.146
    assert 4 / 6 + math.sqrt(2 * math.log(10) / 6) == pytest.approx(1.5427, abs=1e-4)
    assert shares(ucb1(3), [4, 1, 0], [2, 2, 1]).tolist() == [0, 0, 1]
    # t = 9, two arms: 1.5224 against 1.5437; with a constant of 1 it is 1.2718 against 1.1892
    assert shares(ucb1(2), [4, 1], [2, 2]).tolist() == [0, 1]
    assert shares(ucb1(2, constant=1.0), [4, 1], [2, 2]).tolist() == [1, 0]
    assert ucb1(2, constant=1.0).name == "UCB1 (constant 1)"


def test_tuned_ucb1_by_hand():
    # t = 10: 5/8 + sqrt(0.1 ln 10 / 8) = 0.7947, 2/5 + sqrt(0.1 ln 10 / 5) = 0.6146, 1/2 + sqrt(0.1 ln 10 / 2) = 0.8393
    assert shares(tuned_ucb1(3), [4, 1, 0], [2, 2, 0]).tolist() == [0, 0, 1]
    assert shares(tuned_ucb1(3, constant=0.0), [4, 1, 0], [2, 2, 0]).tolist() == [1, 0, 0]
    assert shares(tuned_ucb1(2), [4, 1], [2, 2]).tolist() == [1, 0]


def test_thompson_pulls_an_arm_as_often_as_it_is_the_best():
    # P(Beta(2, 1) > uniform) = 2/3; P(Beta(3, 1) is the greatest of it and two uniform ones) = 3/5
    assert near(shares(thompson(2), [1, 0], [0, 0]), [2 / 3, 1 / 3])
    assert near(shares(thompson(3), [2, 0, 0], [0, 0, 0]), [3 / 5, 1 / 5, 1 / 5])


def test_optimistic_thompson_never_draws_below_the_mean():
    # Beta(2, 1) has the mean 2/3. Drawn below, it counts as 2/3, which a uniform one beats with probability 1/3. Drawn
    # above, at x, it loses with probability 1 - x. In all 4/9 * 1/3 + int_{2/3}^1 2x (1 - x) dx = 4/27 + 7/81 = 19/81.
    assert near(shares(optimistic_thompson(2), [1, 0], [0, 0]), [62 / 81, 19 / 81])


def test_draws_have_the_moments_of_the_posterior():
    counts = Counts(tf.fill([20_000, 1], 3.0), tf.fill([20_000, 1], 1.5))
    drawn = posterior_draw(counts, key()).numpy()[:, 0]
    a, b = 4.0, 2.5
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    assert abs(drawn.mean() - a / (a + b)) < 4 * math.sqrt(variance / 20_000)
    assert drawn.var() == pytest.approx(variance, rel=0.05)


def test_best_arm_breaks_ties_at_random_and_takes_infinity():
    actions = best_arm(
        tf.tile(tf.constant([[1.0, 3.0, 3.0, 2.0], [math.inf, 3.0, math.inf, -math.inf]]), [9000, 1]), key()
    )
    first, second = np.bincount(actions[::2], minlength=4) / 9000, np.bincount(actions[1::2], minlength=4) / 9000
    assert near(first, [0, 0.5, 0.5, 0], 9000)
    assert near(second, [0.5, 0, 0.5, 0], 9000)


def test_counts_by_hand():
    memory = counted(greedy(3).begin(2), tf.constant([1, 2]), tf.constant([1.0, 0.25]), tf.constant([True, True]))
    memory = counted(memory, tf.constant([1, 0]), tf.constant([0.0, 1.0]), tf.constant([True, True]))
    assert memory.successes.numpy().tolist() == [[0, 1, 0], [1, 0, 0.25]]
    assert memory.failures.numpy().tolist() == [[0, 1, 0], [0, 0, 0.75]]
    assert memory.pulls.numpy().tolist() == [[0, 2, 0], [1, 0, 1]]
    assert memory.total.numpy().tolist() == [[2], [2]]
    np.testing.assert_allclose(memory.mean, [[0.5, 0.5, 0.5], [2 / 3, 0.5, 1.25 / 3]])


@pytest.mark.parametrize("reward", [1.5, -0.1, float("nan")])
@pytest.mark.parametrize("in_graph", [True, False])
def test_rewards_outside_0_to_1_are_refused(reward, in_graph):
    learn = tf.function(greedy(2).learn) if in_graph else greedy(2).learn
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 1"):
        learn(greedy(2).begin(1), tf.constant([0]), tf.constant([reward]), tf.constant([True]))


def test_rewards_outside_0_to_1_end_a_trial():
    environment = TabularMDPs(n_states=3, n_actions=2, horizon=2)
    tasks = environment.sample_tasks(50, key())
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 1"):
        tf.function(lambda: play(greedy(2), environment, tasks, 6, key()).rewards)()


def test_a_random_agent_plays_with_any_rewards():
    environment = TabularMDPs(n_states=3, n_actions=2, horizon=2)
    trial = play(random_agent(2), environment, environment.sample_tasks(50, key()), 6, key())
    assert set(trial.actions.numpy().ravel()) == {0, 1}


@every_rule
@pytest.mark.parametrize("n_trials", [1, 6])
def test_rules_run_in_a_graph_that_does_not_know_the_number_of_trials(name, n_trials):
    environment = BernoulliBandits(3)

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def rewards(tasks):
        return play(RULES[name](3), environment, tasks, 5, key()).rewards

    tasks = environment.sample_tasks(n_trials, key())
    in_graph = rewards(tasks).numpy()
    assert in_graph.shape == (n_trials, 5)
    np.testing.assert_array_equal(in_graph, play(RULES[name](3), environment, tasks, 5, key()).rewards)


@every_rule
def test_parts_of_a_success_are_played_with(name):
    environment = InformativeBandits(n_arms=4)
    trial = play(RULES[name](4), environment, environment.sample_tasks(8, key()), 6, key())
    np.testing.assert_array_less(trial.rewards, 1.001)


@every_rule
def test_permuted_arms_are_worth_the_same(name):
    def mean_and_error(chances, seed):
        tasks = tf.tile(tf.constant([chances]), [4000, 1])
        total = tf.reduce_sum(play(RULES[name](3), BernoulliBandits(3), tasks, 8, key(seed)).rewards, axis=1).numpy()
        return total.mean(), total.std() / math.sqrt(len(total))

    (one, its_error), (other, other_error) = mean_and_error([0.9, 0.5, 0.1], 1), mean_and_error([0.1, 0.9, 0.5], 2)
    assert abs(one - other) <= 4 * math.hypot(its_error, other_error)


@every_rule
def test_no_arm_is_refused(name):
    with pytest.raises(ValueError, match=r"n_arms must be a whole number of at least 1\. Received: n_arms=0"):
        RULES[name](0)


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, float("nan"), "0.1", None])
def test_an_epsilon_that_is_no_probability_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon must be"):
        epsilon_greedy(3, epsilon)


@pytest.mark.parametrize("rule", [ucb1, tuned_ucb1])
@pytest.mark.parametrize("constant", [-1.0, float("inf"), "2"])
def test_a_constant_below_0_is_refused(rule, constant):
    with pytest.raises(ValueError, match="constant must be a number of at least 0"):
        rule(3, constant)
