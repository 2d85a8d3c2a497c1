"""Several episodes of a Gymnasium environment as one, for agents that learn within a trial."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from tfmeta.core.validation import check_sizes
from tfmeta.gym.environment import same_task


class TrialWrapper(gymnasium.Wrapper, gymnasium.utils.RecordConstructorArgs):
    """A trial: where an episode of the environment ends, the next begins in the same task, until all are over.

    The step that ends an inner episode gives the first observation of the next. Its `info` says so, in every step:
    `"episode"` is the number of inner episodes that are over, `"inner_terminated"` and `"inner_truncated"` say how one
    has ended with this step, and only then is `"final_observation"` the last one of it. A trial's own end is
    `terminated`, however its last episode ended: nothing follows that could be worth anything.

    Args:
        env: any `gymnasium.Env`.
        n_episodes: inner episodes of a trial.

    Raises:
        TypeError: if it is not a `gymnasium.Env`.
        ValueError: if `n_episodes` is not positive.

    References:
        Duan et al. (2016), section 2.2. https://arxiv.org/abs/1611.02779

    Note:
        The options of `reset` go to the inner environment's first `reset` of the trial. One of `as_gymnasium` draws a
        new task there and keeps it. An environment of others is asked for no more than `reset()`, and must stay the
        same task by itself.
    """

    def __init__(self, env: gymnasium.Env, n_episodes: int):
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"env must be a gymnasium.Env. Received: env={env!r}")
        check_sizes(n_episodes=n_episodes)
        gymnasium.utils.RecordConstructorArgs.__init__(self, n_episodes=n_episodes)
        gymnasium.Wrapper.__init__(self, env)
        self.n_episodes = int(n_episodes)
        self._episode = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin a trial, whose task is that of the inner environment's `reset` with these arguments."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._episode = 0
        return observation, info | {"episode": 0}

    def step(self, action):
        """Take an action; an inner episode that ends is followed by the next.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`, and after the end of a trial.
        """
        if self._episode is None:
            raise gymnasium.error.ResetNeeded("reset() must begin a trial before step(). Received: no trial")
        observation, reward, terminated, truncated, info = self.env.step(action)
        said = {"inner_terminated": bool(terminated), "inner_truncated": bool(truncated)}
        over = False
        if terminated or truncated:
            self._episode += 1
            said["final_observation"] = np.copy(observation) if isinstance(observation, np.ndarray) else observation
            over = self._episode == self.n_episodes
            if not over:
                observation, _ = self.env.reset(options=same_task(self.env))
        info = info | said | {"episode": self._episode}
        if over:
            self._episode = None
        return observation, reward, over, False, info
