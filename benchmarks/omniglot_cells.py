"""The cells of the Omniglot table, and which of them share one training."""

from tfmeta.app.presets import PRESETS

CELLS = [name for name in PRESETS if "-omniglot-" in name]
# Settings that say only how a learner is judged.
JUDGING = ("n_way", "k_shot", "eval_inner_steps", "eval_inner_batch_size", "test_episodes")


def training_of(settings):
    """What the trained weights depend on: two cells with the same training share a run.

    Args:
        settings: of a cell.

    Returns:
        The settings without the number of epochs (`--minutes` sets it) and those that only say how a learner is
        judged; ways and shots are those of training.
    """
    fields = settings.to_dict()
    fields |= {"train_way": settings.train_way or settings.n_way, "train_shot": settings.train_shot or settings.k_shot}
    left_out = {*JUDGING, "epochs", *settings.recipe.no_matter}
    return {name: value for name, value in fields.items() if name not in left_out}


def trained_as(name):
    """The cell that stands for the training of this one.

    Args:
        name: a cell.

    Returns:
        The first cell that shares the training; None for a method that learns nothing, as the nearest neighbour.
    """
    own = PRESETS[name].settings
    if not own.recipe.learns:
        return None
    return next(other for other in CELLS if training_of(PRESETS[other].settings) == training_of(own))


def trainings():
    """All cells that stand for a training."""
    return [name for name in CELLS if trained_as(name) == name]
