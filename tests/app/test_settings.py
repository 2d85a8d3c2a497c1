import dataclasses
import json
import re

import pytest

from tfmeta.app.settings import DATASETS, METHODS, TrainSettings

FROM_ONE = ("n_way", "train_way", "k_shot", "n_query", "meta_batch_size", "epochs", "steps_per_epoch", "filters",
            "test_episodes", "train_shot", "inner_batch_size", "eval_inner_batch_size")  # fmt: skip
FROM_ZERO = ("seed", "inner_steps", "eval_inner_steps")
NUMBERS = ("learning_rate", "inner_lr")
CHOICES = {
    "method": METHODS,
    "optimizer": ("adam", "sgd"),
    "schedule": ("cosine", "linear", "constant"),
    "downsample": ("stride", "pool"),
}


OF_A_FOLDER = {"image_size": (60, 80), "grayscale": True, "fractions": (0.5, 0.25, 0.25)}


def whole(expected, name, value):
    """A pattern for nothing but this message."""
    return f"^{re.escape(f'{expected} Received: {name}={value!r}')}$"


def test_every_field_has_its_rule_below():
    named = {*FROM_ONE, *FROM_ZERO, *NUMBERS, *CHOICES, *OF_A_FOLDER, "dataset", "options"}
    assert {field.name for field in dataclasses.fields(TrainSettings)} == named


@pytest.mark.parametrize("name", FROM_ONE + FROM_ZERO)
@pytest.mark.parametrize("value", ["low", 1.5, 2.0, "3", True, [1]])
def test_whole_numbers(name, value):
    least = 1 if name in FROM_ONE else 0
    value = least - 1 if value == "low" else value
    with pytest.raises(ValueError, match=whole(f"{name} must be a whole number of at least {least}.", name, value)):
        TrainSettings(**{name: value})
    assert getattr(TrainSettings(**{name: least}), name) == least


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -0.1, float("nan"), float("inf"), "0.1", None, True])
def test_positive_numbers(name, value):
    with pytest.raises(ValueError, match=whole(f"{name} must be a positive number.", name, value)):
        TrainSettings(**{name: value})
    assert getattr(TrainSettings(**{name: 1}), name) == 1


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["MAML", "", None, 0, ["maml"]])
def test_choices(name, value):
    expected = re.escape(f"{name} must be one of {', '.join(CHOICES[name])}.")
    with pytest.raises(
        ValueError, match=rf"^{expected}( Did you mean '\S+'\?)? Received: {name}={re.escape(repr(value))}$"
    ):
        TrainSettings(**{name: value})
    for good in CHOICES[name]:
        assert getattr(TrainSettings(**{name: good}), name) == good


@pytest.mark.parametrize("value", ["", None, 3])
def test_a_data_set_has_a_name(value):
    """The empty name would be the current folder."""
    with pytest.raises(ValueError, match=r"dataset must be one of omniglot, .* or a folder. Received: dataset="):
        TrainSettings(dataset=value)
    assert [TrainSettings(dataset=name).dataset for name in (*DATASETS, "my/images")] == [*DATASETS, "my/images"]


def test_optional_fields_are_those_that_follow_another():
    optional = {"train_way", "train_shot", "inner_batch_size", "eval_inner_batch_size"}
    for name in optional:
        assert getattr(TrainSettings(**{name: None}), name) is None
    for name in set(FROM_ONE + FROM_ZERO) - optional:
        with pytest.raises(ValueError, match=f"{name}=None"):
            TrainSettings(**{name: None})


def test_round_trip_through_json():
    changed = TrainSettings(
        method="matching", dataset="my/images", **OF_A_FOLDER, n_way=3,
        train_way=7, k_shot=2, n_query=4, meta_batch_size=5, epochs=6,
        steps_per_epoch=8, learning_rate=0.25, schedule="cosine", filters=9, downsample="pool", inner_lr=0.125,
        inner_steps=0, eval_inner_steps=11, train_shot=14, optimizer="sgd", inner_batch_size=2, eval_inner_batch_size=3,
        test_episodes=12, seed=13, options={"distance": "euclidean"},
    )  # fmt: skip
    default = TrainSettings()
    assert all(getattr(changed, f.name) != getattr(default, f.name) for f in dataclasses.fields(default))
    for one in (changed, default):
        fields = json.loads(json.dumps(one.to_dict()))
        assert TrainSettings.from_dict(fields) == one
    assert changed.steps == 48
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.seed = 0


