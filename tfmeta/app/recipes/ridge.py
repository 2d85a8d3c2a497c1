"""Ridge regression as the inner loop: R2-D2."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Option, Recipe


def _build(settings, train):
    from tfmeta.algorithms.ridge import RidgeClassifier

    return RidgeClassifier(common.conv4(settings, train), **settings.options)


RECIPES = (
    Recipe(
        method="ridge",
        order=45,
        label="Ridge (R2-D2)",
        source="Bertinetto et al. (2019), section 3. https://arxiv.org/abs/1805.08136",
        build=_build,
        settings=common.EPISODES | {"epochs": 30},
        deviations=(
            common.STRIDE,
            common.FALLING,
            "conv4 as for the other methods, and its last block alone gives the embedding",
            "60-way training episodes, two a step, as for prototypical networks, so that both can be compared",
        ),
        options=(
            Option("initial_strength", float, 50.0, "the ridge's penalty before training; it is learned"),
            Option("initial_scale", float, 10.0, "of the logits before training; it is learned"),
        ),
    ),
)
