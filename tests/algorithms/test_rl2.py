"""RL^2: what its policy reads, what its memory is, what it learns from, and limits with known answers."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.core.actions import Box
from tfmeta.core.trials import Agent, play
from tfmeta.evaluation import evaluate_agent
from tfmeta.networks import recurrent_policy
from tfmeta.tasks import BernoulliBandits, TabularMDPs, task_stream

KEY = tf.constant([1, 2])
ARMS = BernoulliBandits(3)


def learner(environment=ARMS, *, units=8, compiled=True, **options):
    keras.utils.set_random_seed(0)
    found = tfmeta.RL2(recurrent_policy(environment, units=units), environment, **{"n_episodes": 4} | options)
    if compiled:
        found.compile(optimizer=keras.optimizers.Adam(0.01))
    return found


def spread(one, scale=3.0):
    """Weights that make choices depend on what happened, as training does."""
    rng = np.random.default_rng(0)
    one.set_weights([w + scale * rng.normal(size=w.shape) / np.sqrt(w.shape[0]) for w in one.get_weights()])
    return one


def tasks(environment=ARMS, n=40, seed=0):
    return task_stream(environment, meta_batch_size=n, seed=seed)


# -- what the policy reads ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("environment", [ARMS, TabularMDPs(3, 2, 2)])
def test_it_reads_the_observation_and_the_last_action_reward_and_end(environment):
    one = spread(learner(environment))
    drawn = environment.sample_tasks(6, KEY)
    trial = play(one.agent(), environment, drawn, 8, KEY, keep=lambda memory: memory.seen)
    seen, n = trial.kept.numpy(), environment.observation_size
    np.testing.assert_array_equal(seen[:, 0, n:], np.zeros((6, environment.actions.n + 2)))
    np.testing.assert_array_equal(seen[:, 1:, n:-2].argmax(axis=-1), trial.actions[:, :-1])
    np.testing.assert_array_equal(seen[:, 1:, -2], trial.rewards[:, :-1])
    np.testing.assert_array_equal(seen[:, 1:, -1], trial.dones[:, :-1])
    if n:
        np.testing.assert_array_equal(seen[:, ::2, :n], np.broadcast_to(np.eye(n)[0], (6, 4, n)))  # starts anew


def test_the_state_lives_through_the_trial_and_begins_at_zero():
    one = spread(learner())
    trial = play(one.agent(), ARMS, ARMS.sample_tasks(6, KEY), 5, KEY, keep=lambda m: (m.seen, m.states[0], m.value))
    seen, states, values = trial.kept
    *_, after = one.policy([seen, tf.zeros([6, 8])])
    np.testing.assert_allclose(states[:, -1], after, atol=1e-5)
    assert one.value_scale == pytest.approx(1 + 0.99 + 0.99**2 + 0.99**3)  # of the four steps of its own trials
    np.testing.assert_allclose(values, one.value_scale * one.policy([seen, tf.zeros([6, 8])])[1][..., 0], atol=1e-4)
    *_, alone = one.policy([seen[:, -1:], tf.zeros([6, 8])])
    assert np.abs(alone - after).max() > 0.01


def test_probabilities_of_play_are_those_of_learning():
    one = spread(learner())
    trial = one.play(ARMS.sample_tasks(6, KEY), KEY, keep=lambda memory: memory[2:])
    seen, log_probs, values = trial.kept
    found = one.losses_of(seen, trial.actions, log_probs, tf.ones_like(values), values)
    assert found["surrogate"].numpy() == pytest.approx(1.0, abs=1e-5)  # ratios of 1 times advantages of 1
    assert found["value_loss"].numpy() == pytest.approx(0.0, abs=1e-8)


def test_the_first_step_is_the_policy_gradient():
    one = spread(learner(entropy_weight=0.0, value_weight=0.0), scale=1.0)
    trial = one.play(ARMS.sample_tasks(20, KEY), KEY, keep=lambda memory: memory[2:])
    seen, log_probs, values = trial.kept
    advantages = tf.random.stateless_normal(values.shape, KEY)
    weights = one.policy.trainable_variables
    with tf.GradientTape() as tape:
        loss = one.losses_of(seen, trial.actions, log_probs, advantages, values)["loss"]
    found = tape.gradient(loss, weights)
    with tf.GradientTape() as tape:
        outputs, *_ = one.policy([seen, tf.zeros([20, 8])])
        mine = tf.gather(tf.nn.log_softmax(outputs), trial.actions, batch_dims=2)
        plain = -tf.reduce_mean(mine * advantages)
    for weight, a, b in zip(weights, found, tape.gradient(plain, weights), strict=True):
        np.testing.assert_allclose(a, tf.zeros(weight.shape) if b is None else b, atol=1e-5)


# -- limits ------------------------------------------------------------------------------------------------------------
def forgetful(agent, *, only_states=False):
    """An agent whose memory begins anew at every pull; or its recurrent state alone."""

    def learn(memory, actions, rewards, dones):
        kept = agent.learn(memory, actions, rewards, dones)
        fresh = agent.begin(tf.shape(rewards)[0])
        return kept._replace(states=fresh.states) if only_states else fresh

    return agent._replace(learn=learn)


def arm_shares(agent, means, n_steps=5, n=20_000):
    trial = play(agent, ARMS, tf.repeat(tf.constant([means]), n, axis=0), n_steps, KEY)
    return np.stack([np.bincount(a, minlength=3) / n for a in trial.actions.numpy().T]), trial.rewards.numpy()


@pytest.mark.slow
def test_with_everything_forgotten_every_pull_is_like_the_first():
    one = spread(learner())
    shares, rewards = arm_shares(forgetful(one.agent()), [0.1, 0.6, 0.9])
    first = tf.nn.softmax(one.policy([tf.zeros([1, 1, 5]), tf.zeros([1, 8])])[0][0, 0])
    error = np.sqrt(0.25 / 20_000)
    assert np.abs(shares - first).max() < 5 * error
    assert np.abs(rewards.mean(axis=0) - np.sum(first * [0.1, 0.6, 0.9])).max() < 5 * error
    remembered, _ = arm_shares(one.agent(), [0.1, 0.6, 0.9])
    assert np.abs(remembered[1:] - first).max() > 20 * error
    partly, _ = arm_shares(forgetful(one.agent(), only_states=True), [0.1, 0.6, 0.9])
    assert np.abs(partly[1:] - first).max() > 20 * error  # one step of memory is left


@pytest.mark.slow
def test_with_everything_forgotten_the_mean_reward_of_uniform_arms_is_a_half():
    score = evaluate_agent(forgetful(spread(learner()).agent()), ARMS, n_episodes=6, trials=5000)
    assert np.abs(score.per_step - 0.5).max() < 4 * score.per_step_error.max()


def test_one_arm_pays_its_probability():
    one = learner(BernoulliBandits(1), n_episodes=5)
    drawn = BernoulliBandits(1).sample_tasks(20_000, KEY)
    rewards = one.play(drawn, KEY).rewards.numpy()
    assert np.corrcoef(rewards.sum(axis=1), drawn[:, 0])[0, 1] > 0.7
    assert np.abs((rewards - drawn.numpy()).mean(axis=0)).max() < 4 * np.sqrt(1 / 6 / 20_000)


@pytest.mark.slow
def test_permuted_arms_give_the_same_distribution_of_rewards_to_a_trained_agent():
    one = learner(n_minibatches=2, units=16)
    one.fit(tasks(n=200), steps_per_epoch=15, verbose=0)

    @dataclasses.dataclass(frozen=True)
    class Permuted(BernoulliBandits):
        def step(self, tasks, state, actions, key):
            return super().step(tf.gather(tasks, [2, 0, 1], axis=1), state, actions, key)

    found = evaluate_agent(one, trials=10_000)
    other = evaluate_agent(one, Permuted(3), trials=10_000, seed=5)
    assert abs(found.reward - other.reward) < 4 * np.hypot(found.standard_error, other.standard_error)
    error = np.hypot(found.per_step_error, other.per_step_error)
    assert (np.abs(found.per_step - other.per_step) < 5 * error).all()


def test_returns_and_advantages_run_across_the_ends_of_episodes():
    one = spread(learner(n_episodes=5, discount=0.9, decay=0.7))
    trial = one.play(ARMS.sample_tasks(6, KEY), KEY, keep=lambda memory: memory[2:])
    assert trial.dones.numpy().all()
    values, rewards = trial.kept[2].numpy(), trial.rewards.numpy()
    slow, later = np.zeros((6, 5)), np.zeros(6)
    for t in reversed(range(5)):
        after = values[:, t + 1] if t < 4 else 0
        later = rewards[:, t] + 0.9 * after - values[:, t] + 0.9 * 0.7 * later
        slow[:, t] = later
    advantages, returns = one.targets_of(trial.rewards, trial.kept[2])
    to_go = [sum(0.9 ** (k - t) * rewards[:, k] for k in range(t, 5)) for t in range(5)]
    np.testing.assert_allclose(returns, np.stack(to_go, axis=1), atol=1e-5)
    np.testing.assert_allclose(advantages, (slow - slow.mean()) / slow.std(), atol=1e-5)


@pytest.mark.slow
def test_vectors_can_be_chosen():
    @dataclasses.dataclass(frozen=True)
    class Target(BernoulliBandits):
        """The reward is minus the squared distance to a point that is the same in all tasks."""

        n_arms: int = 2
        actions = Box(2, low=-2.0, high=2.0)

        def step(self, tasks, state, actions, key):
            return self._answer(-tf.reduce_sum((self.actions.inside(actions) - [1.0, -0.5]) ** 2, axis=1))

    one = learner(Target(), n_episodes=2, entropy_weight=0.0)
    before = evaluate_agent(one, trials=500).reward
    one.fit(tasks(Target(), 200), steps_per_epoch=30, verbose=0)
    assert evaluate_agent(one, trials=500).reward > 0.5 * before  # both negative
    assert evaluate_agent(one, trials=50).distinct is None


# -- Keras -------------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_training_earns_more_and_reports_it():
    one = learner(BernoulliBandits(2), n_episodes=5, units=16)
    history = one.fit(tasks(BernoulliBandits(2), 200), steps_per_epoch=10, epochs=3, verbose=0).history
    assert set(history) == {"reward", "entropy", "value_loss"}
    assert history["reward"][-1] > history["reward"][0] + 0.1
    assert history["entropy"][-1] < history["entropy"][0]


@pytest.mark.slow
def test_a_saved_learner_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole = learner()
    whole.fit(tasks(), steps_per_epoch=3, epochs=4, verbose=0)
    half = learner()
    half.fit(tasks(), steps_per_epoch=3, epochs=2, verbose=0)
    half.save(tmp_path / "half.keras")
    rest = keras.models.load_model(tmp_path / "half.keras")
    assert (rest.environment, rest.n_episodes, rest.label) == (ARMS, 4, "RL^2")
    rest.fit(tasks(), steps_per_epoch=3, epochs=2, verbose=0)
    for mine, theirs in zip(rest.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.slow
def test_an_epoch_of_a_round_is_played_anew_and_a_seed_is_one_training():
    first, again, other = learner(), learner(), learner(seed=1)
    for one in (first, again, other):
        one.fit(tasks(), steps_per_epoch=2, verbose=0)
    np.testing.assert_array_equal(first.get_weights()[0], again.get_weights()[0])
    assert (first.get_weights()[0] != other.get_weights()[0]).any()


@pytest.mark.slow
def test_an_lstm_with_two_states_is_a_policy():
    seen, h, c = keras.Input((None, 5)), keras.Input((6,)), keras.Input((6,))
    found, *states = keras.layers.LSTM(6, return_sequences=True, return_state=True, use_cudnn=False)(
        seen, initial_state=[h, c]
    )
    policy = keras.Model([seen, h, c], [keras.layers.Dense(3)(found), keras.layers.Dense(1)(found), *states])
    one = tfmeta.RL2(policy, ARMS, n_episodes=3)
    one.compile("adam")
    before = one.get_weights()
    one.fit(tasks(), steps_per_epoch=1, verbose=0)
    assert all((a != b).any() for a, b in zip(before, one.get_weights(), strict=True))


def test_the_weight_of_the_entropy_may_follow_a_schedule(tmp_path):
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)
    one, fixed = learner(entropy_weight=schedule), learner(entropy_weight=1.0)
    trial = one.play(ARMS.sample_tasks(8, KEY), KEY, keep=lambda memory: memory[2:])
    data = (trial.kept[0], trial.actions, trial.kept[1], trial.rewards, trial.kept[2])
    assert one.losses_of(*data)["loss"] == fixed.losses_of(*data)["loss"]
    one.optimizer.iterations.assign(10)
    assert one.losses_of(*data)["loss"] == learner(entropy_weight=0.0).losses_of(*data)["loss"]
    one.save(tmp_path / "one.keras")
    assert keras.models.load_model(tmp_path / "one.keras").entropy_weight(5) == 0.5


@pytest.mark.slow
def test_one_meta_batch_and_validation_data():
    one = learner()
    drawn = ARMS.sample_tasks(8, KEY)
    history = one.fit(drawn, validation_data=drawn, epochs=2, verbose=0).history
    assert len(history["val_reward"]) == 2
    assert 0 < one.evaluate(drawn, verbose=0, return_dict=True)["reward"] < 4


def test_the_greedy_agent_takes_the_most_probable_arm():
    one = spread(learner())
    trial = play(one.agent(greedy=True), ARMS, ARMS.sample_tasks(50, KEY), 1, KEY)
    first = one.policy([tf.zeros([1, 1, 5]), tf.zeros([1, 8])])[0][0, 0].numpy().argmax()
    assert set(trial.actions.numpy().ravel()) == {first}


# -- refusals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_episodes": 0}, "n_episodes must be a whole number of at least 1"),
        ({"n_epochs": 0}, "n_epochs must be"),
        ({"n_minibatches": 1.5}, "n_minibatches must be"),
        ({"discount": 1.01}, "discount must be a number from 0 to 1"),
        ({"decay": -0.1}, "decay must be a number from 0 to 1"),
        ({"clip": 0}, "clip must be a number above 0"),
        ({"entropy_weight": -1}, "entropy_weight must be"),
        ({"value_weight": float("nan")}, "value_weight must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        learner(**options)


def test_a_policy_without_a_recurrent_state_or_of_other_sizes():
    plain = keras.Sequential([keras.Input((None, 5)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="policy must have a recurrent state"):
        tfmeta.RL2(plain, ARMS)
    with pytest.raises(ValueError, match=r"policy must have sequences of shape \(None, None, 5\)"):
        tfmeta.RL2(recurrent_policy(BernoulliBandits(4)), ARMS)
    with pytest.raises(TypeError, match="policy must be a functional Keras model"):
        tfmeta.RL2("gru", ARMS)
    with pytest.raises(TypeError, match="environment must be an Environment"):
        tfmeta.RL2(recurrent_policy(ARMS), "bandits")
    with pytest.raises(ValueError, match="units must be"):
        recurrent_policy(ARMS, units=0)
    with pytest.raises(TypeError, match="environment must be an Environment"):
        recurrent_policy(5)


@pytest.mark.parametrize("wrong", [tf.zeros([4, 2]), tf.zeros([4, 3], tf.int32), tf.zeros([0, 3]), "tasks", None, 3.0])
def test_data_that_are_no_tasks(wrong):
    with pytest.raises(ValueError, match=r"x must be a dataset of tasks: .*float32\[None, 3\]"):
        learner().fit(wrong, verbose=0)


def test_datasets_that_are_no_tasks_or_have_no_end():
    one = learner()
    with pytest.raises(ValueError, match="x must be a dataset of tasks"):
        one.fit(tfmeta.datasets.sinusoid_episodes(k_shot=1, n_query=1, meta_batch_size=2, seed=0), steps_per_epoch=1)
    for call in (one.fit, one.evaluate):
        with pytest.raises(ValueError, match="x is an endless stream"):
            call(tasks())
    with pytest.raises(ValueError, match="n_minibatches must divide the number of tasks of a meta-batch, 6"):
        one.fit(tasks(n=6), steps_per_epoch=1, verbose=0)
    with pytest.raises(ValueError, match="compile takes no loss"):
        one.compile("adam", loss="mse")


def test_agents_are_judged_where_they_can_play():
    one = learner()
    with pytest.raises(ValueError, match="environment must have the learner's own actions"):
        evaluate_agent(one, BernoulliBandits(4))
    with pytest.raises(TypeError, match="agent must be an Agent or a learner"):
        evaluate_agent("thompson", ARMS)
    silent = Agent(lambda n: (), lambda m, o, k: (tf.zeros([tf.shape(o)[0]], tf.int32), m), lambda m, *_: m)
    with pytest.raises(ValueError, match="n_episodes must be given"):
        evaluate_agent(silent, ARMS)
    with pytest.raises(TypeError, match="environment must be an Environment"):
        evaluate_agent(silent, n_episodes=2)
    with pytest.raises(ValueError, match="greedy must be True or False"):
        one.agent(greedy="no")
