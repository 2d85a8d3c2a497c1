"""Named settings for regression tasks, where each comes from, what differs from there and why."""

from __future__ import annotations

import dataclasses

from tfmeta.app.regression.settings import RegressionSettings


@dataclasses.dataclass(frozen=True)
class RegressionPreset:
    """Settings with their source.

    Args:
        settings: of the training.
        source: the paper and the place in it.
        deviations: each difference from the source, with its reason.

    References:
        Mitchell et al. (2019), "Model Cards for Model Reporting". https://arxiv.org/abs/1810.03993
    """

    settings: RegressionSettings
    source: str
    deviations: tuple[str, ...] = ()


_FINN = "Finn et al. (2017), section 5.1. https://arxiv.org/abs/1703.03400"

REGRESSION: dict[str, RegressionPreset] = {
    "lstm-sinusoids": RegressionPreset(
        RegressionSettings("lstm", epochs=12, learning_rate=2e-3, clip=1.0),
        "Ravi, Larochelle (2017), section 3 and the authors' settings; the tasks are MAML's. "
        "https://openreview.net/forum?id=rJY0-Kcll",
        (
            "outer gradients are clipped at a norm of 1 rather than 0.25: their loss is a squared error of waves",
            "ten tasks a step instead of one, and a rate that falls from 0.002 to 0 along a cosine",
        ),
    ),
    "maml-sinusoids": RegressionPreset(
        RegressionSettings("maml", epochs=12),
        _FINN,
        ("five inner steps in training instead of one, as many as the learned rule takes",),
    ),
}
