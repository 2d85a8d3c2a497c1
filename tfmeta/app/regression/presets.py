"""Named settings for regression tasks, where each comes from, what differs from there and why."""

from __future__ import annotations

from tfmeta.app.regression.settings import RegressionSettings
from tfmeta.app.task_runs import TaskPreset

_FINN = "Finn et al. (2017), section 5.1. https://arxiv.org/abs/1703.03400"

_PLATIPUS = "Finn, Xu, Levine (2018), section 5. https://arxiv.org/abs/1806.02817"
_AMBIGUOUS = {"tasks": "sine-or-line", "k_shot": 5, "n_query": 20, "meta_batch_size": 25}
_WIDE = (100, 100, 100)

REGRESSION: dict[str, TaskPreset] = {
    "lstm-sinusoids": TaskPreset(
        RegressionSettings("lstm", epochs=12, learning_rate=2e-3, clip=1.0),
        "Ravi, Larochelle (2017), section 3 and the authors' settings; the tasks are MAML's. "
        "https://openreview.net/forum?id=rJY0-Kcll",
        (
            "outer gradients are clipped at a norm of 1 rather than 0.25: their loss is a squared error of waves",
            "ten tasks a step instead of one, and a rate that falls from 0.002 to 0 along a cosine",
        ),
    ),
    "maml-sinusoids": TaskPreset(
        RegressionSettings("maml", epochs=12),
        _FINN,
        ("five inner steps in training instead of one, as many as the learned rule takes",),
    ),
    "alpaca-sine-or-line": TaskPreset(
        RegressionSettings(
            "alpaca",
            **_AMBIGUOUS,
            epochs=6,
            steps_per_epoch=500,
            learning_rate=5e-3,
            hidden=(64, 64, 32),
            options={"noise": 0.3, "fewest_points": 1},
        ),
        "Harrison, Sharma, Pavone (2018), algorithm 1; the tasks are those of PLATIPUS. https://arxiv.org/abs/1807.08912",
        (
            "32 features of a smaller network, for a minute on two cores",
            "each task keeps one to five of its points, so that few points are calibrated, too",
        ),
    ),
    "maml-sine-or-line": TaskPreset(
        RegressionSettings("maml", **_AMBIGUOUS, epochs=5, steps_per_epoch=500, hidden=_WIDE, inner_lr=0.003),
        _PLATIPUS,
        (
            "2,500 outer steps instead of 70,000",
            "inner steps of 0.003 instead of 0.001: so short a training learns more",
        ),
    ),
    "ensemble-sine-or-line": TaskPreset(
        RegressionSettings(
            "ensemble",
            **_AMBIGUOUS,
            epochs=5,
            steps_per_epoch=500,
            hidden=_WIDE,
            inner_lr=0.003,
            options={"n_members": 5, "noise": 0.3},
        ),
        "Lakshminarayanan et al. (2017), algorithm 1, with MAML as the member. https://arxiv.org/abs/1612.01474",
        ("five members, trained on the same tasks as the single MAML",),
    ),
    "platipus-sine-or-line": TaskPreset(
        RegressionSettings(
            "platipus",
            **_AMBIGUOUS,
            epochs=5,
            steps_per_epoch=500,
            hidden=_WIDE,
            inner_lr=0.003,
            clip=10.0,
            options={"noise": 0.3, "samples": 10, "kl_weight": 0.1, "from_pretrained": "maml-sine-or-line"},
        ),
        _PLATIPUS,
        (
            "begins with the trained MAML and takes 2,500 outer steps instead of 70,000 from a random start",
            "no learned bias vector as a further input",
            "outer gradients are clipped at a norm of 10: the likelihood's are steep where a task is far off",
        ),
    ),
}
