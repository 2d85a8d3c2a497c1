"""The check of tutorial 12's rollout: what a recurrent agent is told, and when its memory begins anew."""

from __future__ import annotations

import itertools

import numpy as np

from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.values import as_array

_ARMS, _UNITS, _TRIALS, _PULLS = 3, 4, 3, 5


def rollout(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the loop in which RL^2 plays trials.

    Args:
        answer: `answer(act, pull, n_trials, n_pulls)`. `act(x, h)` takes what the agent is told, five numbers (the
            last action one-hot of three arms, its reward, 1 for an episode that ended), and its state, four numbers; it
            returns an arm and the new state. `pull(arm)` returns a reward. Both begin at zero with every trial. The
            answer returns the rewards `[n_trials, n_pulls]`.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: the state reset with every episode, never reset, an old one fed
        back; an action that is missing, late or of another trial; a reward that is missing or late; a missing mark of
        the end; parts in another order; arms that were not chosen; rewards of the wrong shape or order.

    References:
        Duan et al. (2016), figure 1. https://arxiv.org/abs/1611.02779
    """
    return judge("rollout", answer, _examine, quiet=quiet, seconds=seconds)


class _World:
    """An agent and a bandit that write down what they are asked and answered."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.arms = [int(arm) for arm in rng.integers(0, _ARMS, 200)]
        self.rewards = [round(float(reward), 3) for reward in rng.uniform(0.1, 0.9, 200)]
        self.told, self.states, self.answered, self.pulled = [], [], [np.zeros(_UNITS)], []

    def act(self, x, h):
        x, h = np.ravel(as_array(x)), np.ravel(as_array(h))
        require(x.shape == (_ARMS + 2,), f"act takes {_ARMS + 2} numbers: the last action one-hot of {_ARMS} arms, its "
                                         f"reward, and whether an episode ended. You gave {x.size}.")  # fmt: skip
        require(h.shape == (_UNITS,), f"the state has {_UNITS} numbers; you gave {h.size}.")
        require(len(self.told) < 100, "act was called a hundred times, far more often than there are pulls.")
        self.told.append(x)
        self.states.append(h)
        n = len(self.told)
        self.answered.append(np.array([n, n / 2, -n, 1.0]))
        return self.arms[n - 1], self.answered[-1].copy()

    def pull(self, arm):
        arm = int(np.ravel(as_array(arm))[0])
        self.pulled.append(arm)
        return self.rewards[len(self.pulled) - 1]


def _examine(call) -> str:
    world = _World()
    found = as_array(call(world.act, world.pull, _TRIALS, _PULLS))
    n = _TRIALS * _PULLS
    require(world.told, "act was never called: it chooses the arms.")
    require(len(world.told) == n, f"{_TRIALS} trials of {_PULLS} pulls ask act {n} times; yours asked "
                                  f"{len(world.told)} times.")  # fmt: skip
    require(len(world.pulled) == n, f"every choice is pulled once, {n} times in all; yours pulled {len(world.pulled)}.")
    require(world.pulled == world.arms[:n], "the arms that were pulled are not those that act chose, in its order.")
    _examine_states(world)
    _examine_told(world)
    rewards = np.array(world.rewards[:n]).reshape(_TRIALS, _PULLS)
    require(
        found.shape == rewards.shape or found.size != rewards.size,
        f"the agent plays right. Give the rewards as [n_trials, n_pulls], {rewards.shape}; yours have {found.shape}.",
    )
    require(found.shape == rewards.shape, f"the rewards have shape {rewards.shape}; yours have {found.shape}.")
    require(np.allclose(found, rewards), "the agent plays right, but these are not the rewards that pull gave, a row a "
                                         "trial.")  # fmt: skip
    return "the state lives through a trial, begins anew with the next, and each step is told what the last one did."


def _examine_states(world: _World) -> None:
    """Refuse a state that is not the one that act returned last, or zeros at a trial's beginning."""
    n = len(world.told)
    first = np.arange(n) % _PULLS == 0
    zero = np.array([not np.any(h) for h in world.states])
    require(not np.all(zero), "the state is zero at every pull: an agent whose memory is reset with every *episode* "
                              "(here every pull) cannot learn. Reset it with every trial.")  # fmt: skip
    require(np.all(zero[first]), "a trial begins with the state of the one before: the task is another, so the state "
                                 "is reset to zero.")  # fmt: skip
    newest = [np.array_equal(h, world.answered[i]) for i, h in enumerate(world.states)]
    for i in np.flatnonzero(~first):
        require(not zero[i], "the state is reset within a trial. It lives until the trial ends.")
        require(newest[i], "act was given an old state. Feed back the one that it returned last.")


def _examine_told(world: _World) -> None:
    """Refuse anything but the last action, its reward and the end of its episode; zeros at a trial's beginning."""
    n = len(world.told)
    told, code = np.array(world.told), np.eye(_ARMS)
    first = np.arange(n) % _PULLS == 0
    later = np.flatnonzero(~first)
    arms, rewards = np.array(world.arms[:n]), np.array(world.rewards[:n])
    action, reward, done = told[:, :_ARMS], told[:, _ARMS], told[:, _ARMS + 1]
    last = code[arms[later - 1]]
    whole = np.concatenate([last, rewards[later - 1, None], np.ones((len(later), 1))], axis=1)
    if not np.any(told[first]) and np.allclose(told[later], whole):
        return
    pieces = (whole[:, :_ARMS], whole[:, _ARMS : _ARMS + 1], whole[:, _ARMS + 1 :])
    for order in list(itertools.permutations(pieces))[1:]:
        require(
            not np.allclose(told[later], np.concatenate(order, axis=1)),
            "the parts are in another order than the agent reads them: action one-hot, reward, end of the episode.",
        )
    require(np.any(told), "the agent is told nothing: x is zero at every pull.")
    require(np.any(reward), "the reward is missing: without it the agent cannot tell a good arm from a bad one.")
    require(np.any(action), "the last action is missing: a reward means nothing without the arm that paid it.")
    require(
        not (np.allclose(action[later], code[arms[later]]) or np.allclose(action[first], code[arms[first]])),
        "the agent is told the action that it is about to choose. It gets the *last* one.",
    )
    require(
        not np.any(told[first]),
        "a trial begins with what the last trial told: its action and reward belong to another task. Begin with zeros.",
    )
    late = np.arange(n) % _PULLS >= 2
    two = np.flatnonzero(late)
    require(not np.allclose(action[two], code[arms[two - 2]]), "the action comes a pull too late.")
    require(np.allclose(action[later], last), "the first three numbers are not the last action, one-hot.")
    require(not np.allclose(reward[two], rewards[two - 2]), "the reward comes a pull too late.")
    require(np.allclose(reward[later], rewards[later - 1]), "the fourth number is not the last action's reward.")
    require(np.any(done), "the mark of the end is missing: with every pull an episode ends, so the fifth number is 1.")
    require(False, "the fifth number is 1 after a pull, which ends an episode, and 0 at a trial's beginning.")
