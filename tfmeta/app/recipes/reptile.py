"""Reptile: the weights move towards those after a few steps on a task."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Option, Recipe


def _build(settings, train):
    from tfmeta.algorithms.reptile import Reptile

    return Reptile(
        common.conv4(settings, train, settings.n_way),
        **common.inner_loop(settings),
        inner_batch_size=settings.inner_batch_size,
        eval_inner_batch_size=settings.eval_inner_batch_size,
        **settings.options,
    )


RECIPES = (
    Recipe(
        method="reptile",
        order=80,
        label="Reptile",
        source="Nichol et al. (2018), section 6.1, appendix A. https://arxiv.org/abs/1803.02999",
        build=_build,
        settings={
            "epochs": 100, "train_shot": 10, "n_query": 1, "meta_batch_size": 5,
            "optimizer": "sgd", "learning_rate": 1.0, "schedule": "linear",
            "inner_lr": 1e-3, "inner_steps": 5, "inner_batch_size": 10,
            "eval_inner_steps": 50, "eval_inner_batch_size": 5,
        },
        twenty_way={
            "epochs": 200, "inner_lr": 5e-4, "inner_steps": 10, "inner_batch_size": 20, "eval_inner_batch_size": 10,
        },
        deviations=(
            "the tasks of a meta-batch run side by side, all from the same second moments of Adam: it is faster",
        ),
        paper={"5w1s": (97.68, 0.04), "5w5s": (99.48, 0.06), "20w1s": (89.43, 0.14), "20w5s": (97.12, 0.32)},
        options=(
            Option("inner_optimizer", str, "adam", "adam or sgd"),
            Option("carry_moments", bool, True, "let Adam's second moments go on from task to task"),
        ),
    ),
)  # fmt: skip
