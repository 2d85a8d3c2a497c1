import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.constant_memory import adapt_in_constant_memory
from tfmeta.core.episode import Episode
from tfmeta.core.inner_loop import adapt, meta_gradient
from tfmeta.core.updates import only, sgd


def smooth_network(n_way=3, dim=6, batch_norm=False, seed=0):
    """A float64 network without kinks, so that finite differences are exact to rounding."""
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((dim,)), keras.layers.Dense(7, activation="tanh", dtype="float64")]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(dtype="float64"))
    return keras.Sequential([*layers, keras.layers.Dense(n_way, dtype="float64")])


def one(episodes):
    return Episode(*(tensor[0] for tensor in episodes))


def query_loss(network, params, episode, **inner):
    fast = functional.adapt(network, params, episode.support_x, episode.support_y, **inner)
    return functional.cross_entropy(episode.query_y, functional.forward(network, fast, episode.query_x))


def directional_difference(network, params, episode, direction, epsilon=1e-4, **inner):
    """Fourth-order central difference of the query loss along a direction."""

    def at(t):
        moved = [w + t * d for w, d in zip(params, direction, strict=True)]
        return float(query_loss(network, moved, episode, **inner))

    e = epsilon
    return (8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * e)


def assert_same(a, b, **tolerance):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["nested", "mixed"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_meta_gradient_equals_finite_differences(random_episodes, mode, batch_norm, inner_steps):
    network, episode = smooth_network(batch_norm=batch_norm), one(random_episodes())
    params = functional.values(network.trainable_variables)
    inner = {"inner_lr": 0.3, "inner_steps": inner_steps}
    result = functional.meta_gradient(network, params, episode, gradient_mode=mode, **inner)
    rng = np.random.default_rng(1)
    for _ in range(3):
        direction = [tf.constant(rng.normal(size=w.shape)) for w in params]
        expected = directional_difference(network, params, episode, direction, **inner)
        found = sum(float(tf.reduce_sum(g * d)) for g, d in zip(result.gradients, direction, strict=True))
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-10)


class Point(keras.Model):
    """f(x) = theta, whatever x: the quadratic loss below then depends on theta alone."""

    def __init__(self, start):
        super().__init__()
        self.theta = self.add_weight(shape=(len(start),), dtype="float64", name="theta")
        self.theta.assign(start)
        self.built = True

    def call(self, x, training=False):
        return self.theta + 0.0 * tf.reduce_sum(tf.cast(x, tf.float64))


A = np.array([[2.0, 0.5], [0.5, 1.0]])


def quadratic(centre, theta):
    offset = tf.linalg.matvec(A, theta - centre)
    return 0.5 * tf.reduce_sum((theta - centre) * offset)


def quadratic_case(inner_steps, alpha=0.1, **options):
    """Support loss 1/2 (theta - s)' A (theta - s), query loss the same about q."""
    start, s, q = np.array([1.0, -2.0]), np.array([0.3, 0.4]), np.array([-1.0, 0.5])
    point = Point(start)
    x = tf.zeros([1, 1], tf.float64)
    episode = Episode(x, tf.constant(s), x, tf.constant(q))
    result = functional.meta_gradient(
        point, functional.values(point.trainable_variables), episode,
        inner_lr=alpha, inner_steps=inner_steps, loss=quadratic, **options,
    )  # fmt: skip
    shrink = np.linalg.matrix_power(np.eye(2) - alpha * A, inner_steps)
    adapted = s + shrink @ (start - s)
    return result.gradients[0].numpy(), shrink @ A @ (adapted - q), A @ (adapted - q)


@pytest.mark.parametrize("mode", ["nested", "mixed"])
@pytest.mark.parametrize("inner_steps", [0, 1, 2, 7])
def test_meta_gradient_has_the_closed_form_of_a_quadratic(mode, inner_steps):
    found, exact, _ = quadratic_case(inner_steps, gradient_mode=mode)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12)


def test_first_order_is_the_gradient_at_the_fast_weights_and_not_the_exact_one():
    found, exact, at_fast_weights = quadratic_case(3, first_order=True)
    np.testing.assert_allclose(found, at_fast_weights, atol=1e-12)
    assert np.abs(found - exact).max() > 0.1


def test_first_order_on_a_network_is_the_gradient_at_the_fast_weights(random_episodes):
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    inner = {"inner_lr": 0.3, "inner_steps": 2}
    fast = functional.adapt(network, params, episode.support_x, episode.support_y, **inner)
    with tf.GradientTape() as tape:
        tape.watch(fast)
        loss = functional.cross_entropy(episode.query_y, functional.forward(network, fast, episode.query_x))
    first = functional.meta_gradient(network, params, episode, first_order=True, **inner)
    exact = functional.meta_gradient(network, params, episode, **inner)
    assert_same(first.gradients, tape.gradient(loss, fast), rtol=1e-12)
    assert (
        max(float(tf.reduce_max(tf.abs(a - b))) for a, b in zip(first.gradients, exact.gradients, strict=True)) > 1e-3
    )


