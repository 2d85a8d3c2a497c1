"""All methods of `tfmeta train`: the recipes of the files in `tfmeta/app/recipes`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from tfmeta.app import recipes
from tfmeta.app.recipes.recipe import Recipe


def _found() -> list[Recipe]:
    """The recipes of every file; a file without `RECIPES` has none."""
    names = [f"{recipes.__name__}.{file.name}" for file in pkgutil.iter_modules(recipes.__path__)]
    return [recipe for name in names for recipe in getattr(importlib.import_module(name), "RECIPES", ())]


# method -> recipe, in the order of the tables
RECIPES: dict[str, Recipe] = {recipe.method: recipe for recipe in sorted(_found(), key=lambda recipe: recipe.order)}

# Other names of a method, in presets, tables and texts -> method, for those who give them to `--method`.
OTHER_NAMES: dict[str, str] = {
    other: recipe.method for recipe in RECIPES.values() for other in (recipe.preset, recipe.label) if other
}


def other_preset_names(names: Iterable[str]) -> dict[str, str]:
    """Names of presets, and of what was trained by them, with the method's name in place of the preset's own.

    Args:
        names: such as "protonet-omniglot-5w1s".

    Returns:
        The other name -> the name, such as "prototypical-omniglot-5w1s" -> "protonet-omniglot-5w1s".
    """
    stems = {f"{recipe.preset}-": f"{recipe.method}-" for recipe in RECIPES.values() if recipe.preset}
    return {
        own + name.removeprefix(stem): name for name in names for stem, own in stems.items() if name.startswith(stem)
    }
