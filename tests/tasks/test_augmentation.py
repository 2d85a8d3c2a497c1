import functools

import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.core.episode import Episode
from tfmeta.tasks import augmentation

SIZES = {"n_way": 4, "k_shot": 2, "n_query": 3, "meta_batch_size": 5}
KEY = tf.constant([3, 4], tf.int64)


@pytest.fixture
def episodes(tiny):
    return next(iter(tfmeta.episode_dataset(tiny, **SIZES, seed=0)))


def turns_of(old, new):
    """By how many quarter turns each image [n, h, w, c] was turned."""
    return [[k for k in range(4) if np.array_equal(np.rot90(a, k), b)] for a, b in zip(old, new, strict=True)]


def test_classes_turn_as_one_in_support_and_query(episodes):
    found = augmentation.rotate_classes(episodes, KEY)
    seen = set()
    for i in range(5):
        by_class = {}
        for part in ("support", "query"):
            old, new = (getattr(e, f"{part}_x")[i].numpy() for e in (episodes, found))
            for label, turns in zip(getattr(episodes, f"{part}_y")[i].numpy(), turns_of(old, new), strict=True):
                assert len(turns) == 1
                by_class.setdefault(label, set()).add(turns[0])
        assert all(len(turns) == 1 for turns in by_class.values())
        seen |= {turn for turns in by_class.values() for turn in turns}
    assert seen == {0, 1, 2, 3}
    np.testing.assert_array_equal(found.support_y, episodes.support_y)


def test_shift_equals_a_naive_one_and_reaches_every_corner(episodes):
    found = augmentation.shift(episodes, KEY, pixels=1)
    moves = set()
    for old, new in zip(
        episodes.query_x.numpy().reshape(-1, 16, 16), found.query_x.numpy().reshape(-1, 16, 16), strict=True
    ):
        padded = np.pad(old, 1)
        fits = [
            (r, c) for r in range(3) for c in range(3) if np.array_equal(padded[r : r + 16, c : c + 16], new)
        ]  # fmt: skip
        assert len(fits) == 1
        moves |= set(fits)
    assert len(moves) == 9


@pytest.mark.parametrize("along", ["rows", "columns"])
def test_elastic_moves_by_the_strength_asked_for_and_smoothly(along):
    """A ramp shows where each pixel came from, along one axis."""
    size = 40
    ramp = np.tile(np.arange(size, dtype=np.float32)[:, None, None] / size, (1, size, 1))
    ramp = ramp if along == "rows" else ramp.transpose(1, 0, 2)
    batch = np.tile(ramp, (3, 20, 1, 1, 1))
    labels = np.zeros((3, 20), np.int32)
    bent = augmentation.elastic(Episode(batch, labels, batch, labels), KEY, strength=1.5, smoothness=4.0).support_x
    moved = ((bent - batch) * size)[:, :, 8:-8, 8:-8, 0].numpy()
    assert moved.std() == pytest.approx(1.5, rel=0.1)
    assert np.abs(np.diff(moved, axis=-1)).max() < 1.5
    assert np.abs(moved[0, 0] - moved[0, 1]).max() > 0.5


def test_elastic_keeps_ink_and_range(episodes):
    bent = augmentation.elastic(episodes, KEY)
    assert bent.support_x.shape == episodes.support_x.shape
    assert float(tf.reduce_min(bent.support_x)) >= 0
    assert float(tf.reduce_max(bent.support_x)) <= 1
    assert float(tf.reduce_mean(bent.query_x)) == pytest.approx(float(tf.reduce_mean(episodes.query_x)), rel=0.2)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_label_noise_has_its_rate_and_spares_queries(random_episodes, fraction):
    episodes = random_episodes(batch=400)
    found = augmentation.label_noise(episodes, KEY, fraction=fraction)
    wrong = found.support_y.numpy() != episodes.support_y.numpy()
    assert wrong.mean() == pytest.approx(fraction, abs=0.03)
    assert set(np.unique(found.support_y)) == {0, 1, 2}
    np.testing.assert_array_equal(found.query_y, episodes.query_y)


