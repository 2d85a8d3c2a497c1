"""What stands behind an accuracy, against counts by hand."""

import collections
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import once
from tfmeta.evaluation.details import NO_CLASS, UNDEFINED, ScoreDetails, Tally

TASKS = {"n_way": 3, "k_shot": 1, "n_query": 4}


@pytest.fixture(scope="module")
def hard(classes_of):
    """Classes of unequal difficulty, of which one query in three is wrong."""
    classes = classes_of([20] * 6)
    noise = np.random.default_rng(1).normal(0, 250, classes.images.shape)
    return tfmeta.datasets.from_arrays(
        np.clip(classes.images + noise, 0, 255).astype(np.uint8), [f"Class {k}" for k in classes.labels], name="hard"
    )


@pytest.fixture(scope="module")
def score(hard):
    """23 episodes, no multiple of the meta-batch."""
    return tfmeta.evaluate(tfmeta.NearestNeighbour(), hard, **TASKS, episodes=23, seed=3, details=True)


def counted(learner, data, n, **options):
    """Accuracies and (true, predicted) names of episodes, one after the other, from ids."""
    accuracies, pairs = [], collections.Counter()
    for episodes, ids in tfmeta.episode_dataset(data, meta_batch_size=20, with_ids=True, **options).take(-(-n // 20)):
        for i in range(min(20, n - len(accuracies))):
            one = tfmeta.Episode(*(tensor[i] for tensor in episodes))
            guesses = np.argmax(learner.query_outputs(one), axis=1)
            names = [data.class_names[k] for k in ids.classes[i].numpy()]
            accuracies.append(np.mean(guesses == one.query_y.numpy()))
            true = [data.class_names[k] for k in data.labels[ids.query[i].numpy()]]
            pairs.update(zip(true, (names[g] for g in guesses), strict=True))
    return accuracies, pairs


def test_episodes_classes_and_confusions_are_those_counted_by_hand(score, hard):
    accuracies, pairs = counted(tfmeta.NearestNeighbour(), hard, 23, **TASKS, seed=3)
    found = score.details
    assert 0.4 < np.mean(accuracies) < 0.9, "else the counts say little"
    np.testing.assert_allclose(found.accuracies, accuracies, atol=1e-6)
    assert score.accuracy == pytest.approx(np.mean(accuracies), abs=1e-6)
    assert found.class_names == hard.class_names == tuple(f"Class {k}" for k in range(6))
    for (i, true), (j, predicted) in ((a, b) for a in enumerate(hard.class_names) for b in enumerate(hard.class_names)):
        assert found.confusion[i, j] == pairs[true, predicted]
    queries = {name: sum(n for (true, _), n in pairs.items() if true == name) for name in hard.class_names}
    assert found.queries.tolist() == list(queries.values())
    assert found.queries.sum() == 23 * 12
    for name, (accuracy, n) in found.per_class.items():
        assert n == queries[name]
        assert accuracy == pytest.approx(pairs[name, name] / n)
    assert repr(found) == "ScoreDetails(23 episodes, 6 classes)"


def test_details_change_nothing_else(score, hard):
    plain = tfmeta.evaluate(tfmeta.NearestNeighbour(), hard, **TASKS, episodes=23, seed=3)
    assert plain.details is None
    assert plain == score
    assert str(plain) == str(score)
    assert repr(plain) == repr(score)
    assert {**score.to_dict(), "details": None} == {**plain.to_dict(), "details": None}
    assert "details" not in plain.to_dict()


def test_one_seed_is_the_same_episodes_for_every_number_of_them(score, hard):
    """Of 7 episodes one meta-batch of 7 is drawn, of 23 two of 20; a stream of one's own may have any size."""
    few = tfmeta.evaluate(tfmeta.NearestNeighbour(), hard, **TASKS, episodes=7, seed=3, details=True)
    np.testing.assert_array_equal(few.details.accuracies, score.details.accuracies[:7])
    stream = tfmeta.episode_dataset(hard, **TASKS, meta_batch_size=1, seed=3)
    given = tfmeta.evaluate(tfmeta.NearestNeighbour(), stream.take(23), details=True)
    np.testing.assert_array_equal(given.details.accuracies, score.details.accuracies)


def test_details_survive_json(score):
    read = tfmeta.Score(**json.loads(json.dumps(score.to_dict())))
    assert read == score
    np.testing.assert_array_equal(read.details.accuracies, score.details.accuracies)
    np.testing.assert_array_equal(read.details.confusion, score.details.confusion)
    assert read.details.per_class == score.details.per_class


def test_of_given_episodes_the_labels_are_counted(hard):
    episodes = next(iter(tfmeta.episode_dataset(hard, **TASKS, meta_batch_size=7, seed=2)))
    learner = tfmeta.NearestNeighbour()
    matrix = np.zeros((3, 3), int)
    for i in range(7):
        guesses = np.argmax(learner.query_outputs(tfmeta.Episode(*(t[i] for t in episodes))), axis=1)
        np.add.at(matrix, (episodes.query_y[i].numpy(), guesses), 1)
    found = tfmeta.evaluate(learner, once(episodes), details=True)
    assert found.details.class_names == ("label 0", "label 1", "label 2")
    np.testing.assert_array_equal(found.details.confusion, matrix)
    assert found.seed is None
    assert str(found).endswith("single model)")


class Fixed:
    """Adapts to a model of these outputs, whatever the task."""

    def __init__(self, outputs):
        self.outputs = np.asarray(outputs, np.float32)

    def adapt(self, support_x, support_y):
        return self

    def predict_on_batch(self, x):
        return np.resize(self.outputs, (len(x), self.outputs.shape[-1]))


@pytest.mark.parametrize("where", ["graph", "adapting"])
def test_outputs_that_are_not_numbers_are_wrong_and_not_the_first_class(tiny, where):
    if where == "graph":
        network = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        network.layers[-1].bias.assign([0.0, np.nan, 0.0])
        learner = tfmeta.MAML(network, inner_lr=0.1)
    else:
        learner = Fixed([[1.0, np.nan, 0.0]])
    with pytest.warns(
        UserWarning, match=r"not numbers for 24 queries of 2 episodes, which is counted as wrong"
    ) as caught:
        found = tfmeta.evaluate(learner, tiny, **TASKS, episodes=2, details=True)
    assert caught[0].filename == __file__
    assert found.accuracy == 0.0
    assert found.details.undefined == found.details.queries.sum() == 24
    assert found.details.confusion.sum() == found.details.hits.sum() == 0


def test_an_output_for_a_label_that_the_episode_does_not_have_is_wrong(tiny):
    found = tfmeta.evaluate(Fixed([[0.0, 0.0, 0.0, 1.0]]), tiny, **TASKS, episodes=2, details=True)
    assert (found.accuracy, found.details.undefined) == (0.0, 0)
    assert set(found.details.answers[:, 1]) == {NO_CLASS}


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([[0.7]], r"one logit or probability per class of an episode. Received: outputs with shape=\(12, 1\)"),
        ([[0.7, 0.1]], r"at least 3 wide, one per class of an episode. Received: outputs with shape=\(12, 2\)"),
    ],
)
def test_too_few_outputs_are_refused(tiny, outputs, message):
    """Of one output the largest is always the first: half of all two-way answers would be right."""
    with pytest.raises(ValueError, match=message):
        tfmeta.evaluate(Fixed(outputs), tiny, **TASKS, episodes=2)


