"""Matching Networks: attention over the support set."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Option, Recipe


def _build(settings, train):
    from tfmeta.algorithms.matching import MatchingNetwork

    return MatchingNetwork(common.conv4(settings, train), **settings.options)


RECIPES = (
    Recipe(
        method="matching",
        order=30,
        label="Matching network",
        source="Vinyals et al. (2016), section 4.1.1. https://arxiv.org/abs/1606.04080",
        build=_build,
        settings=common.EPISODES | {"epochs": 30},
        deviations=(
            common.STRIDE,
            common.FALLING,
            "60-way training, as Snell et al. (2017) found better for prototypes",
            "cosines times a learned scale that starts at 10: a softmax of plain cosines cannot be sure of anything",
        ),
        paper={"5w1s": (98.1, None), "5w5s": (98.9, None), "20w1s": (93.8, None), "20w5s": (98.5, None)},
        options=(
            common.DISTANCE,
            Option("scale", float, None, "factor of the similarities; by default 10 for cosines, 1 for distances"),
            Option("learn_scale", bool, True, "learn the scale"),
            Option("full_context", bool, False, "embed each image in the context of the support set"),
            Option("processing_steps", int, 5, "looks of a query at the support set with full_context"),
        ),
    ),
)
