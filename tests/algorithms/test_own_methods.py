"""A method is data and functions: the shells do the rest, for the library's methods and for one's own."""

import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, contribution, largest_difference, smooth_network
from tests.algorithms.methods import CLASSIFIERS, borrow
from tests.algorithms.momentum_maml import MomentumMAML
from tests.algorithms.pieces import task
from tfmeta import algorithms, functional
from tfmeta.core.updates import sgd
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, TaskLoss


# -- the shells are nobody's to override -------------------------------------------------------------------------------
def learners_of_the_library():
    found = []
    for module in pkgutil.iter_modules(algorithms.__path__):
        module = importlib.import_module(f"{algorithms.__name__}.{module.name}")
        found += [
            value for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, EpisodicLearner) and value.__module__ == module.__name__
        ]  # fmt: skip
    return found


def test_no_learner_overrides_anything_of_the_shells_but_its_method():
    learners = learners_of_the_library()
    assert len(learners) >= 11
    for learner in (*learners, MomentumMAML):
        own = {name for name in vars(learner) if not name.startswith("__") and name != "_abc_impl"}
        inherited = {name for kind in EpisodicLearner.__mro__ for name in vars(kind)}
        assert own & inherited == {"method"}, learner.__name__


def test_learners_are_final():
    learners = learners_of_the_library()
    for learner in learners:
        assert [kind for kind in learner.__mro__ if kind in learners] == [learner]
        assert learner.__bases__ == (EpisodicLearner,)
        assert learner.__subclasses__() == []


def test_the_shell_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        EpisodicLearner(tfmeta.networks.mlp(3))


# -- a rule of one's own -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [n for n in CLASSIFIERS if n != "NearestNeighbour"])
def test_both_gradient_modes_give_the_same_gradient(name, tiny):
    """Of whatever a method learns, its own rule's numbers included, with nothing said of derivatives."""
    learner = borrow(name)
    if "gradient_mode" not in vars(learner):
        return
    one, found = tfmeta.sample_episode(tiny, n_way=3, k_shot=2, n_query=4, seed=0), {}
    for mode in ("nested", "mixed"):
        learner.gradient_mode = mode
        found[mode] = contribution(learner, one).gradients
    learner.gradient_mode = "nested"
    assert_same(found["mixed"], found["nested"], rtol=1e-3, atol=1e-5)
    assert max(np.abs(g).max() for g in found["nested"]) > 1e-3


def test_momentum_with_a_learned_decay_is_a_naive_loop_in_both_modes(random_episodes):
    network, one, ends = smooth_network(), task(random_episodes()), []
    for mode in ("nested", "mixed"):
        learner = MomentumMAML(network, inner_lr=0.2, decay=0.6, inner_steps=3, gradient_mode=mode)
        params = [*functional.values(network.trainable_variables), *functional.values(learner.rule)]
        with tf.GradientTape() as tape:
            tape.watch(params)
            *fast, rate, decay = params
            speed = [tf.zeros_like(w) for w in fast]
            for _ in range(3):
                with tf.GradientTape() as inner:
                    inner.watch(fast)
                    loss = functional.cross_entropy(one.support_y, functional.forward(network, fast, one.support_x))
                speed = [decay * s + g for s, g in zip(speed, inner.gradient(loss, fast), strict=True)]
                fast = [w - rate * s for w, s in zip(fast, speed, strict=True)]
            loss = functional.cross_entropy(one.query_y, functional.forward(network, fast, one.query_x))
        found = contribution(learner, one)
        assert_same(found.gradients, tape.gradient(loss, params), rtol=1e-9, atol=1e-13)
        assert_same(learner.fast_weights(one), fast, rtol=1e-10)
        ends.append(found.gradients)
    assert_same(*ends, rtol=1e-10, atol=1e-14)
    assert all(abs(float(g)) > 1e-4 for g in ends[0][-2:])


# -- randomness at test time -------------------------------------------------------------------------------------------
class Noisy(EpisodicLearner):
    """Weights of a task are drawn around those that are learned."""

    @property
    def method(self):
        def start(params, episode, run):
            seed = tf.stack([tf.cast(run.key, tf.int64), tf.constant(7, tf.int64)])
            return [w + tf.random.stateless_normal(w.shape, seed, dtype=w.dtype) for w in params["network"]]

        return Method.for_network(self.network, start=start, update=lambda params: sgd(0.1), samples=3)


