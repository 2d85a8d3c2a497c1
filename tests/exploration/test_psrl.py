import math

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.trials import play
from tfmeta.exploration.counts import random_agent
from tfmeta.exploration.psrl import Beliefs, greedy_mdp, mean_mdp, psrl, sampled_mdp
from tfmeta.tasks.tabular_mdps import MDP, TabularMDPs, best_values

both = pytest.mark.parametrize("rule", [psrl, greedy_mdp])


def key(seed=0):
    return tf.constant([seed, 17], tf.int64)


def beliefs(transitions, weights, reward_sums, n_trials):
    """The same beliefs in each trial."""
    tables = [tf.constant([t] * n_trials, tf.float32) for t in (transitions, weights, reward_sums)]
    return Beliefs(*tables, plan=None, place=None, action=None, step=None)


def test_names_of_the_tables():
    assert psrl(2, 2, 2).name == "PSRL"
    assert greedy_mdp(2, 2, 2).name == "greedy"


def test_draws_have_the_moments_of_the_posterior():
    # One state-action pair of two states: Dirichlet(3, 1), and a mean reward from N(4.5 / 3, 1 / 3).
    given = beliefs([[[3.0, 1.0]], [[1.0, 1.0]]], [[3.0], [1.0]], [[4.5], [1.0]], n_trials=20_000)
    drawn = sampled_mdp(given, key())
    to_first, reward = drawn.transitions[:, 0, 0, 0].numpy(), drawn.rewards[:, 0, 0].numpy()
    np.testing.assert_allclose(tf.reduce_sum(drawn.transitions, axis=-1), 1.0, rtol=1e-5)
    assert abs(to_first.mean() - 0.75) < 4 * math.sqrt(3 / 80 / 20_000)
    assert to_first.var() == pytest.approx(3 / 80, rel=0.05)
    assert abs(reward.mean() - 1.5) < 4 * math.sqrt(1 / 3 / 20_000)
    assert reward.var() == pytest.approx(1 / 3, rel=0.05)


def test_the_mean_process_by_hand():
    mean = mean_mdp(beliefs([[[3.0, 1.0]], [[1.0, 1.0]]], [[3.0], [1.0]], [[4.5], [1.0]], n_trials=1), key())
    np.testing.assert_allclose(mean.transitions, [[[[0.75, 0.25]], [[0.5, 0.5]]]])
    np.testing.assert_allclose(mean.rewards, [[[1.5], [1.0]]], atol=1.1e-4)


@both
def test_what_it_remembers_by_hand(rule):
    agent = rule(3, 2, 3)
    memory = agent.begin(1)
    seen, actions = [0, 2, 1, 0], []
    for t, place in enumerate(seen):  # an episode of three steps and the first step of another
        action, memory = agent.act(memory, tf.one_hot([place], 3), key(t))
        actions.append(int(action[0]))
        memory = agent.learn(memory, action, tf.constant([float(t + 1)]), tf.constant([t == 2]))
    transitions, weights, sums = np.ones([3, 2, 3]), np.ones([3, 2]), np.ones([3, 2])
    transitions[0, actions[0], 2] += 1
    transitions[2, actions[1], 1] += 1  # and not from 1 to 0: there an episode ended and another began
    for t, place in enumerate(seen):
        weights[place, actions[t]] += 1
        sums[place, actions[t]] += t + 1
    np.testing.assert_array_equal(memory.transitions[0], transitions)
    np.testing.assert_array_equal(memory.weights[0], weights)
    np.testing.assert_array_equal(memory.reward_sums[0], sums)
    np.testing.assert_allclose(memory.mean_rewards[0], sums / weights, rtol=1e-6)
    assert memory.step.numpy().tolist() == [1]


@both
def test_the_plan_stays_for_an_episode_and_is_made_anew_for_the_next(rule):
    agent = rule(4, 3, 2)
    memory, plans = agent.begin(30), []
    for t in range(4):
        action, memory = agent.act(memory, tf.one_hot([t % 2] * 30, 4), key(t))
        plans.append(memory.plan.numpy())
        np.testing.assert_array_equal(action, memory.plan[:, 1 - t % 2, t % 2])
        memory = agent.learn(memory, action, tf.zeros([30]), tf.fill([30], t % 2 == 1))
    np.testing.assert_array_equal(plans[0], plans[1])
    np.testing.assert_array_equal(plans[2], plans[3])
    assert np.any(plans[1] != plans[2])


def test_trials_begin_their_episodes_each_at_its_own_time():
    agent = psrl(4, 3, 2)
    _, memory = agent.act(agent.begin(2), tf.one_hot([0, 0], 4), key(0))
    memory = agent.learn(memory, memory.action, tf.zeros([2]), tf.constant([True, False]))
    for seed in range(1, 20):
        _, after = agent.act(memory, tf.one_hot([0, 1], 4), key(seed))
        np.testing.assert_array_equal(after.plan[1], memory.plan[1])
    assert after.transitions[0].numpy().sum() == 48  # none seen
    assert after.transitions[1].numpy().sum() == 49


