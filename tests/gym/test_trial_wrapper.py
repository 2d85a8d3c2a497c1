"""Several episodes as one: where they end, what is told of it, that the task stays, and Gymnasium's checker."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tfmeta.gym import TrialWrapper, as_gymnasium
from tfmeta.tasks.bandits import BernoulliBandits
from tfmeta.tasks.tabular_mdps import TabularMDPs


class Count(gymnasium.Env):
    """Shows the step and the number of the episode; an episode ends after its length, by time where that is even."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, lengths=(2, 3, 1)):
        self.lengths, self.episode, self.resets = lengths, -1, []
        self.action_space = gymnasium.spaces.Discrete(2)
        self.observation_space = gymnasium.spaces.Box(0, 100, (2,), np.float32)

    def seen(self):
        return np.array([self.t, self.episode], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets.append((seed, options))
        self.episode = -1 if seed is not None else self.episode
        self.episode, self.t = self.episode + 1, 0
        return self.seen(), {"begun": self.episode}

    def step(self, action):
        self.t += 1
        length = self.lengths[self.episode % len(self.lengths)]
        over = self.t == length
        return self.seen(), float(10 * self.episode + self.t), over and length % 2 == 1, over and length % 2 == 0, {}


def test_a_trial_by_hand():
    env = TrialWrapper(Count(), 3)
    observation, info = env.reset(seed=5, options={"a": 1})
    assert observation.tolist() == [0, 0]
    assert info == {"begun": 0, "episode": 0}
    found = [env.step(0) for _ in range(6)]
    assert [o.tolist() for o, *_ in found] == [[1, 0], [0, 1], [1, 1], [2, 1], [0, 2], [1, 2]]
    assert [reward for _, reward, *_ in found] == [1, 2, 11, 12, 13, 21]
    assert [(terminated, truncated) for _, _, terminated, truncated, _ in found] == [(False, False)] * 5 + [
        (True, False)
    ]
    infos = [info for *_, info in found]
    assert [i["episode"] for i in infos] == [0, 1, 1, 1, 2, 3]
    assert [i["inner_truncated"] for i in infos] == [False, True, False, False, False, False]
    assert [i["inner_terminated"] for i in infos] == [False, False, False, False, True, True]
    last = {t: i["final_observation"].tolist() for t, i in enumerate(infos) if "final_observation" in i}
    assert last == {1: [2, 0], 4: [3, 1], 5: [1, 2]}
    assert env.unwrapped.resets == [(5, {"a": 1}), (None, None), (None, None)]
    env.reset()
    assert len(env.unwrapped.resets) == 4
    assert not any(env.step(0)[2] for _ in range(5))
    assert env.step(0)[2], "a second trial has as many episodes"


def test_one_episode_is_the_environment_itself():
    inner, wrapped = Count(), TrialWrapper(Count(), 1)
    for env in (inner, wrapped):
        env.reset()
    for _ in range(2):
        (o, r, *ends, _), (seen, reward, *ended, _) = inner.step(0), wrapped.step(0)
        np.testing.assert_array_equal(o, seen)
        assert r == reward
        assert any(ends) == any(ended)


def test_our_task_stays_through_a_trial_and_changes_with_the_next():
    env = TrialWrapper(gymnasium.wrappers.TimeLimit(as_gymnasium(BernoulliBandits(3), seed=0), 5), 4)
    tasks = []
    for _ in range(3):
        env.reset()
        ended = []
        for _ in range(4):
            tasks.append(tuple(env.unwrapped.task))
            ended.append(env.step(0)[2])
        assert ended == [False] * 3 + [True]
    assert [len(set(tasks[i : i + 4])) for i in (0, 4, 8)] == [1, 1, 1]
    assert len(set(tasks)) == 3


def test_a_fixed_task_and_a_seed_reach_the_environment():
    env = TrialWrapper(as_gymnasium(BernoulliBandits(2)), 3)
    env.reset(options={"task": [0.0, 1.0]})
    assert [env.step(arm)[1] for arm in (1, 0, 1)] == [1.0, 0.0, 1.0]
    env.reset(seed=3)
    first = tuple(env.unwrapped.task)
    env.reset(seed=3)
    assert tuple(env.unwrapped.task) == first


@pytest.mark.parametrize(
    "inner", [BernoulliBandits(3), TabularMDPs(4, 3, 5), "count", "CartPole-v1", "MountainCarContinuous-v0"]
)
def test_the_checker_finds_nothing(inner):
    """But that there is a wrapper, and what it says of somebody else's environment inside."""
    if isinstance(inner, str):
        env = Count((1, 2)) if inner == "count" else gymnasium.make(inner).unwrapped
    else:
        env = as_gymnasium(inner)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        if isinstance(inner, str):
            warnings.filterwarnings("ignore", message=".*(not having a spec|infinity)")
        check_env(TrialWrapper(env, 2), skip_render_check=isinstance(inner, str))


def test_a_copy_by_its_recipe_is_a_trial_too():
    copy = gymnasium.make(TrialWrapper(as_gymnasium(BernoulliBandits(3)), 2).spec)
    copy.reset(seed=0)
    assert [copy.step(0)[2] for _ in range(2)] == [False, True]


@pytest.mark.parametrize("n_episodes", [0, -1, 1.0, None, True, "2"])
def test_numbers_of_episodes_that_mean_nothing_are_refused(n_episodes):
    with pytest.raises(ValueError, match=r"n_episodes must be a whole number of at least 1. Received: n_episodes="):
        TrialWrapper(Count(), n_episodes)


@pytest.mark.parametrize("env", [None, "CartPole-v1", BernoulliBandits(), Count])
def test_what_is_no_environment_of_gymnasiums_is_refused(env):
    with pytest.raises(TypeError, match=r"env must be a gymnasium.Env. Received: env="):
        TrialWrapper(env, 2)
