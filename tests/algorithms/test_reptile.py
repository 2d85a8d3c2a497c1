"""Reptile: train on a task, move towards where that led."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, contribution, largest_difference, smooth_network
from tests.algorithms.methods import network as images_network
from tests.algorithms.pieces import task, weights
from tfmeta import functional
from tfmeta.algorithms.reptile import mini_batch, reptile_update
from tfmeta.core.updates import adam_update
from tfmeta.training.randomness import task_keys


def task_gradient(learner, one, key=0):
    return contribution(learner, one, key=key).gradients


def support_gradient(network, params, x, y):
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = functional.cross_entropy(y, functional.forward(network, params, x))
    return tape.gradient(loss, params)


# -- the outer step ------------------------------------------------------------------------------------------------
def test_reptile_update_by_hand():
    theta = [tf.constant([1.0, 2.0]), tf.constant(0.0)]
    fast = [tf.constant([[2.0, 2.0], [4.0, 0.0]]), tf.constant([1.0, -3.0])]  # of two tasks
    assert_same(reptile_update(theta, fast, 0.5), [[2.0, 1.5], -0.5])
    assert_same(reptile_update(theta, fast, 1.0), [[3.0, 1.0], -1.0])  # the mean itself
    assert_same(reptile_update(theta, fast, 0.0), theta)


def test_one_inner_sgd_step_is_the_mean_task_gradient_times_alpha(random_episodes):
    network, episodes = smooth_network(batch_norm=True), random_episodes()
    learner = tfmeta.Reptile(network, inner_lr=0.3, inner_steps=1, inner_optimizer="sgd")
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    before = functional.values(network.trainable_variables)
    each = [support_gradient(network, before, *task(episodes, i)[:2]) for i in range(4)]
    learner.train_on_batch(episodes)
    moved = [a - b.numpy() for a, b in zip(before, network.trainable_variables, strict=True)]
    assert_same(moved, [0.3 * np.mean(g, axis=0) for g in zip(*each, strict=True)], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("batch", [1, 4])  # serial and batched version, algorithms 1 and 2
def test_the_outer_step_is_reptile_update(random_episodes, batch, optimizer):
    network, episodes = smooth_network(), random_episodes(batch=batch)
    learner = tfmeta.Reptile(network, inner_lr=0.05, inner_steps=4, inner_optimizer=optimizer)
    learner.compile(optimizer=keras.optimizers.SGD(0.25))
    before = functional.values(network.trainable_variables)
    fast = [learner.fast_weights(task(episodes, i)) for i in range(batch)]
    expected = reptile_update(before, [tf.stack(f) for f in zip(*fast, strict=True)], 0.25)
    report = learner.train_on_batch(episodes, return_dict=True)
    assert_same([v.numpy() for v in network.trainable_variables], expected, rtol=1e-9, atol=1e-13)
    outputs = [functional.forward(network, fast[i], episodes.query_x[i]) for i in range(batch)]
    losses = [functional.cross_entropy(episodes.query_y[i], outputs[i]) for i in range(batch)]
    assert float(report["loss"]) == pytest.approx(np.mean(losses), rel=1e-5)


def test_queries_do_not_influence_training(random_episodes):
    learner, one = tfmeta.Reptile(smooth_network(), inner_batch_size=2), task(random_episodes())
    other = one._replace(query_x=-one.query_x, query_y=(one.query_y + 1) % 3)
    assert_same(task_gradient(learner, one), task_gradient(learner, other), rtol=0)


def test_where_the_outer_step_has_fallen_to_0_the_weights_are_still(random_episodes):
    network, episodes = smooth_network(dtype="float32"), random_episodes(dtype=np.float32)
    learner = tfmeta.Reptile(network, inner_lr=0.01, inner_batch_size=3)
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 5, end_learning_rate=0.0)
    learner.compile(optimizer=keras.optimizers.SGD(schedule))
    sizes = []
    for _ in range(8):
        before = weights(network)
        learner.train_on_batch(episodes)
        sizes.append(largest_difference(before, weights(network)))
    assert sizes[5:] == [0.0, 0.0, 0.0]
    assert all(size > 0 for size in sizes[:5])
    assert sizes[4] < 0.5 * sizes[0]  # 0.2 of the way beside 1


# -- the inner optimizer -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("steps", [1, 5])
def test_inner_adam_agrees_with_a_naive_loop_and_with_keras(random_episodes, steps):
    network, one = smooth_network(), task(random_episodes())
    start = functional.values(network.trainable_variables)
    fast, moments = [w.numpy() for w in start], [np.zeros(w.shape) for w in start]
    for t in range(1, steps + 1):
        gradients = support_gradient(network, [tf.constant(w) for w in fast], one.support_x, one.support_y)
        moments = [0.999 * v + 0.001 * g.numpy() ** 2 for v, g in zip(moments, gradients, strict=True)]
        rate = 0.02 * np.sqrt(1 - 0.999**t)
        fast = [w - rate * g / (np.sqrt(v) + 1e-8) for w, g, v in zip(fast, gradients, moments, strict=True)]
    learner = tfmeta.Reptile(network, inner_lr=0.02, inner_steps=steps)
    assert_same(learner.fast_weights(one), fast, rtol=1e-7, atol=1e-9)
    assert_same(task_gradient(learner, one), [w - f for w, f in zip(start, fast, strict=True)], rtol=1e-5, atol=1e-9)
    optimizer = keras.optimizers.Adam(0.02, beta_1=0.0, beta_2=0.999, epsilon=1e-8)
    variables = [keras.Variable(w, dtype="float64") for w in start]
    for _ in range(steps):
        now = functional.values(variables)
        optimizer.apply(support_gradient(network, now, one.support_x, one.support_y), variables)
    assert_same(learner.fast_weights(one), [v.numpy() for v in variables], rtol=1e-4, atol=1e-6)


def test_adam_moves_by_the_rate_however_small_the_gradient():
    """In float32 a weight of 1 cannot be told from 1 - 1e-9: the gradient must not be read off a difference."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    network.set_weights([np.array([[1.0]])])
    x = tf.constant([[1e-4]])
    for y, sign in ((0.0, -1), (2e-4, 1)):  # gradient 2 x (x - y): 2e-8 either way
        one = tfmeta.Episode(x, tf.constant([[y]]), x, tf.constant([[y]]))
        fast = tfmeta.Reptile(network, inner_lr=0.125, inner_steps=1).fast_weights(one)[0]
        # 2e-8 / (sqrt(0.001) 2e-8 + 1e-8) sqrt(0.001)
        expected = 1 + sign * 0.125 * np.sqrt(0.001) * 2 / (np.sqrt(0.001) * 2 + 1)
        assert fast.numpy().item() == pytest.approx(expected, rel=1e-4)


