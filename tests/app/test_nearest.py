"""A mistyped name, or another name of the same thing, leads to the name that is known."""

import pytest

from tfmeta.app.methods import OTHER_NAMES, RECIPES, other_preset_names
from tfmeta.app.nearest import did_you_mean
from tfmeta.app.presets import PRESETS

METHODS = {
    "protonet": "prototypical", "protonets": "prototypical", "ProtoNet": "prototypical",
    "PrototypicalNetwork": "prototypical", "prototypical_networks": "prototypical",
    "matching-networks": "matching", "MatchingNetwork": "matching", "MAML++": "maml++", "mamlplusplus": "maml++",
    "maml-plus-plus": "maml++", "MetaSGD": "meta-sgd", "ProtoMAML": "proto-maml", "protomaml": "proto-maml",
    "fine-tuned classifier": "fine-tuning", "nearest_neighbor": "nearest-neighbour", "mmal": "maml",
}  # fmt: skip


@pytest.mark.parametrize("given", METHODS)
def test_a_method_is_known_by_its_other_names(given):
    assert did_you_mean(given, RECIPES, OTHER_NAMES) == f" Did you mean {METHODS[given]!r}?"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_label_and_the_presets_name_of_every_recipe_lead_to_its_method(recipe):
    for name in (recipe.label, recipe.label.replace(" ", "").upper(), recipe.preset or recipe.method):
        assert did_you_mean(name, RECIPES, OTHER_NAMES) == f" Did you mean {recipe.method!r}?"


def test_a_preset_is_known_by_its_methods_name():
    others = other_preset_names(PRESETS)
    assert others["prototypical-omniglot-20w5s"] == "protonet-omniglot-20w5s"
    assert set(others.values()) <= set(PRESETS)
    assert did_you_mean("prototypical-omniglot-20w5s", PRESETS, others) == " Did you mean 'protonet-omniglot-20w5s'?"
    assert did_you_mean("prototypical-quickstar", PRESETS, others) == " Did you mean 'prototypical-quickstart'?"


def test_what_is_like_nothing_has_no_suggestion_and_other_names_lead_to_known_ones_alone():
    assert did_you_mean("xyzzy", RECIPES, OTHER_NAMES) == ""
    assert did_you_mean("protonet", ["maml"], OTHER_NAMES) == ""
