"""All methods of `tfmeta train`: the recipes of the files in `tfmeta/app/recipes`."""

from __future__ import annotations

import importlib
import pkgutil

from tfmeta.app import recipes
from tfmeta.app.recipes.recipe import Recipe


def _found() -> list[Recipe]:
    """The recipes of every file; a file without `RECIPES` has none."""
    names = [f"{recipes.__name__}.{file.name}" for file in pkgutil.iter_modules(recipes.__path__)]
    return [recipe for name in names for recipe in getattr(importlib.import_module(name), "RECIPES", ())]


# method -> recipe, in the order of the tables
RECIPES: dict[str, Recipe] = {recipe.method: recipe for recipe in sorted(_found(), key=lambda recipe: recipe.order)}
