"""The check of a prototypical network's `train_step`: right ones of many kinds pass, wrong ones are told why."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks


class Base(keras.Model):
    """What all answers share."""

    def __init__(self, encoder, n_way):
        super().__init__()
        self.encoder, self.n_way = encoder, n_way

    def embeddings(self, episode):
        return self.encoder(episode.support_x, training=True), self.encoder(episode.query_x, training=True)


def squared(q, c):
    return tf.reduce_sum((q[:, None] - c) ** 2, axis=-1)


def cross_entropy(y, z):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, z))


def plainly(prototypes=tfmeta.compute_prototypes, logits=lambda q, c: -squared(q, c), criterion=cross_entropy, on=0,
            judge=2, of_gradients=lambda g: g, of_prototypes=tf.identity, of_queries=tf.identity, times=1,
            labels=lambda y: y, logs=lambda loss: {"loss": loss}, variables=lambda v: v):  # fmt: skip
    """A class with one thing changed."""

    class Network(Base):
        def train_step(self, episode):
            with tf.GradientTape() as tape:
                support, query = self.encoder(episode[on]), self.encoder(episode[judge])
                c = of_prototypes(prototypes(support, episode[on + 1], self.n_way))
                loss = criterion(labels(episode[judge + 1]), logits(of_queries(query), c))
            chosen = variables(self.trainable_variables)
            gradients = tape.gradient(loss, chosen)
            for _ in range(times):
                self.optimizer.apply([of_gradients(g) for g in gradients], chosen)
            return logs(loss)

    return Network


class OnThePage(keras.Model):
    def __init__(self, encoder, n_way):
        super().__init__()
        self.encoder = encoder
        self.n_way = n_way

    def train_step(self, episode):
        with tf.GradientTape() as tape:
            support, query = self.encoder(episode.support_x), self.encoder(episode.query_x)
            logits = tfmeta.prototypical_logits(support, episode.support_y, query, self.n_way)
            loss = cross_entropy(episode.query_y, logits)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


class InOneCall(Base):
    """One call of the encoder, the compiled loss, its metrics, and an accuracy."""

    def train_step(self, episode):
        support_x, support_y, query_x, query_y = episode
        with tf.GradientTape() as tape:
            both = self.encoder(tf.concat([support_x, query_x], axis=0), training=True)
            support, query = both[: support_x.shape[0]], both[support_x.shape[0] :]
            c = tf.math.unsorted_segment_mean(support, support_y, self.n_way)
            logits = query @ tf.transpose(2 * c) - tf.reduce_sum(c**2, axis=1)
            loss = self.compute_loss(y=query_y, y_pred=logits)
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights, strict=True)
        )
        right = tf.reduce_mean(tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == query_y, tf.float32))
        return {"loss": loss, "accuracy": right}


class WithTracker(Base):
    """A metric of its own, as in Keras's guide, and Keras's operations."""

    def __init__(self, encoder, n_way):
        super().__init__(encoder, n_way)
        self.tracker = keras.metrics.Mean(name="loss")
        self.criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, episode):
        with tf.GradientTape() as tape:
            support, query = self.embeddings(episode)
            members = keras.ops.one_hot(episode.support_y, self.n_way)
            c = keras.ops.transpose(members) @ support / keras.ops.sum(members, axis=0)[:, None]
            logits = -keras.ops.sum(keras.ops.square(query[:, None] - c), axis=-1)
            loss = self.criterion(episode.query_y, logits)
        self.optimizer.apply(tape.gradient(loss, self.encoder.trainable_variables), self.encoder.trainable_variables)
        self.tracker.update_state(loss)
        return {metric.name: metric.result() for metric in self.metrics}


class WithCall(Base):
    """The logits in `call`, a loop over classes in Python."""

    def call(self, episode):
        support, query = self.embeddings(episode)
        c = tf.stack([tf.reduce_mean(support[episode.support_y == k], axis=0) for k in range(self.n_way)])
        return -squared(query, c)

    def train_step(self, episode):
        with tf.GradientTape() as tape:
            p = tf.nn.softmax(self(episode))
            loss = keras.losses.sparse_categorical_crossentropy(episode.query_y, p)
            loss = keras.ops.mean(loss)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return dict(loss=loss)


class WithTemperature(Base):
    """A number of its own that is learned, too, and starts where it does nothing."""

    def __init__(self, encoder, n_way):
        super().__init__(encoder, n_way)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def train_step(self, episode):
        with tf.GradientTape() as tape:
            support, query = self.embeddings(episode)
            logits = self.scale * tfmeta.prototypical_logits(support, episode.support_y, query, self.n_way)
            loss = cross_entropy(episode.query_y, logits)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


RIGHT = [
    ("(shows a loss of 0, though", OnThePage),
    ("plainly", plainly()),
    ("in one call, equation 8", InOneCall),
    ("with a tracker", WithTracker),
    ("with call", WithCall),
    ("with a temperature", WithTemperature),
    ("a number", plainly(logs=lambda loss: {"loss": loss, "n_way": 3})),
    ("sorted and reshaped", plainly(prototypes=lambda s, y, n: tf.reduce_mean(
        tf.reshape(tf.gather(s, tf.argsort(y, stable=True)), (n, -1, s.shape[-1])), axis=1))),
]  # fmt: skip


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.prototypical_train_step, answer, words)


def as_numbers(x):
    return tf.constant(x.numpy())


def not_from_logits(y, z):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, z))


class EagerOnly(Base):
    """Right by hand; a graph has no numbers."""

    def train_step(self, episode):
        with tf.GradientTape() as tape:
            support, query = self.embeddings(episode)
            c = tf.stack([support[episode.support_y.numpy() == k] for k in range(self.n_way)])
            loss = cross_entropy(episode.query_y, -squared(query, tf.reduce_mean(c, axis=1)))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class LengthInAGraph(InOneCall):
    def train_step(self, episode):
        return super().train_step(episode._replace(support_x=episode.support_x[: len(episode.support_x)]))


class ByHand(Base):
    def train_step(self, episode):
        with tf.GradientTape() as tape:
            support, query = self.embeddings(episode)
            loss = cross_entropy(
                episode.query_y, tfmeta.prototypical_logits(support, episode.support_y, query, self.n_way)
            )
        for v, g in zip(self.trainable_variables, tape.gradient(loss, self.trainable_variables), strict=True):
            v.assign_sub(self.optimizer.learning_rate * g)
        return {"loss": loss}


class OutsideTheTape(Base):
    def train_step(self, episode):
        support, query = self.embeddings(episode)
        with tf.GradientTape() as tape:
            logits = tfmeta.prototypical_logits(support, episode.support_y, query, self.n_way)
            loss = cross_entropy(episode.query_y, logits)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class Unready(keras.Model):
    def __init__(self, encoder, n_way):
        self.encoder = encoder

    def train_step(self, episode):
        return {"loss": 0.0}


class OneArgument(Base):
    def __init__(self, encoder):
        super().__init__(encoder, 3)

    def train_step(self, episode):
        return {"loss": 0.0}


class NotAModel:
    def __init__(self, encoder, n_way):
        pass


class WithBatches(Base):
    """As if the data were pairs of inputs and labels."""

    def train_step(self, data):
        x, y = data
        return {"loss": cross_entropy(y, self.encoder(x))}


WRONG = [
    ("no gradient was applied", plainly(times=0)),
    ("prototypes was stopped", plainly(of_prototypes=tf.stop_gradient)),
    ("or turned into NumPy", plainly(of_prototypes=as_numbers)),
    ("queries was stopped", plainly(of_queries=tf.stop_gradient)),
    ("the softmax is taken twice", plainly(logits=lambda q, c: tf.nn.softmax(-squared(q, c)))),
    ("a loss of probabilities gets logits", plainly(criterion=not_from_logits)),
    ("every gradient was zero", plainly(of_gradients=lambda g: 0 * g)),
    ("this is minus the distance", plainly(logits=lambda q, c: -tf.sqrt(squared(q, c)))),
    ("neither squared nor", plainly(logits=lambda q, c: tf.sqrt(squared(q, c)))),
    ("the minus sign is missing in the logits", plainly(logits=squared)),
    ("you took the mean over dimensions", plainly(logits=lambda q, c: -tf.reduce_mean((q[:, None] - c) ** 2, axis=-1))),
    ("the squared distances were halved", plainly(logits=lambda q, c: -squared(q, c) / 2)),
    ("the logits are inner products", plainly(logits=lambda q, c: q @ tf.transpose(c))),
    ("the prototypes are sums", plainly(prototypes=tf.math.unsorted_segment_sum)),
    ("only for labels in ascending order", plainly(
        prototypes=lambda s, y, n: tf.reduce_mean(tf.reshape(s, (n, -1, s.shape[-1])), axis=1))),
    ("a class's first example", plainly(prototypes=lambda s, y, n: tf.stack([s[y == k][0] for k in range(n)]))),
    ("the queries' labels are taken to be", plainly(labels=tf.sort)),
    ("the loss was taken on the support set", plainly(judge=0)),
    ("the prototypes were made of the queries", plainly(on=2)),
    ("are exchanged", plainly(on=2, judge=0)),
    ("this climbs", plainly(of_gradients=lambda g: -g)),
    ("the loss is the sum over queries", plainly(criterion=lambda y, z: 6 * cross_entropy(y, z))),
    ("divided by the number of queries twice", plainly(criterion=lambda y, z: cross_entropy(y, z) / 6)),
    ("the optimizer was applied twice", plainly(times=2)),
    ("only a part of the encoder's weights", plainly(variables=lambda v: v[2:])),
    ("not by the optimizer", ByHand),
    ("the loss that is returned is a sum", plainly(logs=lambda loss: {"loss": 6 * loss})),
    ('the returned "loss" is', plainly(logs=lambda loss: {"loss": loss + 1})),
    ("must return a dictionary with the loss", plainly(logs=lambda loss: loss)),
    ("a dictionary with the loss,", plainly(logs=lambda loss: {"cost": loss})),
    ("the loss must be one number", plainly(logs=lambda loss: {"loss": tf.stack([loss])})),
    ("the relative error of the encoder's new weights", plainly(logits=lambda q, c: -3 * squared(q, c))),
    ("fit compiles train_step into a graph", EagerOnly),
    ("len is not well defined for a symbolic Tensor", LengthInAGraph),
    ("computed from the encoder, inside the tape", OutsideTheTape),
    ("super().__init__()", Unready),
    ("The check builds YourClass(encoder, n_way)", OneArgument),
    ("must be a subclass of keras.Model", NotAModel),
    ("stopped with ValueError: too many values", WithBatches),
]  # fmt: skip


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.prototypical_train_step, answer, words)


def test_an_object_is_no_class():
    encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    assert "your class itself" in checks.prototypical_train_step(OnThePage(encoder, 3)).message


class WithoutTrainStep(Base):
    pass


@pytest.mark.parametrize(
    "answer",
    [..., WithoutTrainStep, plainly(times=0, logs=lambda loss: ...), plainly(logs=lambda loss: {"loss": ...})],
    ids=["dots", "no train_step", "a stub", "dots for the loss"],
)
def test_unfilled(answer):
    assert checks.prototypical_train_step(answer).status == "not filled in yet"


def test_the_check_leaves_no_seed_behind():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    checks.prototypical_train_step(OnThePage)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