def naive_adam(network, start, moments, one, first, steps, rate=0.02):
    """Weights and moments after some inner steps, `first` steps having been taken before."""
    fast = [np.asarray(w) for w in start]
    for t in range(first + 1, first + steps + 1):
        gradients = support_gradient(network, [tf.constant(w) for w in fast], one.support_x, one.support_y)
        moments = [0.999 * v + 0.001 * g.numpy() ** 2 for v, g in zip(moments, gradients, strict=True)]
        size = rate * np.sqrt(1 - 0.999**t)
        fast = [w - size * g / (np.sqrt(v) + 1e-8) for w, g, v in zip(fast, gradients, moments, strict=True)]
    return fast, moments


@pytest.mark.parametrize("batch", [1, 3])  # taking turns as in the authors' code; side by side, with mean moments
def test_moments_are_carried_from_task_to_task(random_episodes, batch):
    network = smooth_network()
    learner = tfmeta.Reptile(network, inner_lr=0.02, inner_steps=4)
    learner.compile(optimizer=keras.optimizers.SGD(0.5))
    theta = [w.numpy() for w in network.trainable_variables]
    moments = [np.zeros(w.shape) for w in theta]
    for k in range(3):
        episodes = random_episodes(batch=batch, seed=k)
        ends = [naive_adam(network, theta, moments, task(episodes, i), 4 * k, 4) for i in range(batch)]
        fast, ended = ([np.mean(part, axis=0) for part in zip(*side, strict=True)] for side in zip(*ends, strict=True))
        theta, moments = [w + 0.5 * (f - w) for w, f in zip(theta, fast, strict=True)], ended
        learner.train_on_batch(episodes)
        assert_same([w.numpy() for w in network.trainable_variables], theta, rtol=1e-6, atol=1e-9)
        assert_same([v.numpy() for v in learner.moments], moments, rtol=1e-6, atol=1e-15)
    # A test starts from them, and leaves them alone.
    one = task(random_episodes(seed=9))
    expected, _ = naive_adam(network, theta, moments, one, 12, 4)
    for _ in range(2):
        assert_same(learner.fast_weights(one), expected, rtol=1e-6, atol=1e-9)


