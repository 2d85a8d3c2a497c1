"""Which data a run and its judges see: sizes, channels, shares and parts; and what a score rests on."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import tfmeta
from tests.algorithms.pieces import two_blocks
from tests.conftest import make_classes
from tests.helpers import draw_folder
from tfmeta.app import breadth, data
from tfmeta.app.settings import TrainSettings
from tfmeta.evaluation import evaluate


def draw_photos(root, n_classes=6, per_class=4):
    """Colour photographs of unequal sizes."""
    rng = np.random.default_rng(0)
    for k in range(n_classes):
        (root / f"kind{k}").mkdir(parents=True)
        for i in range(per_class):
            height, width = (int(n) for n in rng.integers(20, 60, 2))
            Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(root / f"kind{k}" / f"{i}.jpg")
    return root


def test_a_folder_is_read_as_the_settings_say(tmp_path):
    photos = str(draw_photos(tmp_path / "photos"))
    settings = TrainSettings(dataset=photos, image_size=(20, 30), grayscale=True, fractions=(0.5, 0.5))
    found = data.load_data(photos, **data.how_to_read(settings))
    assert (found.train.n_classes, found.validation, found.test.n_classes) == (3, None, 3)
    assert found.train.image_shape == (20, 30, 1)
    plain = data.load_data(photos, **data.how_to_read(TrainSettings(dataset=photos)))
    assert [part.n_classes for part in plain] == [4, 1, 1]
    assert plain.train.image_shape == (28, 28, 3)


def test_all_classes_of_a_folder_that_is_only_for_testing(tmp_path):
    photos = str(draw_photos(tmp_path / "photos", n_classes=1))
    found = data.load_part(photos, "all", image_size=20, grayscale=False, fractions=None)
    assert (found.n_classes, found.name, found.image_shape) == (1, "photos all", (20, 20, 3))
    with pytest.raises(ValueError, match="three parts need at least 3 classes"):
        data.load_part(photos, "test")


def test_all_classes_of_a_data_set():
    parts = data.load_data("glyphs")
    found = data.load_part("glyphs", "all")
    assert found.class_names == tuple(name for part in parts for name in part.class_names)
    np.testing.assert_array_equal(found.images, np.concatenate([part.images for part in parts]))
    assert found.name.endswith(" all")
    for split in ("train", "validation", "test"):
        assert data.load_part("glyphs", split).class_names == getattr(parts, split).class_names


def test_a_part_that_there_is_not(tmp_path):
    own = str(draw_folder(tmp_path / "own", n_classes=4))
    with pytest.raises(ValueError, match=r"no validation classes. Received: split='validation'"):
        data.load_part(own, "validation", fractions=(0.5, 0.5))


@pytest.mark.parametrize(
    ("learner", "images", "message"),
    [
        (1, 3, r"16x16 with 1 channel, .*; give --grayscale\. Received: dataset='own' of 16x16 with 3 channels$"),
        ((1, 20), 1, r"20x20 with 1 channel, as .* training\. Received: dataset='own' of 16x16 with 1 channel$"),
    ],
)
def test_images_that_do_not_fit_are_named_with_the_option(learner, images, message):
    channels, size = learner if isinstance(learner, tuple) else (learner, 16)
    network = two_blocks(input_shape=(size, size, channels))
    with pytest.raises(ValueError, match=message):
        data.fitted(make_classes([3] * 3, channels=images), tfmeta.PrototypicalNetwork(network), "own")


def test_grey_images_for_a_learner_of_colours_and_a_learner_of_anything():
    grey = make_classes([3] * 3)
    coloured = data.fitted(grey, tfmeta.PrototypicalNetwork(two_blocks(input_shape=(16, 16, 3))), "own")
    np.testing.assert_array_equal(coloured.images, np.repeat(grey.images, 3, axis=-1))
    assert data.fitted(grey, tfmeta.NearestNeighbour(), "own") is grey


def test_a_score_on_few_classes_or_few_images_is_named():
    def note(classes, episodes=40, n_query=4):
        score = evaluate(tfmeta.NearestNeighbour(), classes, n_way=3, k_shot=1, n_query=n_query, episodes=episodes)
        return breadth.note(score, classes)

    assert note(make_classes([5] * 9)) == (
        "note: this rests on 9 classes and 45 distinct query images, asked 11 times each; "
        "other classes may score differently, beyond the interval"
    )
    assert "12 classes and 60 distinct query images" in note(make_classes([5] * 12))
    assert note(make_classes([20] * 12)) == ""
    few = make_classes([20] * 12)
    one = note(few, episodes=1, n_query=2)
    assert "12 classes and 6 distinct query images;" in one


def test_the_settings_of_older_runs_read_a_folder_as_ever(tmp_path):
    own = str(draw_folder(tmp_path / "own"))
    old = TrainSettings.from_dict({"dataset": own})
    assert dataclasses.asdict(old)["image_size"] == 28
    assert data.load_data(own, **data.how_to_read(old)).test.class_names == data.load_data(own).test.class_names