@both
def test_the_first_action_is_any_with_the_same_probability(rule):
    agent = rule(4, 3, 2)
    action, _ = agent.act(agent.begin(9000), tf.one_hot([0] * 9000, 4), key())
    assert np.all(np.abs(np.bincount(action, minlength=3) / 9000 - 1 / 3) < 4 * math.sqrt(2 / 9 / 9000))


@both
def test_whoever_knows_nearly_everything_plays_the_best_policy(rule):
    environment = TabularMDPs(n_states=4, n_actions=3, horizon=3)
    task = environment.sample_tasks(1, key(3))
    agent = rule(4, 3, 3)
    many = 1e6
    memory = agent.begin(1)._replace(
        transitions=many * task.transitions, weights=tf.fill([1, 4, 3], many), reward_sums=many * task.rewards
    )
    _, memory = agent.act(memory, tf.one_hot([0], 4), key())
    np.testing.assert_array_equal(memory.plan[0], best_values(task, 3)[1][:, 0])


def test_one_state_is_a_bandit_and_posterior_sampling_is_thompson_sampling():
    # Of two arms one was pulled once and paid 2, so that its mean is N(1.5, 1/2) and the other's N(1, 1). The first is
    # the better one with probability Phi(0.5 / sqrt(1.5)).
    agent = psrl(1, 2, 1)
    memory = agent.begin(20_000)
    memory = agent.learn(memory, tf.zeros([20_000], tf.int32), tf.fill([20_000], 2.0), tf.fill([20_000], True))
    actions, _ = agent.act(memory, tf.ones([20_000, 1]), key())
    wanted = 0.5 * (1 + math.erf(0.5 / math.sqrt(1.5) / math.sqrt(2)))
    assert abs(np.mean(actions.numpy() == 0) - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 20_000)


def totals(agent, environment, n_trials, n_episodes, seed=0):
    @tf.function
    def rewards():
        tasks = environment.sample_tasks(n_trials, key(seed))
        trial = play(agent, environment, tasks, n_episodes * environment.horizon, key(seed + 1))
        return tf.reduce_sum(trial.rewards, axis=1), n_episodes * environment.best_return(tasks)

    return [t.numpy() for t in rewards()]


@pytest.mark.slow
@both
def test_it_beats_chance_and_nobody_beats_who_knows_the_task(rule):
    environment = TabularMDPs(n_states=4, n_actions=3, horizon=4)
    won, most = totals(rule(4, 3, 4), environment, 1000, 10)
    by_chance, _ = totals(random_agent(3), environment, 1000, 10)
    gain, lost = won - by_chance, most - won
    assert gain.mean() > 3 * gain.std() / math.sqrt(1000)
    assert lost.mean() > -3 * lost.std() / math.sqrt(1000)


@both
def test_permuted_actions_are_worth_the_same(rule):
    environment = TabularMDPs(n_states=3, n_actions=3, horizon=3)
    one = environment.sample_tasks(1, key(5))

    def mean_and_error(order, seed):
        task = MDP(tf.gather(one.transitions, order, axis=2), tf.gather(one.rewards, order, axis=2))
        tasks = MDP(*(tf.repeat(part, 2000, axis=0) for part in task))
        won = tf.reduce_sum(play(rule(3, 3, 3), environment, tasks, 9, key(seed)).rewards, axis=1).numpy()
        return won.mean(), won.std() / math.sqrt(len(won))

    (first, its_error), (other, other_error) = mean_and_error([0, 1, 2], 1), mean_and_error([2, 0, 1], 2)
    assert abs(first - other) <= 4 * math.hypot(its_error, other_error)


@pytest.mark.slow
@both
@pytest.mark.parametrize("n_trials", [1, 5])
def test_it_runs_in_a_graph_that_does_not_know_the_number_of_trials(rule, n_trials):
    environment = TabularMDPs(n_states=3, n_actions=2, horizon=2)

    @tf.function(input_signature=[tf.TensorSpec([None, 3, 2, 3]), tf.TensorSpec([None, 3, 2])])
    def rewards(transitions, means):
        return play(rule(3, 2, 2), environment, MDP(transitions, means), 6, key()).rewards

    tasks = environment.sample_tasks(n_trials, key())
    np.testing.assert_allclose(
        rewards(*tasks), play(rule(3, 2, 2), environment, tasks, 6, key()).rewards, rtol=1e-4, atol=1e-5
    )


@both
@pytest.mark.parametrize("sizes", [(0, 2, 2), (2, 0, 2), (2, 2, 0), (2.0, 2, 2)])
def test_sizes_that_are_no_positive_whole_numbers_are_refused(rule, sizes):
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        rule(*sizes)


@both
@pytest.mark.parametrize("prior_mean", [float("nan"), float("inf"), "1", None])
def test_a_prior_mean_that_is_no_number_is_refused(rule, prior_mean):
    with pytest.raises(ValueError, match="prior_mean must be a finite number"):
        rule(2, 2, 2, prior_mean)
