import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.conftest import make_classes
from tfmeta.core.episode import Episode
from tfmeta.tasks.sampling import EpisodeIds, episode_dataset, queries_left, sample_episode

SIZES = {"n_way": 5, "k_shot": 2, "n_query": 3}


@pytest.fixture(scope="module")
def numbered():
    """Images whose pixels say their own class and number, in classes of unequal size."""
    counts = [7, 30, 9, 12, 8, 21, 7, 10]
    data = make_classes(counts)
    images = np.zeros_like(data.images)
    images[:, 0, 0, 0] = data.labels
    images[:, 0, 1, 0] = np.concatenate([np.arange(n) for n in counts])
    return tfmeta.datasets.ImageClasses(images, data.labels, data.class_names, data.alphabets, "numbered")


def read(images):
    """(class, number) of `numbered` images `[..., 16, 16, 1]`."""
    pixels = np.rint(images.numpy()[..., 0, :2, 0] * 255).astype(int)
    return pixels[..., 0], pixels[..., 1]


def test_properties_hold_over_thousands_of_episodes(numbered):
    counts = numbered.counts
    seen_classes, seen_images, seen_labels = np.zeros(8), set(), np.zeros((8, 5))
    for episode in episode_dataset(numbered, **SIZES, meta_batch_size=100, seed=0).take(30):
        assert episode.support_x.shape == (100, 10, 16, 16, 1)
        assert episode.query_x.shape == (100, 15, 16, 16, 1)
        assert episode.support_x.dtype == tf.float32
        assert episode.support_y.dtype == tf.int32
        s_class, s_number = read(episode.support_x)
        q_class, q_number = read(episode.query_x)
        for i in range(100):
            support = set(zip(s_class[i], s_number[i], strict=True))
            query = set(zip(q_class[i], q_number[i], strict=True))
            assert len(support) == 10, "an image occurs twice in the support set"
            assert len(query) == 15, "an image occurs twice in the query set"
            assert not support & query, "an image is in both sets"
            assert all(number < counts[c] for c, number in support | query), "an image of another class"
            label_of = dict(zip(s_class[i], episode.support_y[i].numpy(), strict=True))
            assert sorted(label_of.values()) == [0, 1, 2, 3, 4], "classes are not distinct or not relabelled"
            assert [label_of[c] for c in q_class[i]] == list(episode.query_y[i].numpy())
            assert np.array_equal(np.bincount(episode.support_y[i]), [2] * 5)
            assert np.array_equal(np.bincount(episode.query_y[i]), [3] * 5)
            for c, label in label_of.items():
                seen_classes[c] += 1
                seen_labels[c, label] += 1
            seen_images |= support | query
    assert len(seen_images) == counts.sum(), "some image is never drawn"
    # 3000 episodes of 5 out of 8 classes: 1875 each, standard deviation 26.5; each label a fifth of that.
    np.testing.assert_allclose(seen_classes, 1875, atol=6 * 26.5)
    np.testing.assert_allclose(seen_labels, 375, atol=6 * 18.2)


def test_every_image_of_a_class_is_equally_likely_in_support(numbered):
    drawn = np.zeros(30)
    for episode in episode_dataset(numbered, n_way=8, k_shot=1, n_query=1, meta_batch_size=500, seed=1).take(6):
        classes, numbers = read(episode.support_x)
        drawn += np.bincount(numbers[classes == 1], minlength=30)
    np.testing.assert_allclose(drawn, 100, atol=6 * 9.9)


def test_order_does_not_reveal_the_label(tiny):
    first = np.concatenate(
        [e.support_y[:, 0].numpy() for e in episode_dataset(tiny, **SIZES, meta_batch_size=200, seed=0).take(5)]
    )
    np.testing.assert_allclose(np.bincount(first, minlength=5), 200, atol=6 * 12.7)


