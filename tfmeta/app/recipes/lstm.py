"""The LSTM meta-learner: a learned update rule."""

from __future__ import annotations

import math

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Option, Recipe


def _build(settings, train):
    from tfmeta.algorithms.lstm_meta_learner import LSTMMetaLearner

    # The gate's value before its sigmoid where the gate lets in `inner_lr` of a gradient.
    gain = math.log(settings.inner_lr / (1.0 - settings.inner_lr))
    return LSTMMetaLearner(
        common.conv4(settings, train, settings.n_way),
        inner_steps=settings.inner_steps,
        eval_inner_steps=settings.eval_inner_steps,
        **({"initial_gain": gain} | settings.options),
    )


RECIPES = (
    Recipe(
        method="lstm",
        order=130,
        label="LSTM meta-learner",
        source="Ravi, Larochelle (2017), section 4 and the authors' settings. https://openreview.net/forum?id=rJY0-Kcll",
        build=_build,
        settings=common.FEW | {"epochs": 30, "filters": 32, "inner_lr": 0.3, "inner_steps": 5, "eval_inner_steps": 5},
        twenty_way=common.TWENTY,
        deviations=(
            common.STRIDE,
            common.SMALL,
            common.FALLING,
            "the rule starts from a rate of 0.3 instead of 0.011: FOMAML learns with 0.4",
            "five updates, each on the whole support set, in place of twelve (1-shot) or eight",
            "outer gradients are not clipped",
        ),
        options=(
            Option("units", int, 20, "width of the LSTM"),
            Option("learn_start", bool, True, "learn the weights that a task starts from, too"),
        ),
    ),
)