def test_predictions_of_several_models_are_averaged_and_follow_the_key(random_episodes):
    learner, one = Noisy(smooth_network(), inner_steps=1), task(random_episodes())

    def of_one(key):  # by hand: weights drawn, one step, probabilities
        seed = tf.constant([key, 7], tf.int64)
        theta = functional.values(learner.network.trainable_variables)
        fast = [w + tf.random.stateless_normal(w.shape, seed, dtype=w.dtype) for w in theta]
        fast = functional.adapt(learner.network, fast, one.support_x, one.support_y, inner_lr=0.1, inner_steps=1)
        return functional.forward(learner.network, fast, one.query_x)

    key = tf.constant(5, tf.int64)
    outputs = learner.query_outputs(one, key=key)
    expected = np.mean([tf.nn.softmax(of_one(k)) for k in (15, 16, 17)], axis=0)  # three keys of this task alone
    np.testing.assert_allclose(outputs, np.log(expected), rtol=1e-9)
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(outputs), axis=1), 1.0, rtol=1e-9)
    np.testing.assert_array_equal(learner.query_outputs(one, key=key), outputs)
    np.testing.assert_array_equal(learner.query_outputs(one), learner.query_outputs(one, key=tf.constant(0, tf.int64)))
    assert np.abs(learner.query_outputs(one, key=key + 1) - outputs).max() > 1e-3


def test_outputs_of_several_models_for_regression_are_their_mean():
    learner = Noisy(smooth_network(n_outputs=1, dim=1), inner_steps=0)
    x = np.linspace(-1.0, 1.0, 5)[:, None]
    one = tfmeta.Episode(*(tf.constant(v) for v in (x, np.sin(x), x, np.sin(x))))
    theta = functional.values(learner.network.trainable_variables)
    each = []
    for key in (6, 7, 8):
        seed = tf.constant([key, 7], tf.int64)
        drawn = [w + tf.random.stateless_normal(w.shape, seed, dtype=w.dtype) for w in theta]
        each.append(functional.forward(learner.network, drawn, x))
    found = learner.query_outputs(one, key=tf.constant(2, tf.int64))
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-9)


def test_scores_with_randomness_repeat_and_every_episode_has_its_own(random_episodes):
    learner, episodes = Noisy(smooth_network(), inner_steps=1), random_episodes(batch=6)
    score = tfmeta.evaluate(learner, episodes)
    hits = [
        np.mean(np.argmax(learner.query_outputs(task(episodes, i), key=tf.constant(i, tf.int64)), axis=1)
                == task(episodes, i).query_y)
        for i in range(6)
    ]  # fmt: skip
    assert score.accuracy == pytest.approx(np.mean(hits), abs=1e-6)
    assert tfmeta.evaluate(learner, episodes) == score
    twins = tfmeta.Episode(*(tf.repeat(tensor[:1], 6, axis=0) for tensor in episodes))
    assert tfmeta.evaluate(learner, twins).interval > 0, "one episode six times has six keys"


# -- two groups, each with its own optimizer -------------------------------------------------------------------------
class WithTarget(EpisodicLearner):
    """Learns besides the network a number that an extra term of the loss draws to 3."""

    def __init__(self, network, *, name=None):
        super().__init__(network, inner_steps=1, name=name)
        self.number = self.add_weight(shape=(), dtype="float64", initializer="zeros", name="number")

    @property
    def method(self):
        def task_loss(params, episode, run):
            found = self.task_loss(params, episode, run)
            (number,) = params["number"]
            return TaskLoss(found.value + (number - 3.0) ** 2, found.outputs, reported=found.value)

        return Method.for_network(
            self.network, {"number": [self.number]}, update=lambda params: sgd(0.3), task_loss=task_loss
        )


def test_a_second_group_learns_from_a_term_of_its_own(random_episodes):
    network, episodes = smooth_network(), random_episodes()
    maml, learner = tfmeta.MAML(network, inner_lr=0.3), WithTarget(network)
    expected = [np.mean(g, axis=0) for g in zip(
        *(contribution(maml, task(episodes, i)).gradients for i in range(4)), strict=True)]  # fmt: skip
    start = [w.copy() for w in network.get_weights()]
    momentum = keras.optimizers.SGD(0.25, momentum=0.5)
    learner.compile(optimizer=keras.optimizers.SGD(0.125), group_optimizers={"number": momentum})
    loss = float(learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0).history["loss"][0])
    mean = np.mean([contribution(maml, task(episodes, i)).loss for i in range(4)])
    assert abs(loss - mean) > 1e-6, "weights have moved since"
    moved = [old - new for old, new in zip(start, network.get_weights(), strict=True)]
    assert_same(moved, [0.125 * g for g in expected], rtol=1e-9, atol=1e-13)
    assert float(learner.number) == pytest.approx(0.25 * 2 * 3)  # 1.5, from slope 2 (0 - 3)
    learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0)
    assert float(learner.number) == pytest.approx(1.5 + 0.5 * 1.5 + 0.25 * 2 * 1.5)  # momentum, then the slope at 1.5
    assert largest_difference(start, network.get_weights()) > 1e-4
