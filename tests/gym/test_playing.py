"""Our agents in environments of Gymnasium: what they are told, what comes back, and what is refused before any step."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from tfmeta.core.actions import Box, Discrete
from tfmeta.core.trials import Agent
from tfmeta.gym import as_gymnasium, play_gymnasium
from tfmeta.tasks.bandits import BernoulliBandits
from tfmeta.tasks.tabular_mdps import TabularMDPs


def uniform(n):
    """Any action, by the key."""

    def act(memory, observation, key):
        return tf.random.stateless_uniform([tf.shape(observation)[0]], key, maxval=n, dtype=tf.int32), memory

    return Agent(lambda n_trials: (), act, lambda memory, *_: memory, "uniform")


def balancing():
    """Pushes a cart to where its pole leans."""

    def act(memory, observation, key):
        return tf.cast(observation[:, 2] + 0.5 * observation[:, 3] > 0, tf.int32), memory

    return Agent(lambda n_trials: (), act, lambda memory, *_: memory)


def sticking(n):
    """Tries arm after arm until one pays, and keeps it: the memory is the present arm."""

    def learn(arm, actions, rewards, dones):
        return tf.where((rewards > 0) | ~dones, arm, (arm + 1) % n)

    return Agent(lambda n_trials: tf.zeros([n_trials], tf.int32), lambda arm, *_: (arm, arm), learn)


def constant(value):
    """The same vector always."""
    rows = lambda observation: tf.repeat(tf.constant([value]), tf.shape(observation)[0], axis=0)  # noqa: E731
    return Agent(lambda n_trials: (), lambda memory, seen, key: (rows(seen), memory), lambda memory, *_: memory)


class Told(gymnasium.Env):
    """Writes down the actions that it is given; what it shows and pays can be chosen."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, observations=None, actions=None, show=None, pay=lambda t: 1.0, length=3):
        self.observation_space = spaces.Box(-1, 1, (2,), np.float32) if observations is None else observations
        self.action_space = spaces.Discrete(2) if actions is None else actions
        self.show = show or (lambda t: self.observation_space.sample())
        self.pay, self.length, self.given, self.closed, self.seeds = pay, length, [], False, []

    def reset(self, *, seed=None, options=None):
        self.t = 0
        self.seeds.append(seed)
        return self.show(0), {}

    def step(self, action):
        self.given.append(action)
        self.t += 1
        return self.show(self.t), self.pay(self.t), self.t == self.length, False, {}

    def close(self):
        self.closed = True


def play(agent=None, env=None, n_episodes=2, **options):
    given = {"actions": Discrete(2), "seed": 0} | options
    return play_gymnasium(uniform(2) if agent is None else agent, Told() if env is None else env, n_episodes, **given)


def test_shapes_ends_and_sums():
    found = play(env=Told(pay=lambda t: 10.0**t, length=2), n_episodes=3)
    np.testing.assert_array_equal(found.rewards, [10, 100] * 3)
    np.testing.assert_array_equal(found.dones, [False, True] * 3)
    np.testing.assert_array_equal(found.returns, [110.0] * 3)
    assert [(part.dtype.name, part.shape) for part in found] == [
        ("int32", (6,)), ("float32", (6,)), ("bool", (6,)), ("float64", (3,)),
    ]  # fmt: skip


def test_a_rule_balances_the_pole_and_chance_does_not():
    env = gymnasium.make("CartPole-v1")
    good = play(balancing(), env, 3)
    np.testing.assert_array_equal(good.returns, [500.0] * 3)
    assert good.rewards.shape == (1500,)
    assert play(env=env, n_episodes=10).returns.max() < 200
    env.close()