def test_moments_start_anew_in_every_task_where_that_is_asked_for(random_episodes):
    network, episodes = smooth_network(), random_episodes()
    learner = tfmeta.Reptile(network, inner_lr=0.02, inner_steps=4, carry_moments=False)
    assert learner.method.statistics == tfmeta.Reptile(network, inner_optimizer="sgd").method.statistics == []
    learner.compile(optimizer=keras.optimizers.SGD(0.5))
    learner.train_on_batch(episodes)
    theta, one = [w.numpy() for w in network.trainable_variables], task(episodes, 1)
    expected, _ = naive_adam(network, theta, [np.zeros(w.shape) for w in theta], one, 0, 4)
    assert_same(learner.fast_weights(one), expected, rtol=1e-6, atol=1e-9)


# -- mini-batches --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "size"), [(6, 2), (6, 4), (7, 3), (5, 5), (6, 1)])
def test_mini_batches_cover_each_example_once_in_every_pass(n, size):
    seed = tf.constant([3, 1], tf.int64)
    batches = [mini_batch(n, size, tf.constant(step), seed).numpy() for step in range(2 * n)]
    assert all(batch.shape == (size,) for batch in batches)
    passes = np.concatenate(batches).reshape(2 * size, n)  # 2 n batches of `size` are 2 `size` passes
    np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(n), (2 * size, 1)))
    assert len({tuple(order) for order in passes.tolist()}) > 1, "every pass has an order of its own"


def test_mini_batches_are_reproducible_and_depend_on_seed_and_step():
    def draw(task, step):
        return tuple(mini_batch(50, 10, tf.constant(step), tf.constant([task, 1], tf.int64)).numpy().tolist())

    found = {(task, step): draw(task, step) for task in range(10) for step in range(10)}
    assert len(set(found.values())) == 100
    assert all(draw(*key) == found[key] for key in [(0, 0), (3, 7), (9, 9)])
    graph = tf.function(lambda n, step: mini_batch(n, 10, step, tf.constant([3, 1], tf.int64)))
    assert tuple(graph(tf.constant(50), tf.constant(7)).numpy().tolist()) == found[3, 7]
    first = np.array([found[task, 0] for task in range(10)])
    assert len(np.unique(first)) >= 40, "all examples come up, here and there"


def test_training_draws_other_mini_batches_for_every_task_and_step(random_episodes):
    episodes = random_episodes(batch=1)
    twins = tfmeta.Episode(*(tf.concat([tensor, tensor], axis=0) for tensor in episodes))
    anew = {"inner_steps": 1, "carry_moments": False}
    learner, one = tfmeta.Reptile(smooth_network(), inner_batch_size=2, **anew), task(episodes)
    learner.compile(optimizer=keras.optimizers.SGD(0.0))
    keys = []
    for _ in range(3):
        keys += task_keys(learner.optimizer, len(twins.support_y)).numpy().tolist()
        learner.train_on_batch(twins)
    assert keys == [0, 1, 2, 3, 4, 5]
    moves = [np.concatenate([np.ravel(g) for g in task_gradient(learner, one, key)]) for key in keys]
    assert len({tuple(move) for move in moves}) > 3
    np.testing.assert_array_equal(moves[2], np.concatenate([np.ravel(g) for g in task_gradient(learner, one, 2)]))
    # A step sees its mini-batch and nothing else.
    rows = mini_batch(6, 2, tf.constant(0), tf.constant([4, 1], tf.int64))
    alone = tfmeta.Reptile(learner.network, **anew)
    part = one._replace(support_x=tf.gather(one.support_x, rows), support_y=tf.gather(one.support_y, rows))
    assert_same(task_gradient(learner, one, 4), task_gradient(alone, part), rtol=1e-7, atol=1e-12)


def test_evaluation_has_its_own_size_and_one_order_for_all(random_episodes):
    network, one = smooth_network(), task(random_episodes())
    learner = tfmeta.Reptile(network, inner_steps=3, inner_batch_size=2, eval_inner_batch_size=6)
    whole = tfmeta.Reptile(network, inner_steps=3)
    assert_same(learner.fast_weights(one), whole.fast_weights(one), rtol=1e-7)  # all six, in another order
    few = tfmeta.Reptile(network, inner_steps=3, inner_batch_size=2)
    assert few.eval_inner_batch_size == 2
    assert few.evaluation_settings() == {
        "inner_steps": 3, "inner_lr": 1e-3, "inner_optimizer": "adam", "inner_batch": 2
    }  # fmt: skip
    assert_same(few.fast_weights(one), few.fast_weights(one), rtol=0)
    assert largest_difference(few.fast_weights(one), whole.fast_weights(one)) > 1e-5
    assert "inner_batch" not in whole.evaluation_settings()


