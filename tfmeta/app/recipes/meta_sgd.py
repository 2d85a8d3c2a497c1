"""Meta-SGD: MAML with a learned rate for every weight."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Recipe


def _build(settings, train):
    from tfmeta.algorithms.meta_sgd import MetaSGD

    return MetaSGD(
        common.conv4(settings, train, settings.n_way),
        initial_rates=(0.5 * settings.inner_lr, 1.5 * settings.inner_lr),
        inner_steps=settings.inner_steps,
        eval_inner_steps=settings.eval_inner_steps,
        **settings.options,
    )


RECIPES = (
    Recipe(
        method="meta-sgd",
        order=90,
        label="Meta-SGD",
        source="Li et al. (2017), section 5.2. https://arxiv.org/abs/1707.09835",
        build=_build,
        settings=common.FEW | {"epochs": 60, "inner_lr": 1.0, "inner_steps": 1, "eval_inner_steps": 1},
        twenty_way=common.TWENTY,
        deviations=(
            common.SMALL,
            common.FALLING,
            common.UNTUNED,
            "rates start between 0.5 and 1.5 instead of 0.005 and 0.1: they are for the mean loss, and move slowly",
        ),
        paper={"5w1s": (99.53, 0.26), "5w5s": (99.93, 0.09), "20w1s": (95.93, 0.38), "20w5s": (98.97, 0.19)},
        options=(common.GRADIENT_MODE,),
    ),
)
