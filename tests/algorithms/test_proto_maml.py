"""Proto-MAML: a head that starts as the prototypical network's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import (
    assert_is_gradient,
    assert_same,
    contribution,
    in_graph,
    largest_difference,
    smooth_network,
)
from tests.algorithms.methods import network as images_network
from tests.algorithms.pieces import task
from tfmeta import functional
from tfmeta.algorithms.proto_maml import prototypical_head

both_modes = pytest.mark.parametrize("mode", ["nested", "mixed"])


def encoder(batch_norm=False, dtype="float64"):
    return smooth_network(n_outputs=4, batch_norm=batch_norm, dtype=dtype)


def embed(network, x):
    """Two layers, tanh between them, in NumPy."""
    W, b, V, c = network.get_weights()
    return np.tanh(x @ W + b) @ V + c


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def naive_prototypes(z, y):
    return np.stack(
        [np.mean([v for v, label in zip(z, y, strict=True) if label == k], axis=0) for k in range(y.max() + 1)]
    )


def gradient_of(learner, episode):
    return contribution(learner, episode)


# -- the head ----------------------------------------------------------------------------------------------------------
def test_head_by_hand():
    kernel, bias = prototypical_head(tf.constant([[1.0, 2.0], [0.0, -3.0]]))
    np.testing.assert_array_equal(kernel, [[2.0, 0.0], [4.0, -6.0]])
    np.testing.assert_array_equal(bias, [-5.0, -9.0])
    # -|x - c_k|^2 + |x|^2 for x = (1, 1): -(0 + 1) + 2 and -(1 + 16) + 2.
    np.testing.assert_array_equal(tf.constant([[1.0, 1.0]]) @ kernel + bias, [[1.0, -15.0]])


@pytest.mark.parametrize("n_way", [2, 3, 7])
def test_without_steps_it_is_the_prototypical_network(random_episodes, n_way):
    network, one = encoder(), task(random_episodes(n_way=n_way))
    learner = tfmeta.ProtoMAML(network, inner_steps=0)
    prototypical = tfmeta.PrototypicalNetwork(network)
    found = softmax(learner.query_outputs(one).numpy())
    assert found.shape == (5 * n_way, n_way)
    np.testing.assert_allclose(found, softmax(prototypical.query_outputs(one).numpy()), rtol=1e-10)
    means = naive_prototypes(embed(network, one.support_x), one.support_y.numpy())
    distances = np.sum((embed(network, one.query_x)[:, None] - means[None]) ** 2, axis=-1)
    np.testing.assert_allclose(found, softmax(-distances), rtol=1e-10)
    # And its outer gradient is the prototypical network's: d/dtheta of the loss above.
    result = gradient_of(learner, one)
    with tf.GradientTape() as tape:
        support, query = network(one.support_x), network(one.query_x)
        logits = tfmeta.algorithms.prototypical.prototypical_logits(support, one.support_y, query, n_way)
        loss = functional.cross_entropy(one.query_y, logits)
    assert float(result.loss) == pytest.approx(float(loss), rel=1e-12)
    expected = tape.gradient(loss, [v.value for v in network.trainable_variables])
    assert_same(result.gradients, expected, rtol=1e-9, atol=1e-13)


def test_one_inner_step_agrees_with_naive_numpy(random_episodes):
    """Backpropagation by hand through head and encoder."""
    network, one, rate = encoder(), task(random_episodes()), 0.05
    W, b, V, c = network.get_weights()
    x, y = one.support_x.numpy(), one.support_y.numpy()
    h = np.tanh(x @ W + b)
    z = h @ V + c
    means = naive_prototypes(z, y)
    kernel, bias = 2 * means.T, -np.sum(means**2, axis=1)
    error = (softmax(z @ kernel + bias) - np.eye(3)[y]) / len(y)  # d loss / d logits
    dz = error @ kernel.T  # the head is a constant here: the step is taken from it, not through it
    dh = (dz @ V.T) * (1 - h**2)
    steps = [x.T @ dh, dh.sum(axis=0), h.T @ dz, dz.sum(axis=0), z.T @ error, error.sum(axis=0)]
    expected = [w - rate * g for w, g in zip([W, b, V, c, kernel, bias], steps, strict=True)]
    learner = tfmeta.ProtoMAML(network, inner_lr=rate)
    assert_same(learner.fast_weights(one), expected, rtol=1e-10, atol=1e-13)
    W, b, V, c, kernel, bias = expected
    logits = (np.tanh(one.query_x @ W + b) @ V + c) @ kernel + bias
    np.testing.assert_allclose(learner.query_outputs(one), logits, rtol=1e-10, atol=1e-12)
    adapted = learner.adapt(one.support_x, one.support_y)
    np.testing.assert_allclose(adapted.predict(one.query_x, verbose=0), logits, rtol=1e-4, atol=1e-4)


# -- the outer gradient ------------------------------------------------------------------------------------------------
def naive_loss(network, theta, one, inner_steps, rate, head=None):
    """The query loss; with `head` given, it is where the head starts, whatever theta."""
    fast = [tf.convert_to_tensor(w) for w in theta]
    n = len(fast)

    def logits(weights, x):
        return functional.forward(network, weights[:n], x) @ weights[n] + weights[n + 1]

    if head is None:
        z = functional.forward(network, fast, one.support_x)
        means = tf.stack([tf.reduce_mean(tf.boolean_mask(z, one.support_y == k), axis=0) for k in range(3)])
        head = [2 * tf.transpose(means), -tf.reduce_sum(means**2, axis=1)]
    fast += head
    for _ in range(inner_steps):
        with tf.GradientTape() as tape:
            tape.watch(fast)
            loss = functional.cross_entropy(one.support_y, logits(fast, one.support_x))
        fast = [w - rate * g for w, g in zip(fast, tape.gradient(loss, fast), strict=True)]
    return functional.cross_entropy(one.query_y, logits(fast, one.query_x))


@pytest.mark.slow
@both_modes
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_meta_gradient_equals_finite_differences(random_episodes, mode, batch_norm, inner_steps):
    network, one = encoder(batch_norm), task(random_episodes())
    options = {"inner_lr": 0.05, "inner_steps": inner_steps, "gradient_mode": mode}
    params = functional.values(network.trainable_variables)
    result = gradient_of(tfmeta.ProtoMAML(network, **options), one)
    assert float(result.loss) == pytest.approx(float(naive_loss(network, params, one, inner_steps, 0.05)), rel=1e-12)
    assert_is_gradient(result.gradients, in_graph(lambda w: naive_loss(network, w, one, inner_steps, 0.05)), params)
    # Without the gradient through the start, the head is where it is, whatever the encoder does.
    constant = gradient_of(tfmeta.ProtoMAML(network, start_gradient=False, **options), one)
    assert float(constant.loss) == pytest.approx(float(result.loss), rel=1e-12)
    head = list(prototypical_head(
        tfmeta.compute_prototypes(functional.forward(network, params, one.support_x), one.support_y, 3)
    ))  # fmt: skip
    assert_is_gradient(
        constant.gradients, in_graph(lambda w: naive_loss(network, w, one, inner_steps, 0.05, head=head)), params
    )
    assert largest_difference(result.gradients, constant.gradients) > 1e-2


@both_modes
def test_first_order_is_the_gradient_at_the_fast_weights_passed_through_the_start(random_episodes, mode):
    network, one = encoder(), task(random_episodes())
    options = {"inner_lr": 0.1, "inner_steps": 2}
    n = len(network.trainable_variables)
    fast = tfmeta.ProtoMAML(network, **options).fast_weights(one)
    with tf.GradientTape() as tape:
        tape.watch(fast)
        logits = functional.forward(network, fast[:n], one.query_x) @ fast[n] + fast[n + 1]
        loss = functional.cross_entropy(one.query_y, logits)
    at_fast = tape.gradient(loss, fast)

    def first_order(**more):
        return gradient_of(
            tfmeta.ProtoMAML(network, first_order=True, gradient_mode=mode, **options, **more), one
        ).gradients

    assert_same(first_order(start_gradient=False), at_fast[:n], rtol=1e-9, atol=1e-13)
    params = functional.values(network.trainable_variables)
    with tf.GradientTape() as tape:  # the head's gradient goes on through the prototypes
        tape.watch(params)
        z = functional.forward(network, params, one.support_x)
        head = prototypical_head(tfmeta.compute_prototypes(z, one.support_y, 3))
    through = tape.gradient(head, params, output_gradients=at_fast[n:])
    assert_same(first_order(), [a + b for a, b in zip(at_fast, through, strict=False)], rtol=1e-9, atol=1e-13)
    assert largest_difference(first_order(), gradient_of(tfmeta.ProtoMAML(network, **options), one).gradients) > 1e-3


# -- any number of classes ---------------------------------------------------------------------------------------------
@pytest.mark.slow
@both_modes
def test_n_way_may_differ_from_task_to_task_and_from_training_to_test(random_episodes, mode):
    network = encoder(batch_norm=True, dtype="float32")
    learner = tfmeta.ProtoMAML(network, inner_steps=2, gradient_mode=mode)
    learner.compile(optimizer=keras.optimizers.SGD(0.01))
    batches = [random_episodes(n_way=n, dtype=np.float32, seed=n) for n in (3, 5, 2)]
    stream = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=tfmeta.Episode(
            tf.TensorSpec([4, None, 6]), tf.TensorSpec([4, None], tf.int32),
            tf.TensorSpec([4, None, 6]), tf.TensorSpec([4, None], tf.int32),
        ),
    )  # fmt: skip
    stream = stream.apply(tf.data.experimental.assert_cardinality(3))
    before = network.get_weights()
    history = learner.fit(stream, validation_data=stream, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_loss"]).all()
    assert largest_difference(before, network.get_weights()) > 1e-5
    for n_way in (2, 4, 9):
        one = task(random_episodes(n_way=n_way, dtype=np.float32))
        assert learner.query_outputs(one).shape == (5 * n_way, n_way)
        adapted = learner.adapt(one.support_x, one.support_y)
        assert adapted.predict(one.query_x, verbose=0).shape == (5 * n_way, n_way)
    with pytest.raises(ValueError, match=r"every class present. Received: labels \[0, 2\]"):
        learner.adapt(np.zeros((2, 6)), [0, 2])


@pytest.mark.slow
def test_scores_of_another_number_of_ways(tiny):
    learner = tfmeta.ProtoMAML(images_network(head=False))
    for n_way in (3, 6):
        for transductive in (True, False):
            score = tfmeta.evaluate(
                learner, tiny, n_way=n_way, k_shot=1, n_query=2, episodes=4, transductive=transductive
            )
            assert (score.n_way, score.method) == (n_way, "ProtoMAML")
    assert score.settings == {"inner_steps": 1, "inner_lr": 0.01}


# -- what is refused ---------------------------------------------------------------------------------------------------
def test_bad_encoders_and_labels_are_named(random_episodes):
    flat, image = keras.Input((6,)), keras.Input((16, 16, 1))
    softmaxes = (keras.layers.Dense(3, activation="softmax"), keras.layers.Softmax())
    for last in softmaxes:
        ending = keras.Model(flat, last(keras.layers.Dense(3)(flat)), name="ending")
        with pytest.raises(ValueError, match=r"not probabilities. Received: encoder='ending', which ends in a softmax"):
            tfmeta.ProtoMAML(ending)
    maps = keras.Model(image, keras.layers.Conv2D(2, 3)(image), name="maps")
    with pytest.raises(ValueError, match=r"embeddings \[batch, dim\]. Received: encoder='maps' .* \(14, 14, 2\)"):
        tfmeta.ProtoMAML(maps)
    learner, one = tfmeta.ProtoMAML(encoder()), task(random_episodes())
    learner.compile()
    message = r"ProtoMAML classifies, and needs integer labels. Received: support_y with dtype=float32"
    with pytest.raises(ValueError, match=message):
        learner.adapt(one.support_x, tf.cast(one.support_y, tf.float32))
    waves = tfmeta.Episode(*(tf.zeros([2, 4, n]) for n in (6, 1, 6, 1)))
    with pytest.raises(ValueError, match=message):
        learner.fit(tf.data.Dataset.from_tensors(waves))
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'loss'"):
        tfmeta.ProtoMAML(encoder(), loss="mse")
