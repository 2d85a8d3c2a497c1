import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import contribution
from tests.algorithms.methods import THREE, borrow, network
from tfmeta import functional
from tfmeta.algorithms.maml_plus_plus import step_weights
from tfmeta.core.episode import Episode

pytestmark = pytest.mark.slow

OFF = {"learn_rates": False, "multi_step_loss": 0, "per_step_batch_norm": False}


def small(cls=tfmeta.MAMLPlusPlus, seed=0, **options):
    keras.utils.set_random_seed(seed)
    learner = cls(network(), **({"inner_lr": 0.2, "inner_steps": 2} | options))
    learner.compile(optimizer=keras.optimizers.SGD(0.1))
    return learner


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **THREE, seed=0)


def flat(variables):
    return np.concatenate([np.ravel(v) for v in variables])


def test_everything_off_is_maml_and_each_part_makes_a_difference(stream):
    """One outer step in Python: the contract compares them with the graph."""
    ends = {}
    parts = ("learn_rates", "multi_step_loss", "per_step_batch_norm")
    options = {"MAML++": OFF} | {part: OFF | {part: 10 if part == "multi_step_loss" else True} for part in parts}
    learners = {"MAML": small(tfmeta.MAML)} | {name: small(**some) for name, some in options.items()}
    batches = list(stream.take(1))
    one = Episode(*(tensor[0] for tensor in batches[0]))
    for name, learner in learners.items():
        for episodes in batches:
            learner.outer_step(episodes)
        ends[name] = learner.query_outputs(one).numpy()
    np.testing.assert_allclose(ends["MAML"], ends["MAML++"], atol=2e-4)
    for part in parts:
        assert np.abs(ends[part] - ends["MAML++"]).max() > 1e-3, part


def test_weights_of_the_steps_by_hand():
    np.testing.assert_allclose(step_weights(5, 0, 10), [0.2] * 5, rtol=1e-6)
    np.testing.assert_allclose(step_weights(5, 5, 10), [0.1] * 4 + [0.6], rtol=1e-6)
    np.testing.assert_allclose(step_weights(5, 9.9, 10), [0.006] * 4 + [0.976], rtol=1e-6)
    for late in (10, 100):
        np.testing.assert_array_equal(step_weights(5, late, 10), [0] * 4 + [1])
    np.testing.assert_allclose(step_weights(1, 3, 10), [1.0])


def smooth(**options):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((6,), dtype="float64"),
            keras.layers.Dense(7, activation="tanh", dtype="float64"),
            keras.layers.BatchNormalization(dtype="float64"),
            keras.layers.Dense(3, dtype="float64"),
        ]
    )
    learner = tfmeta.MAMLPlusPlus(network, **({"inner_lr": 0.3, "inner_steps": 2} | options))
    learner.compile(optimizer=keras.optimizers.SGD(0.1))
    return learner


def naive_loss(learner, episode, weights):
    """The weighted loss with Python loops over steps, from the variables' present values."""
    values = dict(enumerate(functional.values(learner.network.trainable_variables)))

    def with_scales(fast, k):
        full = dict(fast)
        for i, table in zip(learner._scales_at, learner.scales, strict=True):
            full[i] = table.value[k]
        return [full[i] for i in range(len(full))]

    total = 0.0
    for k in range(2):
        with tf.GradientTape() as tape:
            tape.watch([values[i] for i in learner._adapted])
            outputs = functional.forward(learner.network, with_scales(values, k), episode.support_x)
            loss = functional.cross_entropy(episode.support_y, outputs)
        gradients = tape.gradient(loss, [values[i] for i in learner._adapted])
        for j, (i, g) in enumerate(zip(learner._adapted, gradients, strict=True)):
            rate = learner.rates[j].value[k] if learner.rates else learner.inner_lr
            values[i] = values[i] - rate * g
        outputs = functional.forward(learner.network, with_scales(values, k + 1), episode.query_x)
        total += weights[k] * functional.cross_entropy(episode.query_y, outputs).numpy()
    return total


def in_graph(function):
    return tf.function(function, autograph=False)()


PARTS = {
    "all": {"multi_step_loss": 10},
    "learned rates": OFF | {"learn_rates": True},
    "multi-step loss": OFF | {"multi_step_loss": 10},
    "per-step batch norm": OFF | {"per_step_batch_norm": True},
    "after the multi-step loss": {"multi_step_loss": 5},
}


@pytest.mark.parametrize("part", PARTS)
def test_gradient_of_weights_rates_and_scales_equals_finite_differences(random_episodes, part):
    learner = smooth(**PARTS[part])
    learner.optimizer.iterations.assign(5)
    episode = Episode(*(tensor[0] for tensor in random_episodes()))
    weights = [0.25, 0.75] if learner.multi_step_loss == 10 else [0.0, 1.0]
    np.testing.assert_allclose(step_weights(2, 5, learner.multi_step_loss or 1), weights)
    variables = learner.meta_variables
    found = in_graph(lambda: contribution(learner, episode))
    rng = np.random.default_rng(1)
    start, direction = [v.numpy() for v in variables], [rng.normal(size=v.shape) for v in variables]

    def at(t):
        for variable, old, d in zip(variables, start, direction, strict=True):
            variable.assign(old + t * d)
        return naive_loss(learner, episode, weights)

    e = 1e-4
    exact = (8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * e)
    along = sum(np.sum(g * d) for g, d in zip(found.gradients, direction, strict=True))
    assert along == pytest.approx(exact, rel=1e-8)


