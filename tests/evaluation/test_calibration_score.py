"""`evaluate(..., calibration=True)`: for every classifier, against naive loops; its intervals; and who is refused."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import CLASSIFIERS, borrow
from tests.algorithms.pieces import once, task, two_blocks
from tfmeta import evaluation
from tfmeta.datasets import sinusoid_episodes
from tfmeta.evaluation import Calibration
from tfmeta.evaluation.calibration import log_softmax
from tfmeta.evaluation.calibration_score import CalibrationTally

TASKS = {"n_way": 3, "k_shot": 2, "n_query": 4}
SURE = [name for name in CLASSIFIERS if name != "NearestNeighbour"]


@pytest.fixture(scope="module")
def hard(classes_of):
    """Classes that cannot all be told apart, so that no probability is 0 or 1."""
    classes = classes_of([20] * 6)
    noise = np.random.default_rng(1).normal(0, 250, classes.images.shape)
    images = np.clip(classes.images + noise, 0, 255).astype(np.uint8)
    return tfmeta.datasets.from_arrays(images, classes.labels, name="hard")


@pytest.fixture(scope="module")
def episodes(hard):
    return next(iter(tfmeta.episode_dataset(hard, **TASKS, meta_batch_size=7, seed=2)))


def softmax(logits):
    return np.exp(log_softmax(logits))


def assert_is(found, labels, probabilities, rtol=1e-4):
    """The calibration is that of the queries of these episodes, lists of `[n]` and `[n, n_way]`."""
    for value, interval, score in (
        (found.nll, found.nll_interval, evaluation.negative_log_likelihood),
        (found.brier, found.brier_interval, evaluation.brier_score),
    ):
        each = [score(*one) for one in zip(labels, probabilities, strict=True)]
        assert value == pytest.approx(np.mean(each), rel=rtol)
        assert interval == pytest.approx(1.959964 * np.std(each, ddof=1) / math.sqrt(len(each)), rel=100 * rtol)
    widest = max(rows.shape[1] for rows in probabilities)
    alike = [np.pad(rows, ((0, 0), (0, widest - rows.shape[1]))) for rows in probabilities]
    everything = np.concatenate(labels), np.concatenate(alike)
    assert found.ece == pytest.approx(evaluation.expected_calibration_error(*everything), abs=rtol)
    assert (found.episodes, found.queries) == (len(labels), len(everything[0]))
    np.testing.assert_array_equal(found.reliability.count, evaluation.reliability(*everything).count)


def judged(learner, episodes):
    """Labels and the softmax of a learner's outputs, episode by episode."""
    labels, probabilities = [], []
    for i in range(len(episodes.query_y)):
        one = task(episodes, i)
        labels.append(one.query_y.numpy())
        outputs = learner.query_outputs(one, key=tf.constant(i, tf.int64))
        probabilities.append(softmax(outputs.numpy()))
    return labels, probabilities


# -- every classifier ----------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("name", SURE)
def test_of_every_classifier_it_is_that_of_its_probabilities(name, episodes):
    learner = borrow(name)
    plain, score = tfmeta.evaluate(learner, episodes), tfmeta.evaluate(learner, episodes, calibration=True)
    assert plain.calibration is None
    assert score == plain, "calibration changes nothing else"
    assert_is(score.calibration, *judged(learner, episodes), rtol=2e-3)
    assert score.calibration.method == score.method


def test_drawn_episodes_are_judged_as_given_ones_and_no_more_of_them(hard):
    learner = borrow("PrototypicalNetwork")
    found = tfmeta.evaluate(learner, hard, **TASKS, episodes=23, seed=3, calibration=True).calibration
    stream = tfmeta.episode_dataset(hard, **TASKS, meta_batch_size=23, seed=3)
    assert_is(found, *judged(learner, next(iter(stream))))


