"""A game for a running notebook: the reader and an agent pull the arms of one bandit, one after the other."""

from __future__ import annotations

import importlib.util
import os

import tensorflow as tf

from tfmeta.core.trials import Agent, fold_in
from tfmeta.core.validation import check_seed, check_sizes
from tfmeta.notebook.sliders import MISSING
from tfmeta.tasks.bandits import Bandit


class Duel:
    """A trial that the reader and an agent play in the same task. An arm that both pull pays both the same.

    Args:
        agent: the other player.
        environment: bandits.
        n_pulls: of each player.
        seed: of the task and of chance.

    Raises:
        TypeError: if the environment is no bandit.
        ValueError: if a number is out of range.

    References:
        Duan et al. (2016), section 3.1. https://arxiv.org/abs/1611.02779
    """

    def __init__(self, agent: Agent, environment: Bandit, n_pulls: int = 10, seed: int = 0):
        if not isinstance(environment, Bandit):
            raise TypeError(f"environment must be a Bandit. Received: environment={environment!r}")
        check_sizes(n_pulls=n_pulls)
        check_seed(seed)
        self.agent, self.environment, self.n_pulls = agent, environment, n_pulls
        self._key = tf.constant([seed % 2**31, seed // 2**31], tf.int64)
        self._task = environment.sample_tasks(1, fold_in(self._key, 0))
        self._memory = agent.begin(1)
        self.arms, self.rewards = [], []  # pairs: yours, the agent's

    @property
    def totals(self) -> tuple[float, float]:
        """Your sum of rewards and the agent's."""
        mine, theirs = zip(*self.rewards, strict=True) if self.rewards else ((), ())
        return float(sum(mine)), float(sum(theirs))

    def pull(self, arm: int) -> None:
        """Pull an arm; the agent pulls one, too. Prints what both got.

        Args:
            arm: 0 to n_arms - 1.

        Raises:
            ValueError: if there is no such arm, or the trial is over.
        """
        self.environment.actions.check(arm)
        t = len(self.rewards)
        if t >= self.n_pulls:
            raise ValueError(f"the trial is over after {self.n_pulls} pulls. Received: arm={arm}")
        luck, choice = fold_in(self._key, 2 * t + 1), fold_in(self._key, 2 * t + 2)
        _, seen = self.environment.reset(self._task, luck)
        theirs, memory = self.agent.act(self._memory, seen, choice)
        pay = [self.environment.step(self._task, (), arms, luck) for arms in (tf.constant([arm]), theirs)]
        self._memory = self.agent.learn(memory, theirs, pay[1].reward, pay[1].done)
        self.arms.append((int(arm), int(theirs[0])))
        self.rewards.append((float(pay[0].reward[0]), float(pay[1].reward[0])))
        print(
            f"pull {t + 1:2d}: you arm {arm}, {self.rewards[-1][0]:g}; {self.agent.name} arm {self.arms[-1][1]}, "
            f"{self.rewards[-1][1]:g}. So far {self.totals[0]:g} : {self.totals[1]:g}"
        )
        if t + 1 == self.n_pulls:
            print(f"the best arm was {int(tf.argmax(self._pays()))}")

    def _pays(self) -> tf.Tensor:
        """What every arm pays in the mean, from many pulls; environments differ in how they write it down."""
        n, many = self.environment.n_arms, 2000
        tasks = tf.nest.map_structure(lambda part: tf.repeat(part, n * many, axis=0), self._task)
        paid = self.environment.step(tasks, (), tf.repeat(tf.range(n), many), fold_in(self._key, 0)).reward
        return tf.reduce_mean(tf.reshape(paid, [n, many]), axis=1)

    def buttons(self) -> None:
        """Show a button for each arm; where no buttons can run, one line says so."""
        if not importlib.util.find_spec("ipywidgets") or "TFMETA_STATIC" in os.environ:
            print(MISSING.replace("sliders", "buttons"))
            return
        import ipywidgets
        from IPython.display import display

        out = ipywidgets.Output()
        row = [ipywidgets.Button(description=f"arm {arm}") for arm in range(self.environment.n_arms)]

        def pressed(button):
            with out:
                self.pull(row.index(button))
            for other in row:
                other.disabled = len(self.rewards) >= self.n_pulls

        for button in row:
            button.on_click(pressed)
        display(ipywidgets.HBox(row, layout=ipywidgets.Layout(flex_flow="row wrap")), out)
