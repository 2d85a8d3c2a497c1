"""Prototypical networks: the nearest class mean."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Recipe


def _build(settings, train):
    from tfmeta.algorithms.prototypical import PrototypicalNetwork

    return PrototypicalNetwork(common.conv4(settings, train), **settings.options)


RECIPES = (
    Recipe(
        method="prototypical",
        preset="protonet",
        order=40,
        label="Prototypical network",
        source="Snell et al. (2017), section 3.1. https://arxiv.org/abs/1703.05175",
        build=_build,
        settings=common.EPISODES | {"epochs": 30},
        deviations=(
            common.STRIDE,
            common.FALLING,
            "two episodes a step, one for each core",
            "30,000 steps rather than until validation stalls, then once more with the validation classes: one "
            "training",
        ),
        paper={"5w1s": (98.8, None), "5w5s": (99.7, None), "20w1s": (96.0, None), "20w5s": (98.9, None)},
        quickstart=common.EPISODES | {"epochs": 5, "steps_per_epoch": 240},
    ),
)
