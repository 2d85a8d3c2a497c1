"""The pretrained and fine-tuned classifier: training on labelled batches, then a new head on a support set."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import network
from tests.algorithms.pieces import task
from tfmeta.datasets import labelled_batches
from tfmeta.training import copies

SIZES = {"n_way": 3, "k_shot": 2, "n_query": 4, "meta_batch_size": 4}


def small(seed=0, **options):
    keras.utils.set_random_seed(seed)
    encoder = network(head=False)
    options = {"inner_lr": 0.5, "eval_inner_steps": 5, **options}
    learner = tfmeta.FineTunedClassifier(encoder, options.pop("n_classes", 12), **options)
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    return learner


@pytest.fixture
def batches(tiny):
    return labelled_batches(tiny, batch_size=32, seed=0)


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


def warmed(episodes, **options):
    learner = small(**options)
    copies.set_batch_norm_statistics(learner.encoder, tf.reshape(episodes.query_x, (-1, 16, 16, 1)))
    return learner


def softmax(logits):
    exponentials = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def naive_head(x, labels, inner_lr, steps):
    """Softmax regression from zeros by gradient steps, in NumPy."""
    W, b = np.zeros((x.shape[1], labels.max() + 1)), np.zeros(labels.max() + 1)
    for _ in range(steps):
        error = (softmax(x @ W + b) - np.eye(len(b))[labels]) / len(x)
        W, b = W - inner_lr * x.T @ error, b - inner_lr * error.sum(axis=0)
    return W, b


# -- a new task ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_the_new_head_is_softmax_regression_from_zeros(random_episodes, steps):
    encoder = keras.Sequential([keras.Input((6,), dtype="float64"), keras.layers.Dense(4, dtype="float64")])
    learner = tfmeta.FineTunedClassifier(encoder, 9, inner_lr=0.3, eval_inner_steps=steps)
    one = task(random_episodes())
    W, b = naive_head(encoder(one.support_x).numpy(), one.support_y.numpy(), 0.3, steps)
    expected = encoder(one.query_x).numpy() @ W + b
    np.testing.assert_allclose(learner.query_outputs(one), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(
        learner.query_outputs(one._replace(query_y=(one.query_y + 1) % 3)), learner.query_outputs(one)
    )
    assert (np.ptp(expected) > 0) == (steps > 0)


def test_with_the_encoder_every_parameter_takes_the_step_of_a_plain_tape(stream):
    episodes = next(iter(stream))
    learner, one = warmed(episodes, adapt_encoder=True, eval_inner_steps=3), task(episodes)
    head = keras.layers.Dense(3, kernel_initializer="zeros")
    twin = keras.Sequential([keras.Input((16, 16, 1)), keras.models.clone_model(learner.encoder), head])
    twin.layers[0].set_weights(learner.encoder.get_weights())
    for _ in range(3):
        with tf.GradientTape() as tape:
            logits = twin(one.support_x, training=False)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(one.support_y, logits, True))
        gradients = tape.gradient(loss, twin.trainable_variables)
        for variable, gradient in zip(twin.trainable_variables, gradients, strict=True):
            variable.assign_sub(0.5 * gradient)
    np.testing.assert_allclose(learner.query_outputs(one), twin(one.query_x), rtol=1e-3, atol=1e-4)
    frozen = warmed(episodes, eval_inner_steps=3).query_outputs(one)
    assert np.abs(learner.query_outputs(one) - frozen).max() > 1e-3


# With the encoder as it is: tests/algorithms/test_contract_tasks.py.
def test_support_items_classes_and_queries_permute(stream):
    episodes = next(iter(stream))
    learner, one = warmed(episodes, adapt_encoder=True), task(episodes)
    outputs = learner.query_outputs(one).numpy()
    order, renaming = np.array([3, 0, 5, 1, 4, 2]), np.array([2, 0, 1], np.int32)
    shuffled = one._replace(support_x=tf.gather(one.support_x, order), support_y=tf.gather(one.support_y, order))
    np.testing.assert_allclose(learner.query_outputs(shuffled), outputs, rtol=1e-3, atol=1e-4)
    renamed = one._replace(support_y=tf.gather(renaming, one.support_y))
    np.testing.assert_allclose(learner.query_outputs(renamed).numpy()[:, renaming], outputs, rtol=1e-3, atol=1e-4)
    alone = [learner.query_outputs(one._replace(query_x=one.query_x[j : j + 1]))[0] for j in range(3)]
    np.testing.assert_allclose(alone, outputs[:3], rtol=1e-3, atol=1e-4, err_msg="queries see each other")


@pytest.mark.slow
@pytest.mark.parametrize("adapt_encoder", [False, True])
def test_adapt_gives_an_ordinary_model_and_curves_end_at_the_scores(stream, tmp_path, adapt_encoder):
    episodes = next(iter(stream))
    learner, one = warmed(episodes, adapt_encoder=adapt_encoder, inner_lr=0.05), task(episodes)
    before = [v.numpy() for v in learner.variables]
    adapted = learner.adapt(one.support_x, one.support_y)
    predicted = adapted.predict(one.query_x, verbose=0)
    np.testing.assert_allclose(predicted, learner.query_outputs(one), rtol=1e-4, atol=1e-4)
    adapted.save(tmp_path / "task.keras")
    loaded = keras.models.load_model(tmp_path / "task.keras")
    np.testing.assert_array_equal(loaded.predict(one.query_x, verbose=0), predicted)
    for variable in adapted.variables:
        variable.assign(tf.zeros_like(variable))
    for old, variable in zip(before, learner.variables, strict=True):
        np.testing.assert_array_equal(old, variable)
    unfitted = learner.adapt(one.support_x, one.support_y, inner_steps=0)
    np.testing.assert_array_equal(unfitted.predict(one.query_x, verbose=0), np.zeros((12, 3)))

    curve, found = tfmeta.adaptation_curve(learner, episodes, 5), learner.measure(episodes)
    assert curve.mean["query_loss"][0] == pytest.approx(np.log(3.0), rel=1e-5)
    assert curve.mean["support_loss"][-1] < curve.mean["support_loss"][0]
    assert curve.mean["query_loss"][-1] == pytest.approx(np.mean(found["loss"]), rel=1e-4)
    probabilities = softmax(learner.query_outputs(one).numpy())[np.arange(12), one.query_y]
    assert found["loss"][0].numpy() == pytest.approx(-np.log(probabilities).mean(), rel=1e-4)


# -- training ------------------------------------------------------------------------------------------------------
def test_a_training_step_is_that_of_a_keras_classifier(batches):
    learner, plain = small(), small()
    classifier = keras.Sequential([plain.encoder, plain.head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss, metrics=["accuracy"], jit_compile=False)
    learner.compile(optimizer=keras.optimizers.SGD(0.1))
    found, expected = (
        model.fit(batches, steps_per_epoch=3, shuffle=False, verbose=0).history for model in (learner, classifier)
    )
    for name in ("loss", "accuracy"):
        assert found[name][0] == pytest.approx(expected[name][0], rel=1e-4)
    for a, b in zip(learner.encoder.variables, plain.encoder.variables, strict=True):  # moving averages included
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(learner.head.kernel, plain.head.kernel, rtol=1e-3, atol=1e-5)


def test_it_predicts_training_classes_and_its_score_says_how_it_adapts(tiny, stream):
    learner, one = small(), task(next(iter(stream)))
    predicted = learner.predict(one.query_x, verbose=0)
    assert predicted.shape == (12, 12)
    np.testing.assert_allclose(predicted, learner.head(learner.encoder(one.query_x)), rtol=1e-4, atol=1e-5)
    score = str(tfmeta.evaluate(learner, tiny, n_way=3, k_shot=2, episodes=20))
    assert "inner steps 5, inner lr 0.5, adapted head, batch norm: moving averages of training" in score


# -- what is refused -----------------------------------------------------------------------------------------------
def test_bad_batches_and_settings_are_named(tiny, stream, batches, classes_of):
    learner = small()
    with pytest.raises(TypeError, match=r"x must be .* \(images, integer labels\).*episodes are for validation_data"):
        learner.fit(stream, steps_per_epoch=1, verbose=0)
    with pytest.raises(TypeError, match=r"validation_data must be a tf.data.Dataset of Episode"):
        learner.fit(batches, validation_data=batches.take(1), steps_per_epoch=1, verbose=0)
    with pytest.raises(ValueError, match=r"labels must run from 0 to n_classes - 1 = 3. Received: labels from 0 to 11"):
        small(n_classes=4).fit(batches, steps_per_epoch=1, verbose=0)
    large = labelled_batches(classes_of([5] * 4, size=20), batch_size=4, seed=0)
    with pytest.raises(ValueError, match=r"of shape \(16, 16, 1\). Received: support_x with \(20, 20, 1\)"):
        learner.fit(large, steps_per_epoch=1, verbose=0)
    for options, message in (
        ({"n_classes": 0}, r"n_classes must be a whole number of at least 1. Received: n_classes=0"),
        ({"inner_lr": -1.0}, r"inner_lr must be a number of at least 0. Received: inner_lr=-1.0"),
        ({"eval_inner_steps": -1}, r"^eval_inner_steps must be .* at least 0. Received: eval_inner_steps=-1"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)
    with pytest.raises(ValueError, match=r"every class present. Received: labels \[0, 2\]"):
        learner.adapt(np.zeros((2, 16, 16, 1)), [0, 2])
