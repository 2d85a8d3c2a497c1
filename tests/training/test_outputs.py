"""Losses that do not fit the end of a network, and accuracies of labels of every kind."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.training.outputs import Outputs, hits_for, outputs_of

pytestmark = pytest.mark.slow

X = tf.constant(np.random.default_rng(0).normal(size=(4, 6, 5)).astype(np.float32))
SPARSE = tf.constant([[0, 1, 2] * 2] * 4)


def network(width=3, end=None):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(width, end)])


class Subclassed(keras.Model):
    """Ends in a function that no layer shows."""

    def __init__(self, end="softmax"):
        super().__init__()
        self.end, self.dense = end, keras.layers.Dense(3)

    def call(self, x):
        return tf.reshape(getattr(tf.nn, self.end)(self.dense(x)), [-1, 3])


def subclassed(end):
    model = Subclassed(end)
    model(X[0])
    return model


def episodes(y=SPARSE):
    y = tf.convert_to_tensor(y)
    return tf.data.Dataset.from_tensors(tfmeta.Episode(X, y, X, y))


@pytest.mark.parametrize(
    ("make", "end"),
    [
        (lambda: network(end="softmax"), "a softmax"),
        (lambda: network(end="sigmoid"), "a sigmoid"),
        (lambda: keras.Sequential([network(), keras.layers.Softmax()]), "a softmax"),
        (lambda: keras.Sequential([network(), keras.layers.Activation("softmax", dtype="float64")]), "a softmax"),
        (lambda: subclassed("softmax"), "a softmax"),
        (lambda: subclassed("sigmoid"), "a sigmoid"),
    ],
)
def test_probabilities_are_no_logits(make, end):
    learner = tfmeta.MAML(make())
    learner.compile("sgd")
    message = rf"must return logits.*ends in {end}"
    for work in (
        lambda: learner.fit(episodes(), verbose=0),
        lambda: learner.evaluate(episodes(), verbose=0),
        lambda: learner.adapt(X[0], SPARSE[0]),
        lambda: tfmeta.evaluate(learner, next(iter(episodes()))),
    ):
        with pytest.raises(ValueError, match=message):
            work()


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=False),
    ],
)
def test_a_loss_of_probabilities_refuses_logits_and_takes_a_softmax(loss):
    with pytest.raises(ValueError, match=r"returns logits; say from_logits=True. Received: loss=sparse_categorical"):
        tfmeta.MAML(network(), loss=loss).adapt(X[0], SPARSE[0])
    right, plain = tfmeta.MAML(network(end="softmax"), loss=loss), tfmeta.MAML(network())
    probabilities = right.adapt(X[0], SPARSE[0]).predict(X[0], verbose=0)
    logits = plain.adapt(X[0], SPARSE[0]).predict(X[0], verbose=0)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(logits), rtol=1e-4, atol=1e-6)


def test_a_loss_of_logits_says_so_and_is_taken_at_its_word():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found, wanted = (tfmeta.MAML(network(), loss=one).adapt(X[0], SPARSE[0]) for one in (loss, None))
    np.testing.assert_allclose(found(X[0]), wanted(X[0]), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="ends in a softmax"):
        tfmeta.MAML(network(end="softmax"), loss=loss).adapt(X[0], SPARSE[0])


def test_log_probabilities_and_regression_to_a_sigmoid_are_taken():
    tfmeta.MAML(network(end="log_softmax")).adapt(X[0], SPARSE[0])
    tfmeta.MAML(network(1, "sigmoid")).adapt(X[0], tf.fill([6, 1], 0.5))


def accuracies(loss, y, width, end=None):
    learner = tfmeta.MAML(network(width, end), inner_lr=0.0, loss=loss)
    learner.compile("sgd")
    report = learner.evaluate(episodes(y), return_dict=True, verbose=0)
    outputs = np.asarray(learner(tf.reshape(X, [-1, 5])))
    return {name: value for name, value in report.items() if "accuracy" in name}, outputs, learner


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize(("logits", "end"), [(True, None), (False, "sigmoid")])
def test_binary_accuracy_is_by_the_threshold(logits, end, column):
    y = np.random.default_rng(1).integers(0, 2, (4, 6, 1) if column else (4, 6))
    found, outputs, learner = accuracies(keras.losses.BinaryCrossentropy(from_logits=logits), y, 1, end)
    wanted = np.mean((outputs[:, 0] > (0.0 if logits else 0.5)) == y.ravel())
    assert 0 < wanted < 1
    assert set(found) > {"accuracy"}
    assert found == pytest.approx(dict.fromkeys(found, wanted))
    y = tf.constant(y)
    assert tfmeta.evaluate(learner, tfmeta.Episode(X, y, X, y)).accuracy == pytest.approx(wanted)
    assert learner.fit(episodes(y), verbose=0).history["accuracy"][0] == pytest.approx(wanted)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_one_hot_accuracy_is_by_the_largest(dtype):
    y = np.eye(3, dtype=dtype)[np.random.default_rng(1).integers(0, 3, (4, 6))]
    found, outputs, learner = accuracies(keras.losses.CategoricalCrossentropy(from_logits=True), y, 3)
    wanted = np.mean(outputs.argmax(1) == y.reshape(-1, 3).argmax(1))
    assert 0 < wanted < 1
    assert found == pytest.approx(dict.fromkeys(found, wanted))
    score = tfmeta.evaluate(learner, tfmeta.Episode(X, tf.constant(y), X, tf.constant(y)))
    assert (score.accuracy, score.n_way) == (pytest.approx(wanted), 3)


@pytest.mark.parametrize(
    ("loss", "y", "width"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), np.ones((4, 6, 3), np.int32), 3),
        ("mse", np.ones((4, 6, 1), np.float32), 1),
        (lambda y, z: tf.reduce_mean((tf.cast(y, tf.float32) - z) ** 2), np.ones((4, 6, 2), np.int32), 2),
    ],
    ids=["several labels", "regression", "a loss of one's own"],
)
def test_what_has_no_accuracy_reports_none(loss, y, width):
    found, _, learner = accuracies(loss, y, width)
    assert found == {}
    episode = tfmeta.Episode(X, tf.constant(y), X, tf.constant(y))
    assert set(tfmeta.adaptation_curve(learner, episode, 1).mean) == {"support_loss", "query_loss"}
    reported = learner.evaluate(episodes(y), verbose=0, return_dict=True)["loss"]
    assert tfmeta.evaluate(learner, episode).loss == pytest.approx(float(reported), rel=1e-5)


def test_hits_are_counted_by_hand():
    labels = tf.TensorSpec([None], tf.int32)
    count = hits_for(None, labels, (3,))
    assert float(count.share(tf.constant([0, 2]), tf.constant([[3.0, 1, 0], [0, 5, 1]]))) == 0.5
    column = hits_for("named", tf.TensorSpec([4, 1], tf.int32), (3,))
    assert float(column.share(tf.constant([[0], [1]]), tf.constant([[3.0, 1, 0], [0, 5, 1]]))) == 1.0
    assert hits_for(None, tf.TensorSpec([None], tf.float32), (1,)) is None


def test_targets_that_a_loss_of_ones_own_would_stretch_are_refused():
    loss = lambda y, z: tf.reduce_mean((tf.cast(y, tf.float32) - z) ** 2)  # noqa: E731
    with pytest.raises(ValueError, match=r"shape of the outputs, \(1,\).*Received: support_y with \(\)"):
        tfmeta.MAML(network(1), loss=loss).adapt(X[0], [0.0, 1.0] * 3)
    # Keras's own losses bring the two together.
    found = tfmeta.MAML(network(1), loss="mse").adapt(X[0], [0.0, 1.0] * 3)
    wanted = tfmeta.MAML(network(1), loss="mse").adapt(X[0], [[0.0], [1.0]] * 3)
    np.testing.assert_array_equal(found(X[0]), wanted(X[0]))


def test_labels_beyond_the_outputs_are_refused_under_a_loss_of_ones_own():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match=r"labels must run from 0 to 2.*Received: labels from 1 to 3"):
        tfmeta.MAML(network(), loss=loss).adapt(X[0], [1, 2, 3] * 2)


def test_ends_are_found_and_several_outputs_are_refused():
    assert outputs_of(network(), X[0]) == Outputs((3,), "BiasAdd")
    assert outputs_of(subclassed("softmax"), X[0]).last == "Softmax"
    inputs = keras.Input((5,))
    two = keras.Model(inputs, [keras.layers.Dense(3)(inputs), keras.layers.Dense(2)(inputs)])
    for make in (tfmeta.MAML, tfmeta.PrototypicalNetwork):
        with pytest.raises(ValueError, match=r"must have one output.*with 2"):
            make(two)
