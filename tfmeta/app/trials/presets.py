"""Named settings for agents, where each comes from, what differs from there and why."""

from __future__ import annotations

from tfmeta.app.task_runs import TaskPreset
from tfmeta.app.trials.settings import TrialSettings

_DUAN = "Duan et al. (2016), section 3.1. https://arxiv.org/abs/1611.02779"
_SMALLER = (
    "a GRU of 64 units with tanh and PPO, instead of 256 units with ReLU and TRPO: for two cores",
    "Adam's rate falls to 0 along a cosine",
)

TRIALS: dict[str, TaskPreset] = {
    "rl2-bandits-10": TaskPreset(
        TrialSettings(n_episodes=10, environment_options={"n_arms": 5}),
        _DUAN,
        (*_SMALLER, "300 rounds of 10,000 pulls instead of 500 of 250,000"),
    ),
}
