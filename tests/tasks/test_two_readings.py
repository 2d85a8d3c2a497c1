"""Episodes that can be read by character or by rotation, and how many of the two readings are covered."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import stream_of
from tfmeta.datasets import Readings, load_glyphs, readings_covered, two_readings_episodes
from tfmeta.datasets.fingerprint import fingerprint

SIZES = {"k_shot": 3, "n_query": 4, "meta_batch_size": 5}


def arrays(data, batches, **options):
    """Episodes and readings of a stream, one after the other, as arrays `[tasks, ...]`."""
    stream = two_readings_episodes(data, **(SIZES | {"seed": 0, "with_readings": True} | options)).take(batches)
    pairs = [tf.nest.map_structure(lambda t: t.numpy(), pair) for pair in stream]
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *pairs)


def same(one, other):
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
        np.testing.assert_array_equal(a, b)


# -- the stream ----------------------------------------------------------------------------------------------------
def test_shapes_and_types(tiny):
    episode, readings = two_readings_episodes(tiny, **SIZES, seed=0, with_readings=True).element_spec
    assert isinstance(episode, Episode)
    assert isinstance(readings, Readings)
    assert [tuple(part.shape) for part in episode] == [(5, 6, 16, 16, 1), (5, 6), (5, 8, 16, 16, 1), (5, 8)]
    assert [part.dtype for part in episode] == [tf.float32, tf.int32] * 2
    assert [tuple(part.shape) for part in readings] == [(5, 8), (5, 8), (5,), (5,), (5, 2), (5, 6), (5, 8)]
    assert {part.dtype for part in readings} == {tf.int32}
    alone = two_readings_episodes(tiny, **SIZES, seed=0)
    assert isinstance(alone.element_spec, Episode)
    assert alone.cardinality() == tf.data.INFINITE_CARDINALITY
    same(next(iter(alone)), arrays(tiny, 1)[0])


def test_every_image_is_the_drawing_that_the_definition_asks_for(tiny):
    episodes, readings = arrays(tiny, 8)
    for i in range(40):
        turned, classes = readings.turned[i], readings.classes[i]
        assert classes[0] != classes[1]
        assert len({*readings.support[i], *readings.query[i]}) == 6 + 8, "a drawing is used twice"
        assert sorted(episodes.support_y[i]) == [0] * 3 + [1] * 3
        assert sorted(readings.by_character[i]) == [0] * 4 + [1] * 4
        for row, image, label in zip(readings.support[i], episodes.support_x[i], episodes.support_y[i], strict=True):
            # In the support set character and rotation say the same.
            assert tiny.labels[row] == classes[label]
            wanted = np.rot90(tiny.images[row]) if label == turned else tiny.images[row]
            np.testing.assert_allclose(image, wanted / 255.0, atol=1e-6)
        for row, image, character, rotation in zip(
            readings.query[i], episodes.query_x[i], readings.by_character[i], readings.by_rotation[i], strict=True
        ):
            # A query has the character of one label and the rotation of the other.
            assert tiny.labels[row] == classes[character]
            assert rotation == 1 - character
            wanted = np.rot90(tiny.images[row]) if rotation == turned else tiny.images[row]
            np.testing.assert_allclose(image, wanted / 255.0, atol=1e-6)
        wanted = (readings.by_character, readings.by_rotation)[readings.meant[i]][i]
        np.testing.assert_array_equal(episodes.query_y[i], wanted)


def test_which_label_is_turned_and_which_reading_is_meant_are_two_fair_coins(tiny):
    readings = arrays(tiny, 20, k_shot=1, n_query=1, meta_batch_size=20)[1]
    counts = np.bincount(2 * readings.turned + readings.meant, minlength=4)
    assert counts.sum() == 400
    assert np.abs(counts - 100).max() < 4 * np.sqrt(400 * 0.25 * 0.75)
    first = readings.classes[:, 0]
    assert abs(np.mean(readings.turned[first < 6]) - np.mean(readings.turned[first >= 6])) < 4 * 0.05


def test_seeds_starts_and_batches_of_any_size(tiny):
    base = arrays(tiny, 4)
    same(base, arrays(tiny, 4))
    same(tf.nest.map_structure(lambda a: a[10:], base), arrays(tiny, 2, start=2))
    for batch in (1, 4, 10):
        same(tf.nest.map_structure(lambda a: a[:20], base), arrays(tiny, 20 // batch, meta_batch_size=batch))
    for seed in (1, 2**31, 2**62):
        assert not np.array_equal(arrays(tiny, 4, seed=seed)[1].support, base[1].support)
    later = stream_of(two_readings_episodes(tiny, **SIZES, seed=0, with_readings=True)).later(3)
    same(next(iter(later)), tf.nest.map_structure(lambda a: a[15:], base))


def test_a_stream_says_what_it_depends_on(tiny):
    stream = stream_of(two_readings_episodes(tiny, **SIZES, seed=0))
    assert stream.n_way == 2
    assert fingerprint(tiny) in stream.key
    keys = {repr(stream_of(two_readings_episodes(tiny, **(SIZES | {"seed": 0} | one))).key) for one in (
        {}, {"k_shot": 1}, {"n_query": 1}, {"meta_batch_size": 1}, {"seed": 1}, {"start": 1}, {"with_readings": True},
    )}  # fmt: skip
    assert len(keys) == 7


def test_generated_glyphs_will_do():
    glyphs = load_glyphs(n_alphabets=3, rotations=False).test
    episodes, readings = arrays(glyphs, 1, k_shot=1)
    assert episodes.support_x.shape[1] == 2
    np.testing.assert_array_equal(readings.by_character + readings.by_rotation, 1)


def test_what_cannot_be_read_in_two_ways_is_refused(tiny, classes_of):
    def refused(error, message, data=tiny, **options):
        with pytest.raises(error, match=message):
            two_readings_episodes(data, **(SIZES | {"seed": 0} | options))

    refused(TypeError, "data must be an ImageClasses.*Received: data of type NoneType", None)
    refused(ValueError, "turned copies.*rotations=False.*Received: .*'Tagalog/character00@90'", tiny.rotated())
    three = tiny.select([0, 1, 2])  # turned copies whose upright class is not there
    refused(ValueError, "'Tagalog/character00@90' and 'Tagalog/character00@180'", three.rotated().select([4, 3, 6]))
    refused(ValueError, r"square.*Received: data with image_shape=\(16, 8, 1\)",
            dataclasses.replace(tiny, images=np.ascontiguousarray(tiny.images[:, :, :8])))  # fmt: skip
    refused(ValueError, "at least 2 classes. Received: data with 1 class", classes_of([20]))
    refused(ValueError, "k_shot=18.*n_query=4 need 22", k_shot=18)
    for name in ("k_shot", "n_query", "meta_batch_size"):
        refused(ValueError, f"Received: {name}=0", **{name: 0})
        refused(ValueError, rf"Received: {name}=\(1, 2\)", **{name: (1, 2)})
    refused(ValueError, "Received: seed=-1", seed=-1)
    refused(ValueError, "Received: start=0.5", start=0.5)
    refused(ValueError, "Received: with_readings='no'", with_readings="no")


# -- readings covered ----------------------------------------------------------------------------------------------
CHARACTER = np.array([0, 1, 1, 0, 0])
ROTATION = 1 - CHARACTER


def answers(labels, margin=1.0):
    """Logits `[n, 2]` that choose these labels."""
    return margin * np.eye(2)[labels]


def test_members_of_both_readings_cover_both_and_of_one_half():
    both = np.stack([answers(CHARACTER), answers(ROTATION), answers(CHARACTER)])
    assert readings_covered(both, CHARACTER, ROTATION) == 1.0
    assert readings_covered(both[::2], CHARACTER, ROTATION) == 0.5
    assert readings_covered(both[1:2], CHARACTER, ROTATION) == 0.5
    assert readings_covered(both[0], CHARACTER, ROTATION) == 0.5  # of one model, without an axis of members
    assert readings_covered(-both, CHARACTER, ROTATION) == 1.0  # the other way round: both again
    # What is asked is the order of the outputs: logits, probabilities and float32 say the same.
    for outputs in (both * 7 - 100, both * 0.2 + 0.4, both.astype(np.float32)):
        assert readings_covered(outputs, CHARACTER, ROTATION) == 1.0


def test_a_reading_needs_its_share_of_one_members_queries():
    four = answers([0, 1, 1, 0, 1])  # four of five by character
    three = answers([0, 1, 1, 1, 1])
    assert readings_covered(four, CHARACTER, ROTATION) == 0.5
    assert readings_covered(three, CHARACTER, ROTATION) == 0.0
    assert readings_covered(four, CHARACTER, ROTATION, least=0.81) == 0.0
    assert readings_covered(three, CHARACTER, ROTATION, least=0.6) == 0.5
    # Two members do not add up to one.
    halves = np.stack([answers([0, 1, 1, 1, 1]), answers([1, 0, 1, 0, 0])])
    assert readings_covered(halves, CHARACTER, ROTATION) == 0.0


def test_members_that_answer_nothing_or_one_label_cover_nothing():
    for outputs in (np.zeros((3, 5, 2)), np.full((3, 5, 2), np.nan), answers([0] * 5), answers([1] * 5)):
        assert readings_covered(outputs, CHARACTER, ROTATION, least=0.7) == 0.0
    spoilt = answers(CHARACTER)
    spoilt[:2] = np.nan
    assert readings_covered(spoilt, CHARACTER, ROTATION) == 0.0
    spoilt[1] = (0, np.inf)
    assert readings_covered(spoilt, CHARACTER, ROTATION) == 0.5


def test_of_members_that_guess_hardly_any_covers_a_reading_of_30_queries():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 15)
    found = [readings_covered(rng.normal(size=(1, 30, 2)), labels, 1 - labels) for _ in range(5000)]
    assert np.mean(np.array(found) > 0) < 5 * 2 / 1400
    assert max(found) == 0.5, "of 5000 single members that guess, some pass for one reading: that is said in the Note"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": np.zeros((2, 4, 2))}, r"\[samples, 5, 2\].*Received: outputs with shape=\(2, 4, 2\)"),
        ({"outputs": np.zeros((0, 5, 2))}, r"Received: outputs with shape=\(0, 5, 2\)"),
        ({"outputs": np.zeros(5)}, r"Received: outputs with shape=\(5,\)"),
        ({"outputs": "abc"}, r"outputs must be numbers. Received: outputs='abc'"),
        ({"by_character": [0, 1, 2, 0, 0]}, r"integers 0 and 1.*Received: by_character="),
        ({"by_rotation": ROTATION.astype(float)}, r"Received: by_rotation="),
        ({"by_rotation": ROTATION[None]}, r"of one episode. Received: by_rotation="),
        ({"by_rotation": CHARACTER}, r"different labels. Received: by_character="),
        ({"by_rotation": ROTATION[:4]}, r"different labels. Received: by_character="),
        ({"least": 0.5}, r"least must be a share above 0.5 and at most 1. Received: least=0.5"),
        ({"least": 1.1}, r"Received: least=1.1"),
        ({"least": None}, r"Received: least=None"),
        ({"least": float("nan")}, r"Received: least=nan"),
    ],
)
def test_bad_arguments_are_named(options, message):
    right = {"outputs": answers(CHARACTER), "by_character": CHARACTER, "by_rotation": ROTATION}
    with pytest.raises(ValueError, match=message):
        readings_covered(**(right | options))