@pytest.mark.slow
def test_a_stream_is_reproducible_and_starts_anywhere(tiny):
    def batches(seed, start=0, n=3):
        stream = tfmeta.episode_dataset(tiny, **SIZES, seed=1, start=start)
        transforms = (augmentation.rotate_classes, functools.partial(augmentation.shift, pixels=2))
        return [e.support_x.numpy() for e in augmentation.augment(stream, *transforms, seed=seed, start=start).take(n)]

    whole = batches(0)
    np.testing.assert_array_equal(whole, batches(0))
    np.testing.assert_array_equal(whole[2], batches(0, start=2, n=1)[0])
    assert not np.array_equal(whole, batches(1))
    assert not np.array_equal(whole[0], whole[1])


@pytest.mark.slow
def test_one_seed_changes_tasks_alike_in_batches_of_any_size(tiny):
    def tasks(meta_batch_size):
        sizes = {**SIZES, "meta_batch_size": meta_batch_size}
        transforms = (augmentation.rotate_classes, augmentation.elastic, augmentation.label_noise)
        stream = augmentation.augment(tfmeta.episode_dataset(tiny, **sizes, seed=1), *transforms, seed=2**35)
        for episodes in stream.take(-(-6 // meta_batch_size)):
            yield from zip(*(tensor.numpy() for tensor in episodes), strict=True)

    for one, two, six in zip(tasks(1), tasks(2), tasks(6), strict=True):
        for a, b, c in zip(one, two, six, strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)


@pytest.mark.slow
def test_a_learner_trains_on_augmented_episodes(tiny):
    stream = augmentation.augment(
        tfmeta.episode_dataset(tiny, **SIZES, seed=0),
        augmentation.rotate_classes, augmentation.elastic, augmentation.label_noise, seed=0,
    )  # fmt: skip
    learner = tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=4, input_shape=(16, 16, 1)))
    learner.compile()
    assert np.isfinite(learner.fit(stream, steps_per_epoch=2, verbose=0).history["loss"][0])


def test_bad_input_is_named(tiny, episodes):
    stream = tfmeta.episode_dataset(tiny, **SIZES, seed=0)
    with pytest.raises(ValueError, match=r"at least one transform"):
        augmentation.augment(stream, seed=0)
    with pytest.raises(TypeError, match=r"dataset must hold Episode"):
        augmentation.augment(tf.data.Dataset.range(3), augmentation.shift, seed=0)
    with pytest.raises(ValueError, match=r"Received: pixels=0"):
        augmentation.shift(episodes, KEY, pixels=0)
    with pytest.raises(ValueError, match=r"Received: strength=-1"):
        augmentation.elastic(episodes, KEY, strength=-1)
    with pytest.raises(ValueError, match=r"Received: fraction=1.5"):
        augmentation.label_noise(episodes, KEY, fraction=1.5)
    wide = episodes._replace(support_x=episodes.support_x[:, :, :8])
    with pytest.raises(ValueError, match=r"square images. Received: images of 8x16 pixels"):
        augmentation.rotate_classes(wide, KEY)


@pytest.mark.parametrize("make", [lambda e: tfmeta.FineTunedClassifier(e, 12), tfmeta.NearestNeighbour])
def test_a_class_that_wrong_labels_have_emptied_does_not_stop_a_baseline(make):
    """Labels of the support set may leave out the last class, which the queries still have."""
    learner = make(tfmeta.networks.conv4(filters=2, input_shape=(16, 16, 1)))
    x = tf.random.stateless_uniform([3, 16, 16, 1], [1, 2])
    episode = tfmeta.Episode(x, tf.constant([0, 1, 0]), x, tf.constant([0, 1, 2]))
    outputs = learner.query_outputs(episode)
    assert outputs.shape == (3, 3)
    found = learner.measure(tfmeta.Episode(*(part[None] for part in episode)))
    assert all(np.isfinite(value).all() for value in found.values())
