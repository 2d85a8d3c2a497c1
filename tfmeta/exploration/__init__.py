"""How well one can explore: rules that count, indices, exact optima, and posterior sampling, to judge an agent by."""

from tfmeta.exploration.bayes_optimum import bayes_optimal, bayes_optimal_reward
from tfmeta.exploration.counts import (
    epsilon_greedy,
    greedy,
    optimistic_thompson,
    random_agent,
    thompson,
    tuned_ucb1,
    ucb1,
)
from tfmeta.exploration.gittins import gittins, gittins_indices
from tfmeta.exploration.psrl import greedy_mdp, psrl
from tfmeta.exploration.rules import rules_for

__all__ = [
    "bayes_optimal",
    "bayes_optimal_reward",
    "epsilon_greedy",
    "gittins",
    "gittins_indices",
    "greedy",
    "greedy_mdp",
    "optimistic_thompson",
    "psrl",
    "random_agent",
    "rules_for",
    "thompson",
    "tuned_ucb1",
    "ucb1",
]
