"""MAML++: multi-step loss, learned rates per layer and step, batch norm per step."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Option, Recipe


def _build(settings, train):
    from tfmeta.algorithms.maml_plus_plus import MAMLPlusPlus

    network = common.conv4(settings, train, settings.n_way)
    # The paper anneals over the first 10 to 15 of its 100 epochs.
    options = {"multi_step_loss": max(1, settings.steps // 10)} | settings.options
    return MAMLPlusPlus(network, **common.inner_loop(settings), **options)


RECIPES = (
    Recipe(
        method="maml++",
        by_length=("multi_step_loss",),
        order=110,
        label="MAML++",
        source="Antoniou et al. (2019), section 6. https://arxiv.org/abs/1810.09502",
        build=_build,
        settings=common.FEW | {"epochs": 50, "inner_lr": 0.4, "inner_steps": 3, "eval_inner_steps": 3},
        twenty_way=common.TWENTY,
        deviations=(
            "a single model instead of an ensemble of checkpoints: what one would use",
            "meta-batches of 4 tasks (20-way: 2) with 5 queries a class (20-way: 2), as for MAML",
            common.STRIDE,
            "three inner steps instead of five: it saves time",
            "second order from the start: the early first-order part only saves time",
            "rates start at 0.4 instead of 0.1 (they are learned), the outer one at 0.002 instead of 0.001, untuned",
        ),
        paper={"5w1s": (99.47, None), "5w5s": (99.93, None), "20w1s": (97.65, None), "20w5s": (99.33, None)},
        options=(
            Option("multi_step_loss", int, None, "outer steps of the multi-step loss; a tenth of all by default"),
            Option("first_order_steps", int, 0, "outer steps at the start that use first-order gradients"),
            Option("learn_rates", bool, True, "learn a rate for each parameter tensor and inner step"),
            Option("per_step_batch_norm", bool, True, "batch norm of its own after each number of inner steps"),
        ),
    ),
)
