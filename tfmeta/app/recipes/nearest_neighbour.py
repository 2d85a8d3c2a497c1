"""The nearest neighbour in pixels: a baseline that learns nothing."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Recipe


def _build(settings, train):
    from tfmeta.algorithms.nearest_neighbour import NearestNeighbour

    return NearestNeighbour(**settings.options)


RECIPES = (
    Recipe(
        method="nearest-neighbour",
        order=10,
        label="Nearest neighbour, pixels",
        source="Vinyals et al. (2016), table 1, row of raw pixels. https://arxiv.org/abs/1606.04080",
        build=_build,
        settings={"epochs": 1, "steps_per_epoch": 1},
        paper={"5w1s": (41.7, None), "5w5s": (63.2, None), "20w1s": (26.7, None), "20w5s": (42.6, None)},
        options=(common.DISTANCE,),
        learns=False,
    ),
)