@pytest.mark.slow
@pytest.mark.parametrize("transductive", [True, False])
def test_mini_batches_in_both_evaluation_modes(tiny, transductive):
    keras.utils.set_random_seed(0)
    learner = tfmeta.Reptile(images_network(), inner_batch_size=4)
    sizes = {"n_way": 3, "k_shot": 2, "n_query": 4}
    score = tfmeta.evaluate(learner, tiny, **sizes, episodes=5, transductive=transductive)
    (batch,) = tfmeta.episode_dataset(tiny, **sizes, meta_batch_size=5, seed=0).take(1)
    hits = []
    for i in range(5):
        outputs = learner.query_outputs(task(batch, i), transductive=transductive)
        hits.append(np.mean(np.argmax(outputs, axis=1) == task(batch, i).query_y))
    assert score.accuracy == pytest.approx(np.mean(hits), abs=1e-6)


def test_a_resumed_run_goes_on_with_the_same_mini_batches(random_episodes, tmp_path):
    stream = [random_episodes(seed=seed, dtype=np.float32) for seed in range(4)]
    learner = tfmeta.Reptile(smooth_network(dtype="float32"), inner_lr=0.01, inner_batch_size=np.int64(2))
    learner.compile(optimizer=keras.optimizers.SGD(0.5))
    for episodes in stream[:2]:
        learner.train_on_batch(episodes)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    for model in (learner, loaded):
        for episodes in stream[2:]:
            model.train_on_batch(episodes)
    assert_same(weights(loaded.network), weights(learner.network), rtol=0)


def test_a_mini_batch_larger_than_the_support_set_is_refused(random_episodes):
    network, episodes = smooth_network(), random_episodes()
    one, data = task(episodes), tf.data.Dataset.from_tensors(episodes)
    learner = tfmeta.Reptile(network, inner_batch_size=7)
    learner.compile()
    for name, call in (
        ("eval_inner_batch_size", lambda: learner.adapt(one.support_x, one.support_y)),
        ("inner_batch_size", lambda: learner.fit(data, verbose=0)),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must be at most the 6 support images .* Received: {name}=7"):
            call()
    # Episodes of training may have more shots than those of evaluation: only what is used is refused.
    mixed = tfmeta.Reptile(network, inner_batch_size=7, eval_inner_batch_size=6)
    mixed.compile()
    mixed.adapt(one.support_x, one.support_y)
    with pytest.raises(ValueError, match=r"at most the 6 support images"):
        mixed.fit(data, verbose=0)
    mixed = tfmeta.Reptile(network, inner_batch_size=6, eval_inner_batch_size=7)
    mixed.compile()
    mixed.fit(data, verbose=0)
    for call in (lambda: mixed.adapt(one.support_x, one.support_y), lambda: mixed.evaluate(data, verbose=0)):
        with pytest.raises(ValueError, match=r"at most the 6 support images"):
            call()


BAD = [{"inner_batch_size": 0}, {"inner_batch_size": 2.5}, {"eval_inner_batch_size": -1}, {"inner_optimizer": "none"}]


@pytest.mark.parametrize("options", BAD)
def test_bad_settings_are_named(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=rf"Received: {name}={value!r}"):
        tfmeta.Reptile(smooth_network(), **options)


def test_the_inner_adam_is_keras_adam_without_momentum():
    rng = np.random.default_rng(0)
    variable = keras.Variable(rng.normal(size=(4, 3)).astype(np.float32))
    optimizer = keras.optimizers.Adam(0.1, beta_1=0.0, epsilon=1e-8)
    theta, moments = [tf.convert_to_tensor(variable.value)], [tf.zeros((4, 3))]
    for count in range(1, 5):
        gradient = tf.constant(rng.normal(size=(4, 3)).astype(np.float32))
        optimizer.apply([gradient], [variable])
        theta, moments = adam_update(theta, [gradient], moments, count=count, learning_rate=0.1)
        np.testing.assert_allclose(theta[0], variable.value, rtol=1e-5)
    assert np.all(moments[0] > 0)
