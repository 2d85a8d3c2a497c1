"""Prototypical networks in training: gradients, batch norm, dropout, Keras's ways in and out, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import first, once, task, weights
from tfmeta.core.episode import Episode
from tfmeta.training import copies

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}


def small(seed=0, filters=4, **options):
    keras.utils.set_random_seed(seed)
    learner = tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=filters, input_shape=(16, 16, 1)), **options)
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    return learner


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def naive_loss(embeddings, episode):
    """Snell et al. (2017), algorithm 1, from embeddings of support and query one after another; NumPy loops."""
    support, query = embeddings[: len(episode.support_y)], embeddings[len(episode.support_y) :]
    labels, wanted = episode.support_y.numpy(), episode.query_y.numpy()
    prototypes = [support[labels == k].mean(axis=0) for k in range(labels.max() + 1)]
    loss = 0.0
    for q, y in zip(query, wanted, strict=True):
        scores = [-np.sum((q - c) ** 2) for c in prototypes]
        loss += -scores[y] + np.log(np.sum(np.exp(scores)))
    return loss / len(query)


@pytest.mark.slow
def test_train_step_is_the_mean_gradient_by_finite_differences(random_episodes):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [keras.Input((6,), dtype="float64")]
        + [keras.layers.Dense(n, activation=a, dtype="float64") for n, a in ((5, "tanh"), (4, None))]
    )
    learner = tfmeta.PrototypicalNetwork(encoder)
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    episodes = random_episodes(batch=3)
    start = [w.copy() for w in encoder.get_weights()]

    def loss(changed):
        (W, b, V, c), total = changed, 0.0
        for i in range(3):
            x = np.concatenate([episodes.support_x[i], episodes.query_x[i]])
            total += naive_loss(np.tanh(x @ W + b) @ V + c, task(episodes, i))
        return total / 3

    reported = learner.fit(once(episodes), verbose=0).history["loss"][0]
    assert reported == pytest.approx(loss(start), rel=1e-5)
    for k, (old, new) in enumerate(zip(start, encoder.get_weights(), strict=True)):
        expected = np.zeros_like(old)
        for index in np.ndindex(old.shape):
            ends = []
            for h in (1e-5, -1e-5):
                moved = [w.copy() for w in start]
                moved[k][index] += h
                ends.append(loss(moved))
            expected[index] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(old - new, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_train_step_with_batch_norm_is_a_plain_tape_on_support_and_query_together(stream):
    learner, episodes = small(), first(stream)
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    plain = keras.models.clone_model(learner.encoder)
    plain.set_weights(learner.encoder.get_weights())
    start, total, moved = plain.get_weights(), None, []
    statistics = [v.numpy() for v in plain.non_trainable_variables]
    for i in range(4):
        one = task(episodes, i)
        plain.set_weights(start)
        with tf.GradientTape() as tape:
            embeddings = plain(tf.concat([one.support_x, one.query_x], axis=0), training=True)
            support, query = embeddings[:6], embeddings[6:]
            prototypes = tf.stack([tf.reduce_mean(support[one.support_y == k], axis=0) for k in range(3)])
            logits = -tf.reduce_sum((query[:, None] - prototypes[None]) ** 2, axis=-1)
            loss = tf.reduce_mean(tf.keras.losses.sparse_categorical_crossentropy(one.query_y, logits, True))
        gradients = tape.gradient(loss, plain.trainable_variables)
        total = gradients if total is None else [a + b for a, b in zip(total, gradients, strict=True)]
        moved.append([v.numpy() for v in plain.non_trainable_variables])
    before = [v.numpy() for v in learner.encoder.trainable_variables]
    learner.fit(once(episodes), verbose=0)
    for old, new, gradient in zip(before, learner.encoder.trainable_variables, total, strict=True):
        np.testing.assert_allclose(old - new.numpy(), gradient / 4, rtol=1e-3, atol=1e-5)
    # Moving averages: momentum 0.9 towards the mean of the four episodes' statistics.
    for k, variable in enumerate(learner.encoder.non_trainable_variables):
        expected = np.mean([values[k] for values in moved], axis=0)
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=1e-6)
        assert np.abs(variable.numpy() - statistics[k]).max() > 0


@pytest.mark.slow
def test_evaluation_uses_moving_averages_and_changes_nothing(stream):
    learner, episodes = small(), first(stream)
    learner.fit(stream, steps_per_epoch=5, verbose=0)
    before = weights(learner.encoder)
    reported = learner.evaluate(once(episodes), return_dict=True, verbose=0)
    losses = [
        naive_loss(learner.encoder(tf.concat([one.support_x, one.query_x], axis=0), training=False).numpy(), one)
        for one in (task(episodes, i) for i in range(4))
    ]
    assert reported["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert_equal(weights(learner.encoder), before)
    copies.batch_norm_layers(learner.encoder)[0].moving_mean.assign_add([5.0] * 4)
    assert learner.evaluate(once(episodes), return_dict=True, verbose=0)["loss"] != pytest.approx(reported["loss"])


def test_what_is_frozen_stays_exactly_as_it_is(random_episodes):
    """A mean over three equal float32 numbers need not be that number: frozen weights would creep."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(50), keras.layers.Dense(3)])
    encoder.layers[0].trainable = False
    learner = tfmeta.PrototypicalNetwork(encoder)
    learner.compile(optimizer="sgd")
    before = encoder.layers[0].kernel.numpy()
    data = random_episodes(batch=7, dtype=np.float32)
    learner.fit(once(data).repeat(5), verbose=0)
    np.testing.assert_array_equal(encoder.layers[0].kernel, before)


def test_dropout_is_new_for_every_task_and_step_and_off_in_evaluation(random_episodes):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    learner = tfmeta.PrototypicalNetwork(encoder)
    learner.compile(optimizer=keras.optimizers.SGD(0.0))
    one = random_episodes(batch=1, dtype=np.float32)
    twin = Episode(*(tf.concat([t, t], axis=0) for t in one))
    found = [learner.outer_step(twin)["loss"].numpy() for _ in range(3)]
    assert len(set(np.ravel(found))) == 6, "the same units are dropped for every task or in every step"
    plain = naive_loss(encoder(tf.concat([one.support_x[0], one.query_x[0]], axis=0)).numpy(), task(one))
    np.testing.assert_allclose(learner.measure(twin)["loss"], [plain, plain], rtol=1e-5)