def test_unknown_fields_are_named_with_their_values_and_what_there_is():
    with pytest.raises(ValueError, match=r"settings must be among method, dataset, .*seed, options\. ") as caught:
        TrainSettings.from_dict({"inner_rate": 0.4, "colour": "red", "seed": 1})
    assert str(caught.value).endswith("Received: colour='red', inner_rate=0.4")
    with pytest.raises(ValueError, match="Received: epochs=0"):
        TrainSettings.from_dict({"epochs": 0})


def test_files_without_options_are_as_they_were_before_there_were_any():
    assert "options" not in TrainSettings().to_dict()
    assert TrainSettings(method="matching", options={"scale": 2}).to_dict()["options"] == {"scale": 2}
    assert TrainSettings.from_dict(TrainSettings().to_dict()).options == {}
    assert hash(TrainSettings()) == hash(TrainSettings())


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("maml++", {"colour": "red"}, r"^options of maml\+\+ are multi_step_loss \(int\), .*Received: colour='red'$"),
        ("maml++", {"learn_rates": 1, "first_order_steps": 2}, "Received: learn_rates=1$"),
        ("maml++", {"first_order_steps": True}, "Received: first_order_steps=True$"),
        ("maml++", {"first_order_steps": 1.0}, "Received: first_order_steps=1.0$"),
        ("matching", {"scale": "2", "distance": 3}, "Received: scale='2', distance=3$"),
        ("anil", {"adapt_layers": "dense"}, "Received: adapt_layers='dense'$"),
        ("anil", {"adapt_layers": [1]}, r"Received: adapt_layers=\[1\]$"),
        ("prototypical", {"distance": "cosine"}, "^prototypical has no options. Received: distance='cosine'$"),
        ("maml", ["gradient_mode"], r"^options must be a dictionary. Received: options=\['gradient_mode'\]$"),
    ],
)
def test_options_are_those_of_the_method_and_of_their_type(method, options, message):
    with pytest.raises(ValueError, match=message):
        TrainSettings(method=method, options=options)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("image_size", "60x80", (60, 80)), ("image_size", "84", 84), ("image_size", [60, 80], (60, 80)),
        ("image_size", "32x32", 32), ("fractions", "0.6, 0.2,0.2", (0.6, 0.2, 0.2)),
        ("fractions", [0.5, 0.5], (0.5, 0.5)),
        ("fractions", None, None), ("grayscale", True, True),
    ],
)  # fmt: skip
def test_how_a_folder_is_read_comes_from_the_command_line_or_from_json(name, given, kept):
    settings = TrainSettings(dataset="my/images", **{name: given})
    assert getattr(settings, name) == kept
    assert TrainSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    hash(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", "60x80x3"), ("image_size", "0"), ("image_size", "big"), ("image_size", 1.5),
        ("image_size", True),
        ("image_size", None), ("fractions", "0.6,0.2"), ("fractions", "1"), ("fractions", [1.0, 0.0]), ("fractions", 3),
        ("fractions", "a,b"), ("fractions", [0.5, 0.7, -0.2]), ("grayscale", "yes"), ("grayscale", 1),
    ],
)  # fmt: skip
def test_bad_ways_to_read_a_folder(name, value):
    with pytest.raises(ValueError, match=re.escape(f"Received: {name}={value!r}") + "$"):
        TrainSettings(dataset="my/images", **{name: value})


def test_only_a_folder_is_resized_made_grey_or_divided():
    for name, value in OF_A_FOLDER.items():
        with pytest.raises(ValueError, match=f"{name} can be given with a folder of images alone.*dataset='glyphs'"):
            TrainSettings(dataset="glyphs", **{name: value})


def test_files_from_before_there_were_such_fields_are_as_they_were():
    assert not set(OF_A_FOLDER) & set(TrainSettings(dataset="my/images").to_dict())
    old = TrainSettings.from_dict({"dataset": "my/images", "n_way": 3})
    assert (old.image_size, old.grayscale, old.fractions) == (28, False, None)


@pytest.mark.parametrize(("given", "near"), [({"method": "mmal"}, "maml"), ({"schedule": "cosin"}, "cosine")])
def test_a_mistyped_choice_is_answered_by_the_near_one(given, near):
    with pytest.raises(ValueError, match=f"Did you mean '{near}'\\? Received: "):
        TrainSettings(**given)


def test_every_field_is_described_once():
    listed = TrainSettings.__doc__
    for field in dataclasses.fields(TrainSettings):
        assert f"    {field.name}: {field.metadata['help']}\n" in listed
        assert field.metadata["help"].endswith(".")