def test_first_order_comes_first_and_goes(random_episodes):
    learner, plain = smooth(first_order_steps=3, **OFF), smooth(**OFF)
    episode = Episode(*(tensor[0] for tensor in random_episodes()))

    def gradient(of):
        return flat(in_graph(lambda: contribution(of, episode)).gradients)

    first = functional.meta_gradient(
        plain.network, functional.values(plain.meta_variables), episode, inner_lr=0.3, inner_steps=2, first_order=True
    )
    np.testing.assert_allclose(gradient(learner), flat(first.gradients), rtol=1e-9, atol=1e-12)
    learner.optimizer.iterations.assign(3)
    np.testing.assert_allclose(gradient(learner), gradient(plain), rtol=1e-9, atol=1e-12)
    assert np.abs(flat(first.gradients) - gradient(plain)).max() > 1e-4


def test_moving_averages_follow_the_batches_of_their_step(random_episodes):
    learner = smooth()
    episodes = random_episodes()
    params = functional.values(learner.network.trainable_variables)
    before = [v.numpy() for v in learner.network.non_trainable_variables]
    learner.train_on_batch(episodes)
    mean, variance = (table.numpy() for table in learner.moving)
    assert mean.shape == (3, 7)
    hidden = [np.tanh(x @ params[0].numpy() + params[1].numpy()) for x in episodes.support_x.numpy()]
    momentum = 0.99
    np.testing.assert_allclose(mean[0], (1 - momentum) * np.mean([h.mean(axis=0) for h in hidden], axis=0), rtol=1e-9)
    expected = momentum + (1 - momentum) * np.mean([h.var(axis=0) for h in hidden], axis=0)
    np.testing.assert_allclose(variance[0], expected, rtol=1e-9)
    assert np.abs(mean[0] - mean[2]).max() > 1e-6
    for old, new in zip(before, learner.network.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_query_at_a_time_uses_the_moving_averages(stream):
    learner = borrow("MAMLPlusPlus")
    learner.fit(stream, steps_per_epoch=3, verbose=0)
    episode = Episode(*(tensor[0] for tensor in next(iter(stream))))
    alone = [
        learner.query_outputs(episode._replace(query_x=episode.query_x[i : i + 1]), transductive=False).numpy()[0]
        for i in range(12)
    ]
    np.testing.assert_allclose(learner.query_outputs(episode, transductive=False), alone, rtol=1e-4, atol=1e-5)
    assert learner.batch_norm_mode(transductive=False) == "moving averages of the inner step"
    assert np.abs(learner.query_outputs(episode) - alone).max() > 1e-3

    # In MAML's mode a query shares its batch with the support set, and the moving averages play no part.
    other = type(learner).from_config(learner.get_config() | {"single_query": "support"})
    other.set_weights(learner.get_weights())
    for table in other.moving:
        table.assign(table + 100.0)
    beside = [
        learner.query_outputs(episode._replace(query_x=tf.concat([episode.support_x, query[None]], axis=0))).numpy()[-1]
        for query in episode.query_x
    ]
    np.testing.assert_allclose(other.query_outputs(episode, transductive=False), beside, rtol=1e-4, atol=1e-4)
    assert other.batch_norm_mode(transductive=False) == "statistics of the support set and one query"
    with pytest.raises(ValueError, match=r"'moving' or 'support'. Received: single_query='batch'"):
        type(learner)(learner.network, single_query="batch")


def test_bad_settings_are_named():
    for options, message in (
        ({"inner_steps": 0}, "at least 1. Received: inner_steps=0"),
        ({"multi_step_loss": -1}, "Received: multi_step_loss=-1"),
        ({"first_order_steps": 0.5}, "Received: first_order_steps=0.5"),
        ({"inner_lr": "fast"}, "Received: inner_lr='fast'"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)


def test_before_any_step_it_predicts_with_the_batch_norm_that_was_trained(stream):
    """The network's own scales are never trained where each step has its own; those of no step are."""
    learner = borrow("MAMLPlusPlus")
    learner.fit(stream, steps_per_epoch=3, verbose=0)
    episode = Episode(*(tensor[0] for tensor in next(iter(stream))))
    found = learner(episode.query_x, training=True).numpy()
    wanted = learner.adaptation_path(episode, 1)["query_loss"][0]
    assert float(functional.cross_entropy(episode.query_y, found)) == pytest.approx(float(wanted), rel=1e-5)
    assert np.abs(found - learner.network(episode.query_x, training=True).numpy()).max() > 1e-4
    predicted = learner.predict(episode.query_x, verbose=0)
    np.testing.assert_allclose(predicted, learner(episode.query_x), rtol=1e-4, atol=1e-5)


def test_once_the_multi_step_loss_has_ended_only_the_last_step_is_judged(random_episodes):
    """The weights of the others are 0 then, so that numbers cannot show it: count the losses that are computed."""
    episode = Episode(*(tensor[0] for tensor in random_episodes()))
    learner, calls = smooth(multi_step_loss=10, inner_steps=3), []
    loss = learner.loss_of
    learner.loss_of = lambda y, outputs: (calls.append(1), loss(y, outputs))[1]
    counts = []
    for outer_step in (0, 9, 10, 100):
        learner.optimizer.iterations.assign(outer_step)
        calls.clear()
        contribution(learner, episode)
        counts.append(len(calls))
    assert counts == [6, 6, 4, 4]  # three steps, and the queries after each or after the last
