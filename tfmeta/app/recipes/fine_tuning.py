"""The fine-tuned classifier: trained on all training classes at once, with a new head for each task."""

from __future__ import annotations

from tfmeta.app.recipes import common
from tfmeta.app.recipes.recipe import Option, Recipe


def _build(settings, train):
    from tfmeta.algorithms.fine_tuning import FineTunedClassifier

    return FineTunedClassifier(
        common.conv4(settings, train),
        train.n_classes,
        inner_lr=settings.inner_lr,
        eval_inner_steps=settings.eval_inner_steps,
        **settings.options,
    )


def _labelled_images(settings, train, start):
    from tfmeta.datasets import labelled_batches

    return labelled_batches(train, batch_size=settings.meta_batch_size, seed=settings.seed, start=start)


RECIPES = (
    Recipe(
        method="fine-tuning",
        order=20,
        label="Fine-tuned classifier",
        source="Chen et al. (2019), section 3, 'Baseline'. https://arxiv.org/abs/1904.04232",
        build=_build,
        settings={
            "epochs": 20, "meta_batch_size": 64, "learning_rate": 3e-3, "schedule": "cosine",
            "inner_lr": 0.01, "eval_inner_steps": 100,
        },
        deviations=(
            common.FALLING,
            "the paper has no cell on Omniglot alone; sizes are ours, and were not tuned",
            "in a new task whole steps from zero instead of mini-batches of 4 from a random start: no randomness",
        ),
        options=(Option("adapt_encoder", bool, False, "let the steps in a new task change the encoder, too"),),
        training_data=_labelled_images,
        no_matter=("train_way", "train_shot", "n_query", "inner_lr"),
    ),
)  # fmt: skip
