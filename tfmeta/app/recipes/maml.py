"""MAML, and its first-order approximation."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Recipe


def _maml(settings, train):
    from tfmeta.algorithms.maml import MAML

    return MAML(common.conv4(settings, train, settings.n_way), **common.inner_loop(settings), **settings.options)


def _fomaml(settings, train):
    from tfmeta.algorithms.maml import MAML

    network = common.conv4(settings, train, settings.n_way)
    return MAML(network, **common.inner_loop(settings), first_order=True, **settings.options)


_QUICKSTART_DEVIATIONS = (
    common.SMALL,
    common.FALLING,
    common.MEAN,
    "of inner rates 0.4, 1.0 and 2.0 the second was best in short trainings, 5-way",
)

RECIPES = (
    Recipe(
        method="maml",
        order=60,
        label="MAML",
        source="Finn et al. (2017), section 5.2, appendix A.1. https://arxiv.org/abs/1703.03400",
        build=_maml,
        settings=common.FEW | {"epochs": 60, "inner_lr": 1.0, "inner_steps": 1, "eval_inner_steps": 3},
        twenty_way=common.TWENTY,
        deviations=(
            *_QUICKSTART_DEVIATIONS,
            "one inner step (three at test) in 20-way, too, instead of five: it takes a third of the time",
        ),
        paper={"5w1s": (98.7, 0.4), "5w5s": (99.9, 0.1), "20w1s": (95.8, 0.3), "20w5s": (98.9, 0.2)},
        options=(common.GRADIENT_MODE, common.INNER_CLIP_NORM, common.ADVERSARIAL),
        quickstart=common.FEW | {"inner_lr": 1.0, "epochs": 5, "steps_per_epoch": 2000},
        quickstart_deviations=_QUICKSTART_DEVIATIONS,
    ),
    Recipe(
        method="fomaml",
        order=70,
        label="FOMAML",
        source="Finn et al. (2017), section 5.2; figures of Nichol et al. (2018). https://arxiv.org/abs/1803.02999",
        build=_fomaml,
        settings=common.FEW | {"epochs": 60, "inner_lr": 0.4, "inner_steps": 3, "eval_inner_steps": 5},
        twenty_way=common.TWENTY,
        deviations=(
            common.SMALL,
            common.FALLING,
            common.MEAN,
            "three inner steps: one is too few for a first-order gradient",
        ),
        paper={"5w1s": (98.3, 0.5), "5w5s": (99.2, 0.2), "20w1s": (89.4, 0.5), "20w5s": (97.9, 0.1)},
        options=(common.INNER_CLIP_NORM, common.ADVERSARIAL),
    ),
)
