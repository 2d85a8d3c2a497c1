import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import contribution, smooth_network
from tests.algorithms.methods import network
from tests.algorithms.pieces import first, task
from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.training.randomness import state_of_task

SIZES = {"n_way": 3, "k_shot": 1, "n_query": 2, "meta_batch_size": 3}


def small_maml(seed=0, **options):
    keras.utils.set_random_seed(seed)
    learner = tfmeta.MAML(network(), **({"inner_lr": 0.2, "inner_steps": 2} | options))
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    return learner


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


@pytest.mark.slow
def test_train_step_applies_the_mean_of_the_tasks_gradients(stream):
    learner = small_maml()
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    episodes, before = first(stream), [v.numpy() for v in learner.network.trainable_variables]
    params = functional.values(learner.network.trainable_variables)
    each = [
        functional.meta_gradient(learner.network, params, task(episodes, i), inner_lr=0.2, inner_steps=2)
        for i in range(3)
    ]
    learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0)
    for k, (old, variable) in enumerate(zip(before, learner.network.trainable_variables, strict=True)):
        expected = np.mean([result.gradients[k] for result in each], axis=0)
        np.testing.assert_allclose(old - variable.numpy(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_gradient_modes_agree_in_a_graph_and_first_order_does_not(random_episodes):
    one, found = task(random_episodes(dtype=np.float32)), {}
    for name, options in {"nested": {}, "mixed": {"gradient_mode": "mixed"}, "first": {"first_order": True}}.items():
        learner = tfmeta.MAML(smooth_network(batch_norm=True, dtype="float32"), inner_lr=0.4, inner_steps=2, **options)
        gradients = tf.function(lambda learner=learner: contribution(learner, one).gradients, autograph=False)()
        found[name] = np.concatenate([np.ravel(g) for g in gradients])
    np.testing.assert_allclose(found["nested"], found["mixed"], rtol=1e-3, atol=1e-5)
    assert np.abs(found["nested"] - found["first"]).max() > 1e-3


@pytest.mark.slow
def test_evaluate_agrees_with_a_naive_loop(stream):
    learner = small_maml(eval_inner_steps=3)
    episodes = first(stream)
    reported = learner.evaluate(tf.data.Dataset.from_tensors(episodes), return_dict=True, verbose=0)
    losses, accuracies = [], []
    for i in range(3):
        one = task(episodes, i)
        fast = functional.values(learner.network.trainable_variables)
        for _ in range(3):
            with tf.GradientTape() as tape:
                tape.watch(fast)
                loss = functional.cross_entropy(one.support_y, functional.forward(learner.network, fast, one.support_x))
            fast = [w - 0.2 * g for w, g in zip(fast, tape.gradient(loss, fast), strict=True)]
        logits = functional.forward(learner.network, fast, one.query_x)
        losses.append(functional.cross_entropy(one.query_y, logits))
        accuracies.append(np.mean(np.argmax(logits, axis=1) == one.query_y.numpy()))
    assert reported["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert reported["accuracy"] == pytest.approx(np.mean(accuracies))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model without a functional graph."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(3)

    def build(self, input_shape):
        self.dense.build((None, int(np.prod(input_shape[1:]))))
        self.built = True

    def call(self, x, training=False):
        return self.dense(self.flatten(x))


def test_a_subclassed_model_learns_and_adapts(stream):
    keras.utils.set_random_seed(0)
    subclassed = Subclassed()
    with pytest.raises(ValueError, match=r"must be built.*Received: network="):
        tfmeta.MAML(subclassed)
    subclassed.build((None, 16, 16, 1))
    learner = tfmeta.MAML(subclassed, inner_lr=0.1)
    learner.compile(optimizer="adam")
    learner.fit(stream, steps_per_epoch=2, verbose=0)
    one = task(first(stream))
    adapted = learner.adapt(one.support_x, one.support_y)
    np.testing.assert_allclose(
        adapted.predict(one.query_x, verbose=0), learner.query_outputs(one), rtol=1e-4, atol=1e-5
    )


def test_dropout_is_new_for_every_task_and_step_and_off_in_evaluation(random_episodes):
    keras.utils.set_random_seed(0)
    dropping = keras.Sequential([keras.Input((6,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    learner = tfmeta.MAML(dropping, inner_lr=0.0)
    learner.compile(optimizer=keras.optimizers.SGD(0.0))
    episodes = random_episodes(batch=1, dtype=np.float32)
    twin = Episode(*(tf.concat([t, t], axis=0) for t in episodes))
    data = tf.data.Dataset.from_tensors(twin)
    losses = [learner.fit(data, verbose=0).history["loss"][0] for _ in range(3)]
    assert len(set(losses)) == 3, "the same units are dropped in every step"
    state = [state_of_task(learner.network, tf.constant(key, tf.int64)) for key in (0, 1)]
    params = functional.values(dropping.trainable_variables)
    one = task(twin)
    outputs = [functional.forward(dropping, params, one.query_x, non_trainable=s).numpy() for s in state]
    assert np.abs(outputs[0] - outputs[1]).max() > 0
    plain = functional.forward(dropping, params, one.query_x, training=False)
    np.testing.assert_allclose(learner.query_outputs(one), plain, rtol=1e-5)