def test_same_seed_same_stream_other_seed_other_stream(tiny):
    def first(seed, start=0):
        return next(iter(episode_dataset(tiny, **SIZES, meta_batch_size=4, seed=seed, start=start)))

    assert all(np.array_equal(a, b) for a, b in zip(first(3), first(3), strict=True))
    assert not np.array_equal(first(3).support_x, first(4).support_x)
    assert not np.array_equal(first(3).support_x, first(3 + 2**40).support_x)
    third = list(episode_dataset(tiny, **SIZES, meta_batch_size=4, seed=3).take(3))[2]
    assert np.array_equal(third.query_x, first(3, start=2).query_x)


def test_no_episode_repeats_within_or_across_epochs(tiny):
    seen = {e.support_x.numpy().tobytes() for e in episode_dataset(tiny, **SIZES, meta_batch_size=1, seed=0).take(200)}
    assert len(seen) == 200


def test_every_epoch_of_fit_sees_new_episodes(tiny):
    """Keras reads on in an endless dataset; a finite one is the same in every epoch, for validation."""
    import keras

    seen = []

    class Watch(keras.Model):
        def train_step(self, episode):
            tf.py_function(lambda x: seen.append(x.numpy().tobytes()), [episode.support_x], [])
            return {"loss": tf.constant(0.0)}

    model = Watch()
    model.built = True
    model.compile(optimizer="sgd", run_eagerly=True)
    model.fit(episode_dataset(tiny, **SIZES, meta_batch_size=1, seed=0), steps_per_epoch=3, epochs=3, verbose=0,
              shuffle=False)  # fmt: skip
    assert len(set(seen)) == len(seen) == 9


def test_sample_episode_is_one_episode_in_range(tiny):
    episode = sample_episode(tiny, **SIZES, seed=0)
    assert isinstance(episode, Episode)
    assert episode.support_x.shape == (10, 16, 16, 1)
    assert 0.0 <= float(tf.reduce_min(episode.query_x)) <= float(tf.reduce_max(episode.query_x)) <= 1.0


def test_names_survive_tf_data(tiny):
    spec = episode_dataset(tiny, **SIZES, meta_batch_size=2, seed=0).element_spec
    assert isinstance(spec, Episode)
    assert spec.query_y.shape == (2, 15)


def test_sampling_needs_no_python_per_episode(tiny, monkeypatch):
    stream = iter(episode_dataset(tiny, **SIZES, meta_batch_size=2, seed=0))
    next(stream)
    monkeypatch.setattr("tfmeta.tasks.sampling._Sampler.__call__", None)
    next(stream)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_way": 13}, r"'tiny' has 12. Received: n_way=13"),
        (
            {"k_shot": 5, "n_query": 16},
            r"20 images, but k_shot=5 \+ n_query=16 need 21 .*; n_query can be at most 15 with this k_shot\. R",
        ),
        ({"n_way": 0}, r"at least 1. Received: n_way=0"),
        ({"k_shot": -1}, r"at least 1. Received: k_shot=-1"),
        ({"n_way": (5, 13)}, r"'tiny' has 12. Received: n_way=\(5, 13\)"),
        (
            {"k_shot": (1, 5), "n_query": (2, 16)},
            r"20 images, but k_shot=5 \+ n_query=16 need 21.*Received: k_shot=\(1, 5\), n_query=\(2, 16\)",
        ),
        ({"n_way": (5, 4)}, r"or a range of them, \(lowest, highest\). Received: n_way=\(5, 4\)"),
        ({"k_shot": (0, 4)}, r"or a range of them, \(lowest, highest\). Received: k_shot=\(0, 4\)"),
        ({"n_query": (1, 2, 3)}, r"or a range of them, \(lowest, highest\). Received: n_query=\(1, 2, 3\)"),
        ({"n_query": (1, 2.0)}, r"or a range of them, \(lowest, highest\). Received: n_query=\(1, 2.0\)"),
        ({"n_way": (True, 4)}, r"or a range of them, \(lowest, highest\). Received: n_way=\(True, 4\)"),
        ({"n_query": 2.0}, r"whole number of at least 1. Received: n_query=2.0"),
        ({"meta_batch_size": 0}, r"Received: meta_batch_size=0"),
        ({"seed": -1}, r"Received: seed=-1"),
        ({"start": -1}, r"Received: start=-1"),
    ],
)
def test_bad_sizes_are_named(tiny, change, message):
    with pytest.raises(ValueError, match=message):
        episode_dataset(tiny, **(SIZES | {"meta_batch_size": 2, "seed": 0} | change))


