"""Our environments as Gymnasium's: its own checker, seeds, tasks that stay or change, ends, and what is refused."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.utils.env_checker import check_env

from tests.helpers import ROOT, environment
from tfmeta.core.actions import Box
from tfmeta.core.trials import Environment, Moment
from tfmeta.gym import TrialWrapper, as_gymnasium
from tfmeta.tasks.bandits import BernoulliBandits, InformativeBandits
from tfmeta.tasks.navigation import Navigation2D
from tfmeta.tasks.tabular_mdps import MDP, TabularMDPs

OURS = [BernoulliBandits(3), InformativeBandits(), TabularMDPs(4, 3, 5), Navigation2D(5)]


class Walk(Environment):
    """A point walks on a line from 0; the task is where it is to arrive. At most five steps."""

    actions = Box(1, -0.5, 0.5)
    observation_size = 1
    episode_length = 5

    def sample_tasks(self, n_tasks, key):
        return tf.random.stateless_uniform([n_tasks], key, 1.0, 2.0)

    def reset(self, tasks, key):
        place = tf.zeros([tf.shape(tasks)[0]])
        return (place, tf.zeros_like(place)), place[:, None]

    def step(self, tasks, state, actions, key):
        place, t = state[0] + actions[:, 0], state[1] + 1
        done = (place >= tasks) | (t >= self.episode_length)
        return Moment((place, t), place[:, None], place - tasks, done)

    def terminated(self, tasks, state):
        return state[0] >= tasks


def test_the_checker_finds_nothing():
    for ours in (*OURS, Walk()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(as_gymnasium(ours))


@pytest.mark.parametrize("ours", OURS)
def test_spaces_are_those_of_the_environment(ours):
    env = as_gymnasium(ours)
    if isinstance(ours, Navigation2D):
        assert env.action_space == gymnasium.spaces.Box(-0.1, 0.1, (2,), np.float32)
    else:
        assert env.action_space == gymnasium.spaces.Discrete(ours.actions.n)
    assert env.observation_space.shape == (ours.observation_size,)
    assert env.observation_space.dtype == np.float32


def played(env, n_steps, **reset):
    """Observations, rewards and ends of random actions; the same seed gives the same actions."""
    env.action_space.seed(0)
    rows, tasks = [env.reset(**reset)[0].tolist()], [env.unwrapped.task]
    for _ in range(n_steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        rows.append((observation.tolist(), reward, terminated, truncated))
        if terminated or truncated:
            rows.append(env.reset()[0].tolist())
            tasks.append(env.unwrapped.task)
    return rows, tasks


def test_a_seed_says_all_and_another_one_says_something_else():
    for ours in OURS:
        first, again, other = (played(as_gymnasium(ours), 12, seed=seed) for seed in (1, 1, 2))
        assert first[0] == again[0]
        tf.nest.map_structure(np.testing.assert_array_equal, first[1], again[1])
        flat = [np.concatenate([np.ravel(x) for x in tf.nest.flatten(tasks)]) for tasks in (first[1], other[1])]
        assert not np.array_equal(*flat)
    ours = TabularMDPs(4, 3, 5)
    by_constructor = played(as_gymnasium(ours, seed=1), 12)
    assert by_constructor[0] == played(as_gymnasium(ours), 12, seed=1)[0]
    assert played(as_gymnasium(ours, seed=3), 12, seed=1)[0] == by_constructor[0], "reset's seed comes first"
    assert played(as_gymnasium(ours), 12)[0] != played(as_gymnasium(ours), 12)[0], "without a seed nothing is fixed"


def test_the_constructors_seed_does_not_begin_again_at_each_reset():
    env = as_gymnasium(BernoulliBandits(3), seed=0)
    tasks = []
    for _ in range(3):
        env.reset()
        tasks.append(env.task)
    assert len({tuple(task) for task in tasks}) == 3


def test_a_task_changes_stays_or_is_given():
    env = as_gymnasium(BernoulliBandits(3), seed=0)
    assert env.task is None
    env.reset()
    first = env.task
    assert first.shape == (3,)
    env.reset(options={"new_task": False})
    np.testing.assert_array_equal(env.task, first)
    env.reset()
    assert not np.array_equal(env.task, first)
    env.reset(options={"new_task": True})
    env.reset(options={"task": [0.0, 1.0, 0.0]})
    np.testing.assert_array_equal(env.task, [0.0, 1.0, 0.0])
    for arm in (0, 1, 2, 1):
        assert env.step(arm)[:4] == (pytest.approx(np.zeros(0)), float(arm == 1), True, False)
        env.reset(options={"new_task": False})


def test_a_task_of_several_arrays_is_given_as_a_tuple():
    ours = TabularMDPs(2, 2, 3)
    certain = np.zeros((2, 2, 2))
    certain[:, 0, 0] = certain[:, 1, 1] = 1.0  # an action leads to the state of its number
    env = as_gymnasium(ours, seed=0)
    env.reset(options={"task": MDP(certain, np.array([[0.0, 0.0], [0.0, 100.0]]))})
    assert isinstance(env.task, MDP)
    steps = [env.step(1) for _ in range(3)]
    np.testing.assert_array_equal([s[0] for s in steps], [[0, 1]] * 3)
    assert steps[0][1] < 50 < steps[1][1]
    assert [s[2:4] for s in steps] == [(False, False), (False, False), (True, False)]


def test_arriving_is_an_end_and_running_out_of_time_a_truncation():
    env = as_gymnasium(Walk(), seed=0)
    env.reset(options={"task": 1.0})
    assert [env.step(np.array([0.5], np.float32))[2:4] for _ in range(2)] == [(False, False), (True, False)]
    env.reset(options={"task": 1.0})
    ends = [env.step([0.1])[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]
    env.reset(options={"task": 1.0})
    ends = [env.step([0.2])[2:4] for _ in range(4)] + [env.step([0.2001])[2:4]]
    assert ends[-1] == (True, False), "it arrives with the last step"


class Named(Walk):
    """Its tasks are dictionaries."""

    def sample_tasks(self, n_tasks, key):
        return {"goal": super().sample_tasks(n_tasks, key), "push": tf.zeros([n_tasks, 2])}

    def reset(self, tasks, key):
        return super().reset(tasks["goal"], key)

    def step(self, tasks, state, actions, key):
        return super().step(tasks["goal"], state, actions, key)

    def terminated(self, tasks, state):
        return super().terminated(tasks["goal"], state)


def test_a_task_with_names_is_given_with_names():
    env = as_gymnasium(Named(), seed=0)
    env.reset(options={"task": {"push": [1, 2], "goal": 0.4}})
    assert env.task["goal"] == np.float32(0.4)
    np.testing.assert_array_equal(env.task["push"], [1.0, 2.0])
    assert env.step([0.5])[2:4] == (True, False)
    for task in ({"goal": 0.4}, {"goal": 0.4, "pull": [1, 2]}, [0.4, [1, 2]], 0.4):
        with pytest.raises(ValueError, match=r"task must be finite numbers like float32 \[\], float32 \[2\]"):
            env.reset(options={"task": task})


class Endless(Walk):
    """Never says that it is over."""

    def step(self, tasks, state, actions, key):
        moment = super().step(tasks, state, actions, key)
        return moment._replace(done=tf.zeros_like(moment.done))


def test_an_episode_is_never_longer_than_the_environment_says():
    env = as_gymnasium(Endless(), seed=0)
    env.reset()
    assert [env.step([0.5])[2:4] for _ in range(5)] == [(False, False)] * 4 + [(False, True)]


@pytest.mark.parametrize("action", [3, -1, 1.0, True, [1], None, "1", np.array([0, 1]), float("nan")])
def test_actions_that_there_are_not_are_refused(action):
    env = as_gymnasium(BernoulliBandits(3), seed=0)
    env.reset()
    with pytest.raises(ValueError, match=r"action.*Received"):
        env.step(action)
    assert env.step(np.int64(2))[2] is True, "a refused action changes nothing"


@pytest.mark.parametrize("action", [[0.51], [-1.0], 0.1, [[0.1]], [0.1, 0.1], ["a"], [float("nan")]])
def test_vectors_outside_of_the_box_are_refused(action):
    env = as_gymnasium(Walk(), seed=0)
    env.reset()
    with pytest.raises(ValueError, match=r"action.*Received"):
        env.step(action)


@pytest.mark.parametrize("task", [[0.1, 0.2], 0.5, [[0.1, 0.2, 0.3]], [0.1, float("nan"), 0.2], "abc", None, {}])
def test_tasks_of_another_kind_are_refused(task):
    env = as_gymnasium(BernoulliBandits(3), seed=0)
    env.reset()
    before = env.task
    with pytest.raises(ValueError, match=r"task must be finite numbers like float32 \[3\]. Received: task="):
        env.reset(options={"task": task})
    np.testing.assert_array_equal(env.task, before)


@pytest.mark.parametrize("task", [1.5, [1], True])
def test_a_task_that_is_a_whole_number_is_not_made_one(task):
    with pytest.raises(ValueError, match=r"like int32 \[\]. Received: task="):
        as_gymnasium(InformativeBandits()).reset(options={"task": task})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"taks": [0.1, 0.2, 0.3]}, "'taks'"),
        ({"new_task": 1}, "new_task=1"),
        ({"new_task": True, "task": [0.1, 0.2, 0.3]}, "both"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, said):
    with pytest.raises(ValueError, match=f"Received: .*{said}"):
        as_gymnasium(BernoulliBandits(3)).reset(options=options)


def test_steps_outside_of_an_episode_are_refused():
    for env in (as_gymnasium(BernoulliBandits(3)), TrialWrapper(as_gymnasium(BernoulliBandits(3)), 1)):
        with pytest.raises(gymnasium.error.ResetNeeded, match="Received: no"):
            env.step(0)
        env.reset()
        env.step(0)
        with pytest.raises(gymnasium.error.ResetNeeded, match="Received: no"):
            env.step(0)


def test_other_things_are_refused():
    with pytest.raises(TypeError, match=r"environment must be an Environment. Received: environment='CartPole-v1'"):
        as_gymnasium("CartPole-v1")
    with pytest.raises(ValueError, match=r"seed must be a whole number .* Received: seed=-1"):
        as_gymnasium(BernoulliBandits(), seed=-1)


@pytest.mark.slow
def test_gymnasium_is_imported_only_when_asked_for():
    script = """
import sys
import tfmeta
assert "gymnasium" not in sys.modules
sys.modules["gymnasium"] = None
try:
    import tfmeta.gym
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 'pip install "tfmeta[rl]"' in done.stdout
