"""Update rules against hand numbers and naive loops, and constant memory against two tapes for each of them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.algorithms.differences import assert_is_gradient, assert_same
from tests.algorithms.momentum_maml import momentum
from tfmeta.core.constant_memory import adapt_in_constant_memory
from tfmeta.core.inner_loop import Watch, adapt, meta_gradient
from tfmeta.core.updates import Update, adam, clipped, only, per_step, per_weight, sgd

STEPS = 4
rng = np.random.default_rng(0)


def tensor(*shape):
    return tf.constant(0.5 * rng.normal(size=shape))


X, Y, XQ, YQ = tensor(7, 3), tensor(7, 2), tensor(9, 3), tensor(9, 2)
THETA = [tensor(3, 5), tensor(5), tensor(5, 2)]
SCALAR = tf.TensorSpec([], tf.float64)


def squared_error(params, x, y):
    return tf.reduce_mean((tf.tanh(x @ params[0] + params[1]) @ params[2] - y) ** 2)


def support_loss(params, k):
    return squared_error(params, X, Y)


def number(value):
    return tf.constant(value, tf.float64)


def loss_scaled(rate):
    """A rate in proportion to the loss, whose own derivative counts, too; the state is the sum of losses."""

    def step(k, params, gradients, state, learned, loss):
        state = state + loss
        return [w - learned[0] * state * g for w, g in zip(params, gradients, strict=True)], state

    return Update(lambda params: tf.zeros([], tf.float64), step, (rate,), reads_loss=True)


# A rule as a function of what it learns, and values of that.
RULES = {
    "sgd": (lambda: sgd(0.1), []),
    "sgd, learned rate": (lambda rate: sgd(rate), [number(0.1)]),
    "a rate for each tensor and weight": (lambda *rates: per_weight(rates), [number(0.1), tensor(5), tensor(5, 2)]),
    "a rate for each step": (lambda *rates: per_step(rates), [tensor(STEPS) for _ in THETA]),
    "adam": (lambda: adam(0.01), []),
    "adam from moments": (lambda: adam(0.01, moments=[tf.ones_like(w) for w in THETA], count=3.0), []),
    "momentum with a learned decay": (momentum, [number(0.1), number(0.7)]),
    "only some": (lambda *rates: only(per_weight(rates), (0, 2)), [number(0.1), tensor(5, 2)]),
    "clipped": (lambda: clipped(sgd(0.1), 0.05), []),
    "clipped momentum of some": (
        lambda *both: only(clipped(momentum(*both), 0.05), (1, 2)),
        [number(0.1), number(0.7)],
    ),
    "reads the loss": (loss_scaled, [number(0.1)]),
    "reads the loss, clipped, some": (lambda rate: only(clipped(loss_scaled(rate), 0.05), (1, 2)), [number(0.5)]),
}
every_rule = pytest.mark.parametrize("name", RULES)


def outer(loop, name, first_order=False):
    """Loss that looks at the last parameters and, weighted, at those before every step; kept rows; gradients."""
    rule, learned = RULES[name]

    def loss(both):
        theta, learned = both
        watch = Watch(lambda params, k: squared_error(params, XQ, YQ), SCALAR)
        end = loop(
            lambda params, k: (support_loss(params, k), tf.reduce_sum(params[0])), theta, rule(*learned), STEPS,
            first_order=first_order, keep=SCALAR, watch=watch,
        )  # fmt: skip
        seen = tf.reduce_sum(end.seen * tf.constant([0.1, 0.2, 0.3, 0.4], tf.float64))
        return squared_error(end.params, XQ, YQ) + seen, end.kept

    return meta_gradient(loss, (THETA, learned))


@pytest.mark.slow
@every_rule
def test_constant_memory_equals_two_tapes(name):
    nested, mixed = outer(adapt, name), outer(adapt_in_constant_memory, name)
    for a, b in zip(tf.nest.flatten(nested), tf.nest.flatten(mixed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["momentum with a learned decay", "only some", "clipped"])
def test_constant_memory_in_a_graph_with_tasks_side_by_side(name):
    def task(_):
        return tf.nest.flatten(outer(adapt_in_constant_memory, name))

    expected = tf.nest.flatten(outer(adapt, name))
    like = [tf.TensorSpec(t.shape, t.dtype) for t in expected]
    found = tf.function(lambda: tf.map_fn(task, tf.range(2), fn_output_signature=like), autograph=False)()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-12, atol=1e-14)


@every_rule
def test_gradients_of_parameters_and_of_what_a_rule_learns_equal_finite_differences(name):
    rule, learned = RULES[name]
    everything = [*THETA, *learned]

    def loss(values):
        values = [tf.convert_to_tensor(v) for v in values]
        end = adapt(support_loss, values[:3], rule(*values[3:]), STEPS)
        return squared_error(end.params, XQ, YQ)

    _, gradients = meta_gradient(loss, everything)
    assert_is_gradient(gradients, loss, everything, rel=1e-6)


@every_rule
def test_first_order_is_the_gradient_at_the_fast_weights_and_differs(name):
    rule, learned = RULES[name]

    def loss(theta):
        return squared_error(adapt(support_loss, theta, rule(*learned), STEPS, first_order=True).params, XQ, YQ)

    fast = adapt(support_loss, THETA, rule(*learned), STEPS).params
    _, found = meta_gradient(loss, THETA)
    with tf.GradientTape() as tape:
        tape.watch(fast)
        value = squared_error(fast, XQ, YQ)
    assert_same(found, tape.gradient(value, fast), rtol=1e-12)
    exact = outer(adapt, name)[1][0]
    assert max(np.abs(a - b).max() for a, b in zip(found, exact, strict=True)) > 1e-6


def naive(step, theta=THETA):
    """A plain loop: `step(k, weight, gradient, i)` for every tensor i."""
    theta = [np.array(w) for w in theta]
    for k in range(STEPS):
        params = [tf.constant(w) for w in theta]
        with tf.GradientTape() as tape:
            tape.watch(params)
            value = squared_error(params, X, Y)
        slopes = tape.gradient(value, params)
        theta = [step(k, w, g.numpy(), i) for i, (w, g) in enumerate(zip(theta, slopes, strict=True))]
    return theta


def test_rules_move_weights_as_naive_loops_do():
    rates = [number(0.1), tensor(5), tensor(5, 2)]
    tables = [tensor(2) for _ in THETA]  # fewer entries than steps: the last goes on
    for rule, step in (
        (sgd(0.1), lambda k, w, g, i: w - 0.1 * g),
        (per_weight(rates), lambda k, w, g, i: w - rates[i].numpy() * g),
        (per_step(tables), lambda k, w, g, i: w - tables[i].numpy()[min(k, 1)] * g),
        (only(sgd(0.1), (0, 2)), lambda k, w, g, i: w - 0.1 * g * (i != 1)),
    ):
        found = adapt(support_loss, THETA, rule, STEPS).params
        assert_same(found, naive(step), rtol=1e-12)
    kept = adapt(support_loss, THETA, only(sgd(0.1), (0, 2)), STEPS).params[1]
    np.testing.assert_array_equal(kept, THETA[1])


def test_momentum_and_adam_carry_their_state():
    speed = {}

    def step(k, w, g, i):
        speed[i] = 0.7 * speed.get(i, 0.0) + g
        return w - 0.1 * speed[i]

    assert_same(adapt(support_loss, THETA, momentum(number(0.1), number(0.7)), STEPS).params, naive(step), rtol=1e-12)
    squares = {}

    def adam_step(k, w, g, i):
        squares[i] = 0.999 * squares.get(i, 0.0) + 0.001 * g**2
        return w - 0.01 * np.sqrt(1 - 0.999 ** (k + 1)) * g / (np.sqrt(squares[i]) + 1e-8)

    assert_same(adapt(support_loss, THETA, adam(0.01), STEPS).params, naive(adam_step), rtol=1e-6)


@pytest.mark.parametrize("loop", [adapt, adapt_in_constant_memory])
def test_a_rule_reads_the_loss_before_its_step(loop):
    end = loop(support_loss, THETA, loss_scaled(number(0.1)), STEPS)
    theta, total = [tf.identity(w) for w in THETA], 0.0
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            value = squared_error(theta, X, Y)
        total += value
        theta = [w - 0.1 * total * g for w, g in zip(theta, tape.gradient(value, theta), strict=True)]
    assert_same(end.params, theta, rtol=1e-12)
    np.testing.assert_allclose(end.state, total, rtol=1e-12)


@pytest.mark.parametrize("loop", [adapt, adapt_in_constant_memory])
@pytest.mark.parametrize("name", ["a rate for each step", "momentum with a learned decay", "adam"])
def test_a_loop_goes_on_from_where_it_was(loop, name):
    """A stream: two steps and then two are four, the rule's state and its count of steps included."""
    rule, learned = RULES[name]
    update = rule(*learned)
    whole = loop(support_loss, THETA, update, 4)
    half = loop(support_loss, THETA, update, 2)
    rest = loop(support_loss, half.params, update, 2, state=half.state, first_step=2)
    assert_same(tf.nest.flatten(rest[:2]), tf.nest.flatten(whole[:2]), rtol=1e-12)
    fresh = loop(support_loss, half.params, update, 2)
    assert max(np.abs(a - b).max() for a, b in zip(fresh.params, whole.params, strict=True)) > 1e-6


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_what_is_watched_and_kept_has_a_row_for_each_step(steps):
    watch = Watch(lambda params, k: (tf.reduce_sum(params[1]), k), (SCALAR, tf.TensorSpec([], tf.int32)))
    end = adapt(
        lambda params, k: (support_loss(params, k), params[1]), THETA, sgd(0.1), steps,
        keep=tf.TensorSpec([5], tf.float64), watch=watch,
    )  # fmt: skip
    path = [adapt(support_loss, THETA, sgd(0.1), k).params[1] for k in range(steps)]
    assert end.kept.shape == (steps, 5)
    assert end.seen[1].numpy().tolist() == list(range(steps))
    if steps:
        np.testing.assert_allclose(end.kept, path, rtol=1e-12)
        np.testing.assert_allclose(end.seen[0], np.sum(path, axis=1), rtol=1e-12)


def test_an_array_as_the_rate_of_sgd_is_refused():
    with pytest.raises(ValueError, match=r"must be one number; per_weight .* shape=\(3,\)"):
        sgd(np.full(3, 0.1))
    with pytest.raises(ValueError, match=r"2 .* Received: inner_lr with 1 entry|for each of the 3 adapted"):
        adapt(support_loss, THETA, per_weight([number(0.1)]), 1)


def test_a_rule_is_a_plain_value():
    rule = only(clipped(sgd(0.1), 1.0), (1,))
    assert isinstance(rule, Update)
    assert rule.positions(THETA) == [1]
    assert sgd(0.1).positions(THETA) == [0, 1, 2]