def test_the_poorest_class_is_named(unequal):
    with pytest.raises(ValueError, match=r"class 'Tagalog/character00' has 7 images.*need 8 \(2 of 8 classes"):
        sample_episode(unequal, n_way=2, k_shot=3, n_query=5, seed=0)


def test_arrays_are_refused_by_name():
    with pytest.raises(TypeError, match=r"must be an ImageClasses.*Received: data of type ndarray"):
        sample_episode(np.zeros((3, 3)), n_way=1, k_shot=1, n_query=1, seed=0)


@pytest.mark.parametrize(("k_shot", "at_most", "left"), [(1, 15, 6), (2, 3, 3), (6, 15, 1), (9, 15, 1)])
def test_queries_are_as_many_as_wanted_or_as_the_smallest_class_leaves(unequal, k_shot, at_most, left):
    assert queries_left(unequal, k_shot, at_most) == left


# ---- which classes and images an episode holds -----------------------------------------------------------------------
def assert_ids_are_those_of(data, episode, ids):
    """Ids of one episode: the very images, and the class behind each label."""
    classes, support, query = (tensor.numpy() for tensor in ids)
    for rows, x, y in ((support, episode.support_x, episode.support_y), (query, episode.query_x, episode.query_y)):
        np.testing.assert_array_equal(data.images[rows], np.rint(x.numpy() * 255))
        np.testing.assert_array_equal(data.labels[rows], classes[y.numpy()])
    assert len(set(classes)) == len(classes)
    assert not set(support) & set(query)


def test_ids_name_the_images_and_the_classes(unequal):
    episode, ids = sample_episode(unequal, **SIZES, seed=4, with_ids=True)
    assert isinstance(ids, EpisodeIds)
    assert [tensor.shape.as_list() for tensor in ids] == [[5], [10], [15]]
    assert_ids_are_those_of(unequal, episode, ids)
    for episodes, of_batch in episode_dataset(unequal, **SIZES, meta_batch_size=3, seed=4, with_ids=True).take(4):
        assert [tensor.shape.as_list() for tensor in of_batch] == [[3, 5], [3, 10], [3, 15]]
        for i in range(3):
            one, its_ids = (type(part)(*(tensor[i] for tensor in part)) for part in (episodes, of_batch))
            assert_ids_are_those_of(unequal, one, its_ids)