def test_a_tally_by_hand():
    tally = Tally(("ant", "bee", "cat"))
    tally.add(np.array([[0, 1, 1]]), np.array([[0, 0, -1]]), np.array([[2, 0]]))  # label 0 is cat, label 1 is ant
    tally.add(np.array([[0, 0, 1]]), np.array([[1, 0, 1]]), np.array([[2, 0]]))
    found = tally.details(np.array([1 / 3, 2 / 3]))
    assert found.confusion.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 2]]
    assert found.queries.tolist() == [3, 0, 3]
    assert found.hits.tolist() == [1, 0, 2]
    assert found.per_class == {"ant": (1 / 3, 3), "cat": (2 / 3, 3)}
    assert (found.undefined, tally.undefined, UNDEFINED) == (1, 1, -1)
    again = ScoreDetails.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(again.confusion, found.confusion)


def test_many_classes_need_no_square_of_memory():
    tally = Tally([str(k) for k in range(10**6)])
    tally.add(np.array([[0, 1]]), np.array([[1, 1]]), np.array([[999_999, 7]]))
    assert tally.details(np.array([0.5])).answers.tolist() == [[7, 7, 1], [999_999, 7, 1]]


def test_sizes_that_vary_are_drawn_for_each_episode_and_reported_as_given(tiny):
    sizes = {"n_way": (2, 5), "k_shot": (1, 3), "n_query": (1, 4)}
    found = tfmeta.evaluate(tfmeta.NearestNeighbour(), tiny, **sizes, episodes=30, seed=1, details=True)
    assert (found.n_way, found.k_shot, found.n_query) == ((2, 5), (1, 3), (1, 4))
    assert (
        str(found)
        .split("(")[1]
        .startswith("2 to 5-way 1 to 3-shot, 95 % interval over 30 episodes, 1 to 4 queries a class, tiny")
    )
    stream = tfmeta.episode_dataset(tiny, **sizes, meta_batch_size=1, seed=1).take(30)
    assert found.details.queries.sum() == sum(e.query_y.shape[1] for e in stream)
    again = tfmeta.evaluate(tfmeta.NearestNeighbour(), stream)
    assert again.accuracy == found.accuracy
    assert (again.n_way, again.k_shot, again.n_query) == ((2, 5), (1, 3), (1, 4))
    assert tfmeta.Score(**json.loads(json.dumps(found.to_dict()))) == found