def test_the_memory_lives_through_the_episodes_of_a_trial():
    """The only arm that pays is found after two failures, and kept; with one reset between, it would not be."""
    env = as_gymnasium(BernoulliBandits(3))
    found = play(sticking(3), env, 6, actions=Discrete(3), options={"task": [0.0, 0.0, 1.0]})
    np.testing.assert_array_equal(found.actions, [0, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(found.returns, [0, 0, 1, 1, 1, 1])


def test_our_environment_keeps_its_task_and_the_seed_says_which():
    env = as_gymnasium(BernoulliBandits(3))
    tasks = []
    for seed in (1, 1, 2):
        play(sticking(3), env, 4, actions=Discrete(3), seed=seed)
        tasks.append(tuple(env.task))
    assert tasks[0] == tasks[1] != tasks[2]


def test_a_seed_says_all():
    ours = TabularMDPs(4, 3, 5)
    runs = [play(uniform(3), lambda: as_gymnasium(ours), 2, actions=Discrete(3), seed=s) for s in (1, 1, 2**40 + 1)]
    for a, b in zip(runs[0], runs[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(runs[0].rewards, runs[2].rewards)
    env = Told()
    play(env=env, seed=2**40 + 7)
    assert env.seeds == [7, None]


def test_discrete_spaces_that_begin_elsewhere():
    """Observations are one-hot from their start, actions are counted from theirs."""
    seen = []

    def act(memory, observation, key):
        tf.py_function(lambda o: seen.append(o.numpy().tolist()), [observation], [])
        return tf.argmax(observation[:, :2], axis=1, output_type=tf.int32), memory

    agent = Agent(lambda n_trials: (), act, lambda memory, *_: memory)
    env = Told(spaces.Discrete(3, start=5), spaces.Discrete(2, start=-1), show=lambda t: [5, 6, 7, 6][t])
    found = play(agent, env, 1)
    assert seen == [[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]]
    assert env.given == [-1, 0, -1]
    np.testing.assert_array_equal(found.actions, [0, 1, 0])


def test_what_a_gaussian_draws_outside_is_cut_for_the_environment_alone():
    env = Told(actions=spaces.Box(-0.1, 0.1, (2,), np.float32))
    found = play(constant([0.05, -3.0]), env, 1, actions=Box(2, -0.1, 0.1))
    np.testing.assert_allclose(env.given, [[0.05, -0.1]] * 3)
    np.testing.assert_allclose(found.actions, [[0.05, -3.0]] * 3)
    assert all(action in env.action_space for action in env.given)


def test_an_action_of_a_box_of_gymnasium():
    found = play(constant([1.0]), gymnasium.make("MountainCarContinuous-v0"), 1, actions=Box(1), horizon=20)
    np.testing.assert_allclose(found.rewards, [-0.1] * 20, rtol=1e-5)


def test_pictures_are_flattened():
    widths = []

    def act(memory, observation, key):
        widths.append(observation.shape[-1])
        return tf.zeros([1], tf.int32), memory

    env = Told(spaces.Box(0, 255, (3, 4, 2), np.uint8))
    play(Agent(lambda n_trials: (), act, lambda memory, *_: memory), env)
    assert set(widths) == {24}


def test_an_episode_without_an_end_is_cut():
    told = []

    def learn(memory, actions, rewards, dones):
        tf.py_function(lambda d: told.append(bool(d[0])), [dones], [])
        return memory

    agent = uniform(2)._replace(learn=learn)
    found = play(agent, Told(length=None), 2, horizon=4)
    np.testing.assert_array_equal(found.dones, ([False] * 3 + [True]) * 2)
    assert told == [False, False, False, True] * 2


def test_an_environment_that_is_made_is_closed_and_one_that_is_given_is_not():
    given, made = Told(), []

    def make():
        made.append(Told())
        return made[-1]

    play(env=given)
    play(env=make)
    assert [len(made), made[0].closed, given.closed] == [1, True, False]
    with pytest.raises(ValueError, match="rewards must be finite"):
        play(env=lambda: made.append(Told(pay=lambda t: np.nan)) or made[-1])
    assert made[-1].closed, "also after an error"


# ---- what is refused -----------------------------------------------------------------------------------------------
def refused(message, kind=ValueError, env=None, **options):
    """Says what was wrong before the environment was touched."""
    env = Told() if env is None else env
    with pytest.raises(kind, match=message):
        play(env=env, **options)
    assert getattr(env, "seeds", []) == []


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({"a": spaces.Discrete(2)}), spaces.MultiBinary(3), spaces.MultiDiscrete([2, 2]),
        spaces.Tuple([spaces.Discrete(2)]), spaces.Text(3),
    ],
    ids=lambda space: type(space).__name__,
)  # fmt: skip
def test_other_spaces_are_refused(space):
    refused("observations must be a Box or Discrete.* Received: observation_space=", env=Told(observations=space))
    for actions in (Discrete(2), Box(3)):
        refused("actions must be the agent's.* Received: action_space=", env=Told(actions=space), actions=actions)


@pytest.mark.parametrize(
    ("space", "actions"),
    [
        (spaces.Discrete(3), Discrete(2)),
        (spaces.Discrete(2), Box(2)),
        (spaces.Box(-1, 1, (2,)), Discrete(2)),
        (spaces.Box(-1, 1, (2,)), Box(3)),
        (spaces.Box(-1, 1, (2, 1)), Box(2)),
        (spaces.Box(-2, 2, (2,)), Box(2)),
        (spaces.Box(np.array([-1, -2], np.float32), np.array([1, 2], np.float32)), Box(2)),
        (spaces.Box(-np.inf, np.inf, (2,)), Box(2)),
    ],
)
def test_actions_that_do_not_fit_are_refused(space, actions):
    refused("actions must be the agent's.* Received: action_space=", env=Told(actions=space), actions=actions)


@pytest.mark.parametrize(
    "options",
    [{name: value} for name in ("n_episodes", "horizon") for value in (0, -1, 1.5, None)]
    + [{"seed": -1}, {"seed": 0.5}],
)
def test_numbers_out_of_range_are_refused(options):
    refused(f"{next(iter(options))} must be .* Received: {next(iter(options))}=", **options)


def test_other_things_are_refused():
    refused("agent must be an Agent", TypeError, agent="uniform")
    refused("actions must be a Discrete or a Box", TypeError, actions=2)
    refused("actions must be a Discrete or a Box", TypeError, actions=spaces.Discrete(2))
    refused(
        "env must be a gymnasium.Env, or a function that makes one. Received: 'CartPole-v1'", TypeError, "CartPole-v1"
    )
    refused("env must be a gymnasium.Env, or a function that makes one. Received: 3", TypeError, lambda: 3)


def test_an_agent_for_other_observations_is_refused():
    def act(memory, observation, key):
        return tf.argmax(observation @ tf.zeros([7, 2]), axis=1, output_type=tf.int32), memory

    refused(
        r"take observations \[n_trials, 2\].* Received: agent='agent'", agent=uniform(2)._replace(act=act, name="agent")
    )


def test_an_agent_that_gives_something_else_is_refused():
    refused(r"give actions of the shape \[1\] and int32. Received: \(1, 2\) and float32", agent=constant([0.0, 0.0]))
    forgets = uniform(2)._replace(begin=lambda n: tf.zeros([n]), learn=lambda *_: ())
    refused("act and learn in a graph", agent=forgets)


@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf, np.array([1.0])])
def test_rewards_that_are_no_finite_numbers_are_refused(reward):
    with pytest.raises(ValueError, match=r"rewards must be finite numbers. Received: reward=.* in episode 0, step 1"):
        play(env=Told(pay=lambda t: reward if t == 2 else 1.0))


@pytest.mark.parametrize("seen", [np.array([0.0, np.nan]), np.zeros(3), np.zeros((1, 2))])
def test_observations_that_there_are_not_are_refused(seen):
    with pytest.raises(ValueError, match=r"observations must be finite, like Box.* in episode 0, step 1"):
        play(env=Told(show=lambda t: seen if t == 1 else np.zeros(2, np.float32)))
    with pytest.raises(ValueError, match=r"observations must be finite, like Discrete\(2, start=1\)"):
        play(env=Told(spaces.Discrete(2, start=1), show=lambda t: 0))


@pytest.mark.parametrize("which", ["observation_space", "action_space"])
def test_spaces_that_change_between_episodes_are_refused(which):
    class Changing(Told):
        def reset(self, **given):
            if self.seeds:
                setattr(self, which, spaces.Discrete(5))
            return super().reset(**given)

    env = Changing()
    with pytest.raises(
        ValueError, match=r"spaces must stay the same in a trial.* Received: .*Discrete\(5\).* episode 1"
    ):
        play(env=env, n_episodes=3)
    assert len(env.given) == 3, "the first episode was played"
