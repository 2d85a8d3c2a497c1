"""BOIL: the inner loop moves all but the head."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Recipe


def _build(settings, train):
    from tfmeta.algorithms.boil import BOIL

    return BOIL(common.conv4(settings, train, settings.n_way), **common.inner_loop(settings), **settings.options)


RECIPES = (
    Recipe(
        method="boil",
        order=105,
        label="BOIL",
        source="Oh et al. (2021), section 4 (which has no Omniglot). https://arxiv.org/abs/2008.08882",
        build=_build,
        settings=common.FEW | {"epochs": 60, "inner_lr": 1.0, "inner_steps": 1, "eval_inner_steps": 3},
        twenty_way=common.TWENTY,
        deviations=(common.SMALL, common.FALLING, common.UNTUNED),
        options=(common.GRADIENT_MODE,),
    ),
)
