"""Proto-MAML: an inner loop that starts from the head of a prototypical network."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Option, Recipe


def _build(settings, train):
    from tfmeta.algorithms.proto_maml import ProtoMAML

    return ProtoMAML(common.conv4(settings, train), **common.inner_loop(settings), **settings.options)


RECIPES = (
    Recipe(
        method="proto-maml",
        order=50,
        label="Proto-MAML",
        source="Triantafillou et al. (2020), section 3.2. https://arxiv.org/abs/1903.03096",
        build=_build,
        settings=common.FEW
        | common.TWENTY
        | {"epochs": 60, "train_way": 20, "inner_lr": 0.01, "inner_steps": 1, "eval_inner_steps": 1},
        deviations=(
            common.FALLING,
            "the paper has no cell on Omniglot alone; sizes are MAML's 20-way ones",
            "20-way training for 5-way tests, too; the paper draws the number of classes of each task at random",
            "second order; the paper trains with the first-order gradient",
            "the rates were not tuned",
        ),
        options=(
            common.FIRST_ORDER,
            Option("start_gradient", bool, True, "let the outer gradient flow through the prototypes of the start"),
            common.GRADIENT_MODE,
        ),
    ),
)