def test_ids_change_nothing_about_the_episodes(tiny):
    options = {**SIZES, "meta_batch_size": 2, "seed": 8, "start": 3}
    plain, with_ids = (episode_dataset(tiny, **options, with_ids=flag).take(3) for flag in (False, True))
    for a, (b, _) in zip(plain, with_ids, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_one_seed_is_the_same_episodes_in_batches_of_any_size(unequal, batch):
    def episodes(meta_batch_size):
        stream = episode_dataset(unequal, **SIZES, meta_batch_size=meta_batch_size, seed=2**33 + 5, with_ids=True)
        for pair in stream.take(-(-8 // meta_batch_size)):
            yield from zip(*(tensor.numpy() for part in pair for tensor in part), strict=True)

    for i, (found, one) in enumerate(zip(episodes(batch), episodes(1), strict=False)):
        for a, b in zip(found, one, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"episode {i}")
    assert i >= 7


def test_the_first_episode_of_a_stream_is_that_of_sample_episode(tiny):
    first = next(iter(episode_dataset(tiny, **SIZES, meta_batch_size=4, seed=6)))
    for a, b in zip(first, sample_episode(tiny, **SIZES, seed=6), strict=True):
        np.testing.assert_array_equal(a[0], b)


def test_the_stream_of_a_seed_stays_as_it_is(unequal):
    """Numbers of the version before: a score that was published is of these episodes."""
    stream = episode_dataset(unequal, n_way=3, k_shot=1, n_query=2, meta_batch_size=1, seed=5, start=7, with_ids=True)
    episode, ids = next(iter(stream))
    assert ids.classes.numpy().tolist() == [[4, 2, 3]]
    assert ids.support.numpy().tolist() == [[58, 52, 44]]
    assert episode.query_y.numpy().tolist() == [[2, 2, 1, 0, 0, 1]]


# ---- sizes that vary -------------------------------------------------------------------------------------------------
RANGES = {"n_way": (2, 5), "k_shot": (1, 3), "n_query": (2, 4)}


def sizes_of(episode):
    n_way = int(episode.support_y.numpy().max()) + 1
    return n_way, episode.support_y.shape[-1] // n_way, episode.query_y.shape[-1] // n_way


def test_ranges_are_drawn_for_each_meta_batch_and_reach_both_ends(unequal):
    seen = []
    for episodes, ids in episode_dataset(unequal, **RANGES, meta_batch_size=3, seed=0, with_ids=True).take(120):
        n_way, k_shot, n_query = sizes_of(episodes)
        for labels, per_class in ((episodes.support_y, k_shot), (episodes.query_y, n_query)):
            for row in labels.numpy():
                assert np.bincount(row).tolist() == [per_class] * n_way
        one, its_ids = (type(part)(*(tensor[1] for tensor in part)) for part in (episodes, ids))
        assert_ids_are_those_of(unequal, one, its_ids)
        seen.append((n_way, k_shot, n_query))
    for drawn, (low, high) in zip(zip(*seen, strict=True), RANGES.values(), strict=True):
        assert set(drawn) == set(range(low, high + 1))
        # 120 draws among n numbers; five standard deviations.
        n = high - low + 1
        np.testing.assert_allclose(np.bincount(drawn)[low:], 120 / n, atol=5 * np.sqrt(120 / n))
    assert len(set(seen)) > 20, "the three are drawn apart from each other"


def test_ranges_are_reproducible_and_start_anywhere(tiny):
    def stream(seed, start=0):
        return list(episode_dataset(tiny, **RANGES, meta_batch_size=2, seed=seed, start=start).take(6))

    first, again, later, other = stream(3), stream(3), stream(3, start=4), stream(4)
    for a, b in [*zip(first, again, strict=True), *zip(first[4:], later[:2], strict=True)]:
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    assert [sizes_of(a) for a in first] != [sizes_of(a) for a in other]


def test_lengths_that_vary_are_none_and_others_stay_known(tiny):
    spec = episode_dataset(tiny, **{**SIZES, "k_shot": (1, 3)}, meta_batch_size=2, seed=0).element_spec
    assert spec.support_x.shape.as_list() == [2, None, 16, 16, 1]
    assert spec.query_x.shape.as_list() == [2, 15, 16, 16, 1]
    assert spec.query_y.shape.as_list() == [2, 15]
    spec = episode_dataset(tiny, **{**SIZES, "n_way": (2, 3)}, meta_batch_size=2, seed=0).element_spec
    assert [part.shape.as_list()[:2] for part in spec] == [[2, None]] * 4


def test_a_range_of_one_number_is_that_number(tiny):
    fixed, ranges = sample_episode(tiny, **SIZES, seed=1), {name: [n, n] for name, n in SIZES.items()}
    for a, b in zip(fixed, sample_episode(tiny, **ranges, seed=1), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_episode_takes_ranges_too(tiny):
    assert len({sizes_of(sample_episode(tiny, **RANGES, seed=s)) for s in range(12)}) > 4