def test_ways_that_vary_are_refused_by_a_network_of_fixed_outputs_before_work(tiny, monkeypatch):
    monkeypatch.setattr("tfmeta.evaluation.scores.episode_dataset", lambda *_, **__: pytest.fail("work was started"))
    network = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"one number for MAML.*take a range. Received: n_way=\(2, 3\)"):
        tfmeta.evaluate(tfmeta.MAML(network), tiny, n_way=(2, 3), k_shot=1)
    monkeypatch.undo()
    narrow = tfmeta.episode_dataset(tiny, n_way=2, k_shot=3, n_query=6, meta_batch_size=2, seed=0).take(1)
    stream = tfmeta.episode_dataset(tiny, n_way=3, k_shot=2, n_query=4, meta_batch_size=2, seed=0).take(1)
    with pytest.raises(ValueError, match=r"n_way=2 wide.*outputs of shape \(3,\)"):
        tfmeta.evaluate(tfmeta.MAML(network), stream.concatenate(narrow))


@pytest.mark.parametrize("n_way", [1, (1, 3)])
def test_of_one_class_every_answer_would_be_right(tiny, n_way):
    with pytest.raises(ValueError, match=r"every answer is right. Received: n_way="):
        tfmeta.evaluate(tfmeta.NearestNeighbour(), tiny, n_way=n_way, k_shot=1)
    episodes = tfmeta.episode_dataset(tiny, n_way=1, k_shot=1, n_query=2, meta_batch_size=2, seed=0).take(1)
    with pytest.raises(ValueError, match=r"every answer is right. Received: n_way=1"):
        tfmeta.evaluate(tfmeta.NearestNeighbour(), episodes)


def test_two_classes_are_enough(classes_of):
    two = classes_of([6, 5])
    found = tfmeta.evaluate(tfmeta.NearestNeighbour(), two, n_way=2, k_shot=1, n_query=3, episodes=4, details=True)
    assert found.details.queries.tolist() == [12, 12]
    for batch in tfmeta.datasets.labelled_batches(two, batch_size=4, seed=0).take(1):
        assert tf.reduce_max(batch[1]) <= 1
