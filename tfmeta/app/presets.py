"""Presets: named settings, where each comes from, what differs from there and why.

They are made from the recipes. A cell of the benchmark is named `<method>-omniglot-<ways>w<shots>s`; the quickstart has
presets of its own. `tfmeta train --preset`, the benchmark and the tests read them.
"""

from __future__ import annotations

import dataclasses

from tfmeta.app.methods import RECIPES, other_preset_names
from tfmeta.app.nearest import did_you_mean
from tfmeta.app.recipes.recipe import COLUMNS, Recipe
from tfmeta.app.settings import TrainSettings


@dataclasses.dataclass(frozen=True)
class Preset:
    """Settings with their source.

    Args:
        settings: for `tfmeta train`.
        source: the paper and the place in it.
        deviations: each difference from the source, with its reason.
        paper: the paper's accuracy in percent and half its 95 % interval; `None` for a number that it does not state.
    """

    settings: TrainSettings
    source: str
    deviations: tuple[str, ...] = ()
    paper: tuple[float | None, float | None] = (None, None)


def cell_name(recipe: Recipe, n_way: int, k_shot: int) -> str:
    """Name a recipe's preset for one cell of the benchmark.

    Args:
        recipe: of the method.
        n_way: classes in an episode.
        k_shot: support images per class.

    Returns:
        Such as `"protonet-omniglot-5w1s"`.
    """
    return f"{recipe.preset or recipe.method}-omniglot-{n_way}w{k_shot}s"


def _cell(recipe: Recipe, n_way: int, k_shot: int) -> Preset:
    """One cell of the benchmark."""
    fields = {"method": recipe.method, "steps_per_epoch": 1000, "test_episodes": 1000} | recipe.settings
    if n_way == 20:
        fields |= recipe.twenty_way
    settings = TrainSettings(**fields, n_way=n_way, k_shot=k_shot)
    return Preset(settings, recipe.source, recipe.deviations, recipe.paper.get(f"{n_way}w{k_shot}s", (None, None)))


def _quickstart(recipe: Recipe) -> Preset:
    """Tuned on validation classes for a few minutes on two CPU cores, 5-way 1-shot."""
    settings = TrainSettings(method=recipe.method, **recipe.quickstart)
    same = recipe.quickstart_deviations is None
    return Preset(
        settings, recipe.source, recipe.deviations if same else recipe.quickstart_deviations, recipe.paper["5w1s"]
    )


PRESETS: dict[str, Preset] = {
    f"{recipe.method}-quickstart": _quickstart(recipe) for recipe in RECIPES.values() if recipe.quickstart
} | {
    cell_name(recipe, n_way, k_shot): _cell(recipe, n_way, k_shot)
    for recipe in RECIPES.values()
    for n_way, k_shot in COLUMNS
}


def preset(name: str) -> Preset:
    """Find a preset by name.

    Args:
        name: one of `PRESETS`.

    Returns:
        The `Preset`.

    Raises:
        ValueError: if the name is unknown. The message says how names are made and suggests the nearest.
    """
    if name in PRESETS:
        return PRESETS[name]
    hint = did_you_mean(name, PRESETS, other_preset_names(PRESETS))
    others = [known for known in PRESETS if "-omniglot-" not in known]
    methods = [recipe.preset or recipe.method for recipe in RECIPES.values()]
    raise ValueError(
        f"preset must be one of {', '.join(others)}, or METHOD-omniglot-5w1s, -5w5s, -20w1s or -20w5s with METHOD "
        f"one of {', '.join(methods)}.{hint} Received: preset={name!r}"
    )


# What --method leaves to the user's purse and data: length, and training classes that a small data set may not have.
_OF_A_RUN = ("epochs", "steps_per_epoch", "test_episodes", "train_way")


def defaults(method: str) -> TrainSettings:
    """Give the settings that `tfmeta train --method` starts from where no preset is named.

    Args:
        method: one of `tfmeta.app.settings.METHODS`; an unknown one is left to `TrainSettings` to refuse.

    Returns:
        The settings of the method's 5-way 1-shot preset, with the length and training classes of `TrainSettings()`.
    """
    if method not in RECIPES:
        return TrainSettings()
    found = PRESETS[cell_name(RECIPES[method], 5, 1)].settings
    return dataclasses.replace(found, **{name: getattr(TrainSettings(), name) for name in _OF_A_RUN})


def describe(name: str) -> str:
    """Describe a preset in words: every setting that is not a default, source, deviations, the paper's accuracy.

    Args:
        name: one of `PRESETS`.

    Returns:
        Several lines of text.

    Raises:
        ValueError: as `preset`.
    """
    found = preset(name)
    default = TrainSettings().to_dict()
    changed = {k: v for k, v in found.settings.to_dict().items() if v != default.get(k)}
    lines = [
        name,
        "  settings:   " + ", ".join(f"{k}={v}" for k, v in changed.items()),
        f"  source:     {found.source}",
    ]
    lines += [f"  deviation:  {text}" for text in found.deviations]
    if found.paper[0] is not None:
        interval = "" if found.paper[1] is None else f" +- {found.paper[1]}"
        lines.append(f"  paper:      {found.paper[0]}{interval} %")
    return "\n".join(lines)
