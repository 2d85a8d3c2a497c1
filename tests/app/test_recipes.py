"""What every recipe keeps, whoever adds it; and that adding one is a file and nothing else."""

import pkgutil

import pytest

from tests.conftest import make_classes
from tests.helpers import tiny_settings
from tfmeta.app import methods, recipes
from tfmeta.app.methods import RECIPES
from tfmeta.app.recipes.recipe import COLUMNS, Option, Recipe

CLASSES = make_classes([20] * 6)
OPTIONS = [pytest.param(recipe, option, id=f"{recipe.method}-{option.name}")
           for recipe in RECIPES.values() for option in recipe.options]  # fmt: skip


def test_names_and_places_are_unique_and_in_order():
    for name in ("order", "label", "method"):
        assert len({getattr(recipe, name) for recipe in RECIPES.values()}) == len(RECIPES)
    assert [recipe.order for recipe in RECIPES.values()] == sorted(recipe.order for recipe in RECIPES.values())
    assert len({recipe.preset or recipe.method for recipe in RECIPES.values()}) == len(RECIPES)
    assert list(RECIPES) == [recipe.method for recipe in RECIPES.values()]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_complete(recipe):
    assert "https://" in recipe.source
    assert set(recipe.paper) <= {f"{n_way}w{k_shot}s" for n_way, k_shot in COLUMNS}
    assert "method" not in recipe.settings
    assert all(len(option.help) > 5 and "\n" not in option.help for option in recipe.options)
    assert set(recipe.quickstart_deviations or ()) <= set(recipe.deviations)


def built(recipe, **options):
    """What a learner says of itself, without its networks, whose automatic names differ."""
    config = recipe.build(tiny_settings(recipe.method, options=options), CLASSES).get_config()
    return {name: value for name, value in config.items() if not isinstance(value, dict) and name != "name"}


@pytest.mark.parametrize(("recipe", "option"), OPTIONS)
def test_an_options_default_is_the_learners_own(recipe, option):
    plain = built(recipe)
    assert option.name in plain
    if option.default is not None:
        assert option.accepts(option.default)
        assert option.read(str(option.default)) == option.default
        assert plain[option.name] == option.default
        assert built(recipe, **{option.name: option.default}) == plain


@pytest.mark.parametrize(
    ("method", "texts", "expected"),
    [
        ("maml", ["gradient_mode=mixed"], {"gradient_mode": "mixed"}),
        ("maml", ["inner_clip_norm=2"], {"inner_clip_norm": 2.0}),
        ("maml++", ["first_order_steps=3", "learn_rates=False"], {"first_order_steps": 3, "learn_rates": False}),
        ("maml++", ["multi_step_loss=7"], {"multi_step_loss": 7}),
        ("reptile", ["carry_moments=false", "inner_optimizer=sgd"], {"carry_moments": False, "inner_optimizer": "sgd"}),
        ("matching", ["distance=cosine", "distance=euclidean"], {"distance": "euclidean"}),
        ("nearest-neighbour", ["distance=euclidean"], {"distance": "euclidean"}),
    ],
)
def test_options_of_the_command_line_reach_the_learner(method, texts, expected):
    options = RECIPES[method].read_options(texts)
    assert options == expected
    assert {name: type(value) for name, value in options.items()} == {n: type(v) for n, v in expected.items()}
    config = built(RECIPES[method], **options)
    assert {name: config[name] for name in expected} == expected


def test_a_list_of_layers_reaches_anil():
    assert RECIPES["anil"].read_options(["adapt_layers=conv,norm"]) == {"adapt_layers": ["conv", "norm"]}
    options = RECIPES["anil"].read_options(["adapt_layers=head"])
    assert built(RECIPES["anil"], **options)["adapt_layers"] == ["head"]


@pytest.mark.parametrize(
    ("method", "text", "message"),
    [
        ("maml", "gradient_mode", r"^--set must be name=value\. options of maml are .*Received: gradient_mode$"),
        ("maml", "colour=red", r"^options of maml are gradient_mode \(str\), .*Received: colour='red'$"),
        ("maml", "inner_clip_norm=long", "Received: inner_clip_norm='long'$"),
        ("maml++", "learn_rates=maybe", "Received: learn_rates='maybe'$"),
        ("prototypical", "distance=cosine", "^prototypical has no options"),
    ],
)
def test_a_mistake_in_an_option_is_named(method, text, message):
    with pytest.raises(ValueError, match=message):
        RECIPES[method].read_options([text])


def test_options_are_described_with_type_and_default():
    assert str(Option("steps", int, 0, "of first order")) == "steps (int, 0 by default): of first order"
    assert str(Option("layers", list, None, "that adapt")) == "layers (names with commas between them): that adapt"


def test_a_file_is_all_that_a_new_method_needs(monkeypatch, tmp_path):
    (tmp_path / "later.py").write_text(
        "from tfmeta.app.recipes.recipe import Recipe\n"
        "RECIPES = (Recipe('later', 65, 'Later', 'https://arxiv.org', build=None, settings={}),)\n"
    )
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    found = sorted(methods._found(), key=lambda recipe: recipe.order)
    assert [recipe.method for recipe in found if recipe.order in (60, 65, 70)] == ["maml", "later", "fomaml"]
    assert all(isinstance(recipe, Recipe) for recipe in found)
    files = {file.name for file in pkgutil.iter_modules(recipes.__path__)}
    assert {"recipe", "common", "later"} <= files  # those without recipes are passed over
