"""The rules of the field for an environment, to stand beside a trained agent in a table or a figure."""

from __future__ import annotations

from tfmeta.core.trials import Agent, Environment
from tfmeta.exploration import counts, psrl
from tfmeta.tasks.bandits import Bandit
from tfmeta.tasks.tabular_mdps import TabularMDPs


def rules_for(environment: Environment) -> list[Agent]:
    """Agents that play by a rule, whose prior is that of the environment where they have one.

    Args:
        environment: the distribution of tasks.

    Returns:
        For bandits chance, greedy, UCB1 and Thompson sampling; for tabular MDPs greedy plans and posterior sampling;
        for other environments nobody.

    References:
        Duan et al. (2016), tables 1 and 2. https://arxiv.org/abs/1611.02779
    """
    if isinstance(environment, Bandit):
        n = environment.n_arms
        return [counts.random_agent(n), counts.greedy(n), counts.tuned_ucb1(n), counts.ucb1(n), counts.thompson(n)]
    if isinstance(environment, TabularMDPs):
        sizes = (environment.n_states, environment.n_actions, environment.horizon)
        return [psrl.greedy_mdp(*sizes), psrl.psrl(*sizes)]
    return []