def test_one_graph_with_and_one_without_and_neither_is_traced_again(episodes):
    keras.utils.set_random_seed(0)
    learner = tfmeta.PrototypicalNetwork(two_blocks())
    traced, outputs = [], learner.query_outputs
    learner.query_outputs = lambda *given, **options: (traced.append(1), outputs(*given, **options))[1]
    for calibration, graphs in ((False, 1), (True, 2), (False, 2), (True, 2)):
        tfmeta.evaluate(learner, episodes, calibration=calibration)
        assert len(traced) == graphs


def test_episodes_of_varying_sizes_are_weighed_as_their_accuracies_are(hard):
    learner = borrow("PrototypicalNetwork")
    sizes = {"n_way": (2, 4), "k_shot": 1, "n_query": (1, 5)}
    found = tfmeta.evaluate(learner, hard, **sizes, episodes=12, seed=1, calibration=True).calibration
    labels, probabilities = [], []
    for batch in tfmeta.episode_dataset(hard, **sizes, meta_batch_size=1, seed=1).take(12):
        for kept, one in zip((labels, probabilities), judged(learner, batch), strict=True):
            kept += one
    assert len({rows.shape for rows in probabilities}) > 3
    assert_is(found, labels, probabilities)


# -- what outputs mean ---------------------------------------------------------------------------------------------
def small(last):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), *last])


def test_a_learner_whose_loss_takes_probabilities_gives_them(episodes):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=False)
    learner = tfmeta.MAML(small([keras.layers.Dense(3, activation="softmax")]), inner_lr=0.05, inner_steps=1, loss=loss)
    found = tfmeta.evaluate(learner, episodes, calibration=True).calibration
    rows = [learner.query_outputs(task(episodes, i)).numpy() for i in range(7)]
    np.testing.assert_allclose(np.sum(rows[0], axis=1), 1.0, rtol=1e-5)
    assert_is(found, [y.numpy() for y in episodes.query_y], [row / row.sum(axis=1, keepdims=True) for row in rows])


