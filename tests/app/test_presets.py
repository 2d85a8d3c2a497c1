import dataclasses
import re

import pytest

from tests.conftest import make_classes
from tfmeta.app import building, presets
from tfmeta.app.methods import RECIPES
from tfmeta.app.presets import COLUMNS, PRESETS, preset
from tfmeta.app.settings import METHODS, TrainSettings

SIXTY = make_classes([20] * 60, size=16)
OF_TABLE = [name for name in PRESETS if "-omniglot-" in name]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_complete_and_found(name):
    found = preset(name)
    assert found is PRESETS[name]
    assert TrainSettings.from_dict(found.settings.to_dict()) == found.settings
    assert "https://" in found.source
    assert all(len(reason) > 20 for reason in found.deviations)
    accuracy, interval = found.paper
    assert accuracy is None or 20 < accuracy < 100
    assert interval is None or (accuracy is not None and 0 < interval < 1)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_without_a_preset_starts_from_its_own_settings(method):
    found, given = presets.defaults(method), TrainSettings()
    own = next(PRESETS[n].settings for n in OF_TABLE if n.endswith("5w1s") and PRESETS[n].settings.method == method)
    assert (found.epochs, found.steps_per_epoch, found.test_episodes) == (10, 200, 600)
    assert found.train_way is given.train_way is None
    for name in ("inner_lr", "inner_steps", "eval_inner_steps", "inner_batch_size", "optimizer", "learning_rate"):
        assert getattr(found, name) == getattr(own, name)


def test_an_unknown_method_is_left_to_the_settings_to_refuse():
    assert presets.defaults("mmal") == TrainSettings()


def test_the_table_has_every_method_in_every_cell_and_names_say_which():
    methods = {name.split("-omniglot-")[0] for name in OF_TABLE}
    assert set(OF_TABLE) == {f"{m}-omniglot-{n_way}w{k_shot}s" for m in methods for n_way, k_shot in COLUMNS}
    assert {PRESETS[name].settings.method for name in OF_TABLE} == set(METHODS)
    for name in OF_TABLE:
        settings = PRESETS[name].settings
        assert name.endswith(f"-omniglot-{settings.n_way}w{settings.k_shot}s")
        assert (settings.dataset, settings.test_episodes) == ("omniglot", 1000)
        assert name.startswith((settings.recipe.preset or settings.method) + "-omniglot")


def test_sum_and_mean_of_the_inner_loss_are_not_mixed_up():
    """The authors' 0.4 multiplies a sum over classes, which is 2.0 on the mean; first-order settings stay below it."""
    for name in OF_TABLE:
        settings = PRESETS[name].settings
        if settings.method in ("maml", "fomaml", "meta-sgd"):
            assert 0.4 <= settings.inner_lr <= 2.0
        if settings.method == "anil":
            assert settings.inner_lr == 0.1, "the paper's, and the best of three"
        if settings.method in ("maml", "fomaml", "reptile"):
            assert settings.eval_inner_steps >= settings.inner_steps


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_its_learner_and_has_data(name):
    settings = dataclasses.replace(PRESETS[name].settings, filters=2, meta_batch_size=1)
    learner = building.build_learner(settings, SIXTY)
    assert learner.optimizer is not None
    learner.check_training_data(building.training_data(settings, SIXTY))


@pytest.mark.parametrize("method", ["maml", "prototypical"])
def test_a_preset_trains(method):
    """One is enough: the presets of a method differ in numbers only, and the test above builds all of them.

    Those of the other methods train in tests/app/test_runs.py.
    """
    name = presets.cell_name(RECIPES[method], 5, 1)
    settings = dataclasses.replace(PRESETS[name].settings, filters=2, meta_batch_size=1)
    learner = building.build_learner(settings, SIXTY)
    learner.fit(building.training_data(settings, SIXTY), steps_per_epoch=1, verbose=0)
    assert int(learner.optimizer.iterations) == 1


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("maml-quikstart", "maml-quickstart"),
        ("protoypical-quickstart", "prototypical-quickstart"),
        ("maml-omniglot-5w1", "maml-omniglot-5w1s"),
        ("xyz", None),
    ],
)
def test_an_unknown_preset_names_the_near_one(name, near):
    with pytest.raises(ValueError, match="preset must be one of") as caught:
        preset(name)
    message = str(caught.value)
    assert message.endswith(f"Received: preset={name!r}")
    assert all(method in message for method in {n.split("-omniglot-")[0] for n in OF_TABLE})
    assert ("Did you mean" in message) == (near is not None)
    if near:
        assert f"Did you mean {near!r}?" in message


def test_a_preset_is_described_in_words():
    text = presets.describe("maml-omniglot-20w1s")
    assert "n_way=20" in text
    assert "1703.03400" in text
    assert re.search(r"paper: +95.8 \+- 0.3 %", text)
    assert text.count("deviation:") == len(PRESETS["maml-omniglot-20w1s"].deviations) > 2
    assert "meta_batch_size" in text
    assert "seed" not in text  # what is a default is not said
    assert "paper: " not in presets.describe("proto-maml-omniglot-5w1s")
