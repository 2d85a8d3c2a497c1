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
        TrialSettings(n_episodes=10, epochs=10, steps_per_epoch=25, environment_options={"n_arms": 5}),
        _DUAN,
        (*_SMALLER, "250 rounds of 10,000 pulls instead of 500 of 250,000"),
    ),
    "rl2-bandits-25": TaskPreset(
        TrialSettings(
            n_episodes=25,
            epochs=10,
            steps_per_epoch=20,
            learning_rate=2e-3,
            entropy_weight=0.02,
            environment_options={"n_arms": 5},
            start="rl2-bandits-10",
        ),
        _DUAN,
        (*_SMALLER, "begins with the agent of 10 pulls; 200 rounds of 25,000 pulls"),
    ),
    "rl2-bandits-100": TaskPreset(
        TrialSettings(
            n_episodes=100,
            epochs=50,
            steps_per_epoch=10,
            learning_rate=3e-4,
            entropy_weight=1e-4,
            environment_options={"n_arms": 5},
            start="rl2-bandits-25",
            options={"n_epochs": 2, "n_minibatches": 2, "decay": 0.9},
        ),
        _DUAN,
        (*_SMALLER, "begins with the agent of 25 pulls; 500 rounds of 100,000 pulls"),
    ),
    "rl2-informative": TaskPreset(
        TrialSettings(
            environment="informative-bandits",
            n_episodes=5,
            epochs=10,
            steps_per_epoch=30,
            entropy_weight=0.1,
            environment_options={"n_arms": 6},
            options={"decay": 0.9},
        ),
        "Wang et al. (2016), section 3.1. https://arxiv.org/abs/1611.05763",
        ("the number of arms and what they pay are our own", "PPO and a GRU instead of A2C and an LSTM"),
    ),
}