@pytest.mark.parametrize(("from_logits", "activation"), [(True, None), (False, "sigmoid")])
def test_one_output_is_the_probability_of_the_second_class(hard, from_logits, activation):
    two = next(iter(tfmeta.episode_dataset(hard, n_way=2, k_shot=2, n_query=4, meta_batch_size=5, seed=0)))
    column = two._replace(
        support_y=tf.cast(two.support_y[..., None], tf.float32), query_y=tf.cast(two.query_y[..., None], tf.float32)
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    learner = tfmeta.MAML(small([keras.layers.Dense(1, activation=activation)]), inner_lr=0.05, loss=loss)
    score = tfmeta.evaluate(learner, column, calibration=True)
    rows = []
    for i in range(5):
        outputs = learner.query_outputs(task(column, i)).numpy().astype(np.float64)
        second = 1 / (1 + np.exp(-outputs)) if from_logits else outputs
        rows.append(np.concatenate([1 - second, second], axis=1))
    assert_is(score.calibration, [y.numpy() for y in two.query_y], rows)
    hits = np.mean(np.argmax(rows, axis=2) == two.query_y)
    assert score.accuracy == pytest.approx(hits), "else the columns are exchanged"


class Adapting:
    """Adapts, and is nothing else: always the same model."""

    def __init__(self, model):
        self.model = model

    def adapt(self, support_x, support_y):
        return self.model


@pytest.mark.parametrize("last", ["logits", "softmax layer", "activation", "wider"])
def test_keras_models_give_logits_or_probabilities(episodes, last):
    head = {
        "logits": [keras.layers.Dense(3)],
        "softmax layer": [keras.layers.Dense(3), keras.layers.Softmax()],
        "activation": [keras.layers.Dense(3, activation="softmax")],
        "wider": [keras.layers.Dense(5)],
    }[last]
    model = small(head)
    labels = [y.numpy() for y in episodes.query_y]
    outputs = [np.asarray(model(x)) for x in episodes.query_x]
    rows = [softmax(one) if last in ("logits", "wider") else one / one.sum(axis=1, keepdims=True) for one in outputs]
    for learner in (model, Adapting(model)):
        assert_is(tfmeta.evaluate(learner, episodes, calibration=True).calibration, labels, rows)


def test_an_adapted_model_says_what_its_learner_says(episodes):
    learner = borrow("MAMLEnsemble")
    one = tf.nest.map_structure(lambda tensor: tensor[:1], episodes)
    found = tfmeta.evaluate(learner, one, calibration=True).calibration
    model = learner.adapt(one.support_x[0], one.support_y[0])
    other = tfmeta.evaluate(model, one, calibration=True).calibration
    assert (other.episodes, other.queries) == (1, 12)
    assert found.nll > 0
    for name in ("nll", "brier", "ece"):
        assert math.isfinite(getattr(other, name))
        assert math.isnan(getattr(other, f"{name}_interval")), "one episode says nothing of its spread"
    assert np.isnan(other.accuracy_intervals).all()


def test_outputs_that_are_no_numbers_leave_no_likelihood(episodes):
    model = small([keras.layers.Dense(3)])
    model.layers[-1].set_weights([np.full((256, 3), np.nan), np.zeros(3)])
    with pytest.warns(UserWarning, match="not numbers for 84 queries"):
        found = tfmeta.evaluate(model, episodes, calibration=True).calibration
    assert np.isnan([found.nll, found.brier, found.ece, found.ece_interval]).all()
    assert found.reliability.count.sum() == 0
    assert found.queries == 84


def test_sure_and_wrong_is_infinite():
    tally = CalibrationTally()
    for labels in ([1, 2, 1], [2, 2, 2]):
        with np.errstate(divide="ignore"):
            tally.add(np.array(labels), np.log(np.eye(3)[[0, 0, 0]]))
    found = tally.calibration("stubborn")
    assert (found.nll, found.brier, found.ece, found.ece_interval) == (math.inf, 2.0, 1.0, 0.0)


# -- intervals -----------------------------------------------------------------------------------------------------
def gathered(rng, n, n_query=20, spread=1.5):
    """Calibration of episodes of two classes that differ in how far sureness is off, all their queries together."""
    tally = CalibrationTally()
    for _ in range(n):
        logit = rng.normal(1.0, 0.5) + rng.normal(size=n_query)
        # A shift that an episode's queries have in common, as those of one support set do.
        true = 1 / (1 + np.exp(-(logit - 1.0 + spread * rng.normal())))
        labels = (rng.random(n_query) < true).astype(int)
        tally.add(labels, log_softmax(np.stack([np.zeros(n_query), logit], axis=1)))
    return tally.calibration("simulated")


def test_the_intervals_are_the_spread_of_repeated_experiments():
    rng = np.random.default_rng(0)
    found = [gathered(rng, 100) for _ in range(60)]
    for name in ("nll", "brier", "ece"):
        values = np.array([getattr(one, name) for one in found])
        intervals = np.array([getattr(one, f"{name}_interval") for one in found])
        # The standard deviation of 60 experiments is known to 9 %.
        assert intervals.mean() == pytest.approx(1.959964 * values.std(ddof=1), rel=0.3), name
    well_filled = np.array([one.reliability.count for one in found]).mean(axis=0) > 150
    assert well_filled.sum() >= 3
    accuracies = np.array([one.reliability.accuracy for one in found])[:, well_filled]
    intervals = np.array([one.accuracy_intervals for one in found])[:, well_filled]
    np.testing.assert_allclose(intervals.mean(axis=0), 1.959964 * accuracies.std(axis=0, ddof=1), rtol=0.4)


def test_queries_of_one_episode_are_not_taken_for_independent_ones():
    """Twenty copies of each query: the error is the same, and the interval no narrower."""
    rng = np.random.default_rng(1)
    one, twenty = CalibrationTally(), CalibrationTally()
    for _ in range(200):
        row, label = log_softmax(rng.normal(size=(1, 3))), rng.integers(3, size=1)
        one.add(label, row)
        twenty.add(np.repeat(label, 20), np.repeat(row, 20, axis=0))
    one, twenty = one.calibration("one"), twenty.calibration("twenty")
    for name in ("nll", "nll_interval", "brier_interval", "ece", "ece_interval"):
        assert getattr(twenty, name) == pytest.approx(getattr(one, name))
    np.testing.assert_allclose(twenty.accuracy_intervals, one.accuracy_intervals)


def test_the_bootstrap_is_seeded():
    one, other = (gathered(np.random.default_rng(2), 30) for _ in range(2))
    assert one.ece_interval == other.ece_interval > 0


# -- the record ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def score(hard):
    return tfmeta.evaluate(borrow("PrototypicalNetwork"), hard, **TASKS, episodes=20, calibration=True)


def test_it_prints_one_line(score):
    found = score.calibration
    assert str(found) == (
        f"calibration: NLL {found.nll:.4f} +- {found.nll_interval:.4f}, Brier score {found.brier:.4f} +- "
        f"{found.brier_interval:.4f}, ECE {100 * found.ece:.2f} % +- {100 * found.ece_interval:.2f} (95 % intervals "
        "over 20 episodes, that of the ECE by bootstrap with seed 0, 240 queries, 15 bins, PrototypicalNetwork)"
    )
    assert repr(found).startswith("Calibration(nll=")
    assert str(score).splitlines()[1:] == [str(found)]  # below the accuracy
    assert "alibration" not in repr(score)


def test_it_survives_json_which_holds_nothing_but_numbers(score):
    text = json.dumps(score.to_dict(), allow_nan=False)
    read = tfmeta.Score(**json.loads(text))
    assert read == score
    assert isinstance(read.calibration, Calibration)
    assert read.calibration.to_dict() == score.calibration.to_dict()
    assert str(read.calibration) == str(score.calibration)
    for a, b in zip(read.calibration.reliability, score.calibration.reliability, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    np.testing.assert_array_equal(read.calibration.accuracy_intervals, score.calibration.accuracy_intervals)


def test_without_it_a_score_is_as_it_was(hard, score):
    plain = tfmeta.evaluate(borrow("PrototypicalNetwork"), hard, **TASKS, episodes=20)
    assert plain == score
    assert "calibration" not in plain.to_dict()
    assert "alibration" not in str(plain)
    assert {**score.to_dict(), "calibration": None} == {**plain.to_dict(), "calibration": None}
    both = tfmeta.evaluate(borrow("PrototypicalNetwork"), hard, **TASKS, episodes=20, calibration=True, details=True)
    assert {"details", "calibration"} < set(both.to_dict())
    assert both.details is not None


def test_of_several_trainings_there_is_no_calibration_and_no_error(score):
    assert tfmeta.mean_over_seeds([score, score]).calibration is None


# -- who is refused ------------------------------------------------------------------------------------------------
def test_a_method_without_probabilities_is_refused(hard):
    with pytest.raises(TypeError, match=r"gives probabilities.*Received: .* learner of type NearestNeighbour"):
        tfmeta.evaluate(tfmeta.NearestNeighbour(), hard, **TASKS, calibration=True)


def test_regression_is_refused(episodes):
    waves = sinusoid_episodes(k_shot=5, n_query=8, meta_batch_size=4, seed=0).take(1)
    network = tfmeta.networks.mlp(hidden=(4,))
    for learner in (tfmeta.MAML(network, inner_lr=0.01), network):
        with pytest.raises(ValueError, match=r"for classifiers.*coverage.*Received: .* episodes with targets"):
            tfmeta.evaluate(learner, waves, calibration=True)
    for flag in ("yes", 1, None):
        with pytest.raises(ValueError, match=f"calibration must be True or False. Received: calibration={flag!r}"):
            tfmeta.evaluate(borrow("PrototypicalNetwork"), once(episodes), calibration=flag)