def test_an_inner_loop_that_assigns_fails_the_same_test(random_episodes):
    """The mistake that the library exists to avoid: `assign` cuts the graph and gives first order, with no error."""
    network, episode = smooth_network(), one(random_episodes())
    start = [v.numpy() for v in network.trainable_variables]
    params = functional.values(network.trainable_variables)
    inner = {"inner_lr": 0.3, "inner_steps": 1}
    exact = functional.meta_gradient(network, params, episode, **inner).gradients
    first = functional.meta_gradient(network, params, episode, first_order=True, **inner).gradients
    variables = [v.value for v in network.trainable_variables]
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            loss = functional.cross_entropy(episode.support_y, network(episode.support_x))
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.3 * gradient)
        loss = functional.cross_entropy(episode.query_y, network(episode.query_x))
    assigned = outer.gradient(loss, variables)
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value)
    assert_same(assigned, first, rtol=1e-10)
    direction = [tf.ones_like(w) for w in params]
    expected = directional_difference(network, params, episode, direction, **inner)
    found = sum(float(tf.reduce_sum(g)) for g in assigned)
    assert abs(found - expected) > 1e-3
    assert sum(float(tf.reduce_sum(g)) for g in exact) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("setting", [{"inner_lr": 0.3, "inner_steps": 0}, {"inner_lr": 0.0, "inner_steps": 2}])
def test_without_inner_steps_or_rate_maml_is_joint_training(random_episodes, setting):
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = functional.cross_entropy(episode.query_y, functional.forward(network, params, episode.query_x))
    result = functional.meta_gradient(network, params, episode, **setting)
    assert float(result.loss) == pytest.approx(float(loss), rel=1e-12)
    assert_same(result.gradients, tape.gradient(loss, params), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("inner_steps", [1, 5])
def test_eager_and_graph_agree(random_episodes, inner_steps):
    network, episode = smooth_network(batch_norm=True), one(random_episodes())
    params = functional.values(network.trainable_variables)

    def compute(params, episode):
        return functional.meta_gradient(network, params, episode, inner_lr=0.2, inner_steps=inner_steps)

    assert_same(compute(params, episode).gradients, tf.function(compute)(params, episode).gradients, rtol=1e-12)


def test_order_of_support_examples_does_not_matter(random_episodes):
    network, episode = smooth_network(batch_norm=True), one(random_episodes())
    params = functional.values(network.trainable_variables)
    order = np.random.default_rng(0).permutation(len(episode.support_y))
    shuffled = episode._replace(
        support_x=tf.gather(episode.support_x, order), support_y=tf.gather(episode.support_y, order)
    )
    inner = {"inner_lr": 0.3, "inner_steps": 2}
    assert_same(
        functional.meta_gradient(network, params, episode, **inner).gradients,
        functional.meta_gradient(network, params, shuffled, **inner).gradients,
        rtol=1e-9, atol=1e-14,
    )  # fmt: skip


def test_adapting_disturbs_neither_weights_nor_batch_norm_statistics(random_episodes):
    network, episode = smooth_network(batch_norm=True), one(random_episodes())
    before = [v.numpy() for v in network.variables]
    params = functional.values(network.trainable_variables)
    functional.meta_gradient(network, params, episode, inner_lr=0.3, inner_steps=2)
    assert_same(before, [v.numpy() for v in network.variables], rtol=0)


def test_cross_entropy_and_accuracy_by_hand():
    logits = tf.constant([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
    labels = tf.constant([0, 0, 1])
    expected = np.mean([np.log1p(np.exp(-2.0)), np.log1p(np.exp(1.0)), np.log1p(np.exp(2.0))])
    assert float(functional.cross_entropy(labels, logits)) == pytest.approx(expected, rel=1e-6)
    assert float(functional.accuracy(labels, logits)) == pytest.approx(1 / 3)


def test_errors_name_what_was_received(random_episodes):
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    with pytest.raises(ValueError, match=r"'nested' or 'mixed'. Received: gradient_mode='reverse'"):
        functional.meta_gradient(network, params, episode, inner_lr=0.1, inner_steps=1, gradient_mode="reverse")
    with pytest.raises(ValueError, match=r"4 adapted parameter tensors. Received: inner_lr with 3 entries"):
        functional.meta_gradient(network, params, episode, inner_lr=[0.1] * 3, inner_steps=1)


@pytest.mark.parametrize("loop", [adapt, adapt_in_constant_memory])
@pytest.mark.parametrize("adapted", [[2, 3], [0], None])
def test_meta_gradient_of_a_part_that_adapts_equals_finite_differences(random_episodes, loop, adapted):
    """All of theta has a gradient, whatever the inner loop changes; a start that depends on theta is passed through."""
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    rule = sgd(0.3) if adapted is None else only(sgd(0.3), adapted)

    def start(theta):
        return [theta[0], theta[1] + tf.reduce_sum(theta[0] ** 2, axis=0), theta[2], theta[3]]

    def support_loss(weights, k):
        return functional.cross_entropy(episode.support_y, functional.forward(network, weights, episode.support_x))

    def task_loss(theta):
        fast = loop(support_loss, start(theta), rule, 2).params
        return functional.cross_entropy(episode.query_y, functional.forward(network, fast, episode.query_x))

    _, gradients = meta_gradient(task_loss, params)
    rng = np.random.default_rng(1)
    direction = [rng.normal(size=w.shape) for w in params]
    along = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))

    def at(t):
        moved = [w + t * d for w, d in zip(params, direction, strict=True)]
        inner = {"inner_lr": 0.3, "inner_steps": 2, "adapted": adapted}
        return float(query_loss(network, start(moved), episode, **inner))

    e = 1e-4
    exact = (8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * e)
    assert along == pytest.approx(exact, rel=1e-8)


def test_what_is_not_adapted_stays(random_episodes):
    network, episode = smooth_network(), one(random_episodes())
    params = functional.values(network.trainable_variables)
    fast = functional.adapt(
        network, params, episode.support_x, episode.support_y, inner_lr=0.3, inner_steps=3, adapted=[3]
    )
    assert_same(fast[:3], params[:3], rtol=0)
    assert np.abs(fast[3] - params[3]).max() > 1e-3
