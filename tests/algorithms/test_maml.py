import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import first, task, weights
from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.datasets import sinusoid_episodes
from tfmeta.training.randomness import state_of_task

SIZES = {"n_way": 3, "k_shot": 1, "n_query": 2, "meta_batch_size": 4}


def small_maml(seed=0, **options):
    keras.utils.set_random_seed(seed)
    network = tfmeta.networks.conv4(3, filters=4, input_shape=(16, 16, 1))
    learner = tfmeta.MAML(network, **({"inner_lr": 0.2, "inner_steps": 2} | options))
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    return learner


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


def test_train_step_applies_the_mean_of_the_tasks_gradients(stream):
    learner = small_maml()
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    episodes, before = first(stream), [v.numpy() for v in learner.network.trainable_variables]
    params = functional.values(learner.network.trainable_variables)
    each = [
        functional.meta_gradient(learner.network, params, task(episodes, i), inner_lr=0.2, inner_steps=2)
        for i in range(4)
    ]
    learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0)
    for k, (old, variable) in enumerate(zip(before, learner.network.trainable_variables, strict=True)):
        expected = np.mean([result.gradients[k] for result in each], axis=0)
        np.testing.assert_allclose(old - variable.numpy(), expected, rtol=1e-3, atol=1e-5)


def test_gradient_modes_train_alike_and_first_order_does_not(stream):
    ends = {}
    for name, options in {"nested": {}, "mixed": {"gradient_mode": "mixed"}, "first": {"first_order": True}}.items():
        learner = small_maml(**options)
        learner.fit(stream, steps_per_epoch=2, verbose=0)
        ends[name] = np.concatenate([np.ravel(v) for v in learner.network.trainable_variables])
    np.testing.assert_allclose(ends["nested"], ends["mixed"], atol=1e-4)
    assert np.abs(ends["nested"] - ends["first"]).max() > 1e-3


def test_fit_learns_and_reports_before_and_after(tiny, stream):
    learner = small_maml(inner_lr=0.4)
    history = learner.fit(stream, steps_per_epoch=30, epochs=2, validation_data=stream.take(5), verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_query_accuracy_after"][-1] > history["val_query_accuracy_before"][-1] + 0.2
    assert history["val_accuracy"] == history["val_query_accuracy_after"]
    for part in ("support", "query"):
        for moment in ("before", "after"):
            assert f"val_{part}_loss_{moment}" in history
            assert f"val_{part}_accuracy_{moment}" in history


def test_evaluate_agrees_with_a_naive_loop(stream):
    learner = small_maml(eval_inner_steps=3)
    episodes = first(stream)
    reported = learner.evaluate(tf.data.Dataset.from_tensors(episodes), return_dict=True, verbose=0)
    losses, accuracies = [], []
    for i in range(4):
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


def test_support_and_query_are_not_confused(stream):
    """Labels of the query set must not influence the fast weights, nor permuted tasks each other."""
    learner, episodes = small_maml(), first(stream)
    one = task(episodes)
    outputs = learner.query_outputs(one)
    relabelled = one._replace(query_y=(one.query_y + 1) % 3)
    np.testing.assert_array_equal(outputs, learner.query_outputs(relabelled))
    order = [2, 0, 3, 1]
    paths = [learner.adaptation_path(task(episodes, i), 2)["query_loss"].numpy() for i in range(4)]
    shuffled = Episode(*(tf.gather(t, order) for t in episodes))
    again = [learner.adaptation_path(task(shuffled, i), 2)["query_loss"].numpy() for i in range(4)]
    np.testing.assert_allclose([paths[i] for i in order], again, rtol=1e-6)


def test_permuting_classes_permutes_outputs(stream):
    learner, one = small_maml(), task(first(stream))
    head = learner.network.get_layer("head")
    permutation = np.array([2, 0, 1])  # old label k becomes permutation[k]
    outputs = learner.query_outputs(one).numpy()
    inverse = np.argsort(permutation)
    head.kernel.assign(head.kernel.numpy()[:, inverse])
    head.bias.assign(head.bias.numpy()[inverse])
    renamed = one._replace(support_y=tf.gather(permutation.astype(np.int32), one.support_y))
    np.testing.assert_allclose(learner.query_outputs(renamed).numpy(), outputs[:, inverse], rtol=1e-3, atol=1e-5)


def test_adapt_returns_an_ordinary_model_and_leaves_the_learner_alone(stream):
    learner, one = small_maml(), task(first(stream))
    before = weights(learner)
    adapted = learner.adapt(one.support_x, one.support_y)
    for a, b in zip(before, weights(learner), strict=True):
        np.testing.assert_array_equal(a, b)
    assert isinstance(adapted, keras.Model)
    assert adapted.predict(one.query_x, verbose=0).shape == (6, 3)
    fast = learner.fast_weights(one)
    for a, b in zip(adapted.trainable_variables, fast, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    # Its batch norm holds the support set's statistics, so there it repeats the adapted network's own outputs,
    expected = functional.forward(learner.network, fast, one.support_x)
    np.testing.assert_allclose(adapted.predict(one.support_x, verbose=0), expected, rtol=1e-3, atol=1e-4)
    # and what a query gets does not depend on its company.
    together = adapted.predict(one.query_x, verbose=0)
    np.testing.assert_allclose(adapted.predict(one.query_x[:1], verbose=0), together[:1], rtol=1e-4, atol=1e-5)


def test_transductive_or_one_query_at_a_time(stream):
    learner, one = small_maml(), task(first(stream))
    alone = learner.query_outputs(one, transductive=False).numpy()
    fast = learner.fast_weights(one)
    for i in range(6):
        batch = tf.concat([one.support_x, one.query_x[i : i + 1]], axis=0)
        np.testing.assert_allclose(alone[i], functional.forward(learner.network, fast, batch)[-1], rtol=1e-4, atol=1e-5)
    fewer = one._replace(query_x=one.query_x[:2], query_y=one.query_y[:2])
    np.testing.assert_allclose(alone[:2], learner.query_outputs(fewer, transductive=False), rtol=1e-4, atol=1e-5)
    assert np.abs(learner.query_outputs(one).numpy()[:2] - learner.query_outputs(fewer).numpy()).max() > 1e-4


@pytest.mark.parametrize("options", [{}, {"loss": "mse"}, {"loss": keras.losses.Huber()}])
def test_regression_with_any_keras_model(options):
    keras.utils.set_random_seed(0)
    stream = sinusoid_episodes(k_shot=5, n_query=8, meta_batch_size=4, seed=0)
    learner = tfmeta.MAML(tfmeta.networks.mlp(), inner_lr=0.01, inner_steps=1, **options)
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    history = learner.fit(stream, steps_per_epoch=40, epochs=3, validation_data=stream.take(5), verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert "accuracy" not in history
    assert history["val_query_loss_after"][-1] < history["val_query_loss_before"][-1]
    one = task(first(stream))
    assert learner.adapt(one.support_x, one.support_y).predict(one.query_x, verbose=0).shape == (8, 1)


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
    network = Subclassed()
    with pytest.raises(ValueError, match=r"must be built.*Received: learner="):
        tfmeta.MAML(network)
    network.build((None, 16, 16, 1))
    learner = tfmeta.MAML(network, inner_lr=0.1)
    learner.compile(optimizer="adam")
    learner.fit(stream, steps_per_epoch=2, verbose=0)
    one = task(first(stream))
    adapted = learner.adapt(one.support_x, one.support_y)
    np.testing.assert_allclose(
        adapted.predict(one.query_x, verbose=0), learner.query_outputs(one), rtol=1e-4, atol=1e-5
    )


def test_save_load_predict_are_exactly_equal_and_training_goes_on_equally(stream, tmp_path):
    learner, one = small_maml(eval_inner_steps=3), task(first(stream))
    learner.fit(stream, steps_per_epoch=3, verbose=0)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    for a, b in zip(weights(learner.network), weights(loaded.network), strict=True):
        np.testing.assert_array_equal(a, b)
    settings = ("inner_lr", "inner_steps", "eval_inner_steps", "first_order", "gradient_mode", "loss", "name")
    assert [loaded.get_config()[name] for name in settings] == [learner.get_config()[name] for name in settings]
    np.testing.assert_array_equal(
        learner.adapt(one.support_x, one.support_y).predict(one.query_x, verbose=0),
        loaded.adapt(one.support_x, one.support_y).predict(one.query_x, verbose=0),
    )
    for model in (learner, loaded):  # the optimizer's moments were saved, too
        model.fit(stream, steps_per_epoch=2, verbose=0)
    for a, b in zip(weights(learner.network), weights(loaded.network), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_trace_per_shape(tiny, stream):
    learner, traces = small_maml(), []
    original = type(learner).train_step
    learner.train_step = lambda data: (traces.append(1), original(learner, data))[1]
    learner.fit(stream, steps_per_epoch=3, epochs=2, verbose=0)
    assert len(traces) == 1
    learner.fit(tfmeta.episode_dataset(tiny, **SIZES, seed=5), steps_per_epoch=3, verbose=0)
    assert len(traces) == 1
    learner.fit(tfmeta.episode_dataset(tiny, **(SIZES | {"n_query": 4}), seed=5), steps_per_epoch=3, verbose=0)
    assert len(traces) <= 3  # Keras relaxes the shape once, then keeps it


def test_eager_and_graph_training_agree(stream):
    ends = []
    for eager in (False, True):
        learner = small_maml()
        learner.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=eager)
        learner.fit(stream, steps_per_epoch=1, verbose=0)
        ends.append(np.concatenate([np.ravel(v) for v in learner.network.trainable_variables]))
    np.testing.assert_allclose(*ends, rtol=1e-3, atol=1e-4)


def test_dropout_is_new_for_every_task_and_step_and_off_in_evaluation(random_episodes):
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((6,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    learner = tfmeta.MAML(network, inner_lr=0.0)
    learner.compile(optimizer=keras.optimizers.SGD(0.0))
    episodes = random_episodes(batch=1, dtype=np.float32)
    twin = Episode(*(tf.concat([t, t], axis=0) for t in episodes))
    data = tf.data.Dataset.from_tensors(twin)
    losses = [learner.fit(data, verbose=0).history["loss"][0] for _ in range(3)]
    assert len(set(losses)) == 3, "the same units are dropped in every step"
    state = [state_of_task(learner.network, tf.constant(key, tf.int64)) for key in (0, 1)]
    params = functional.values(network.trainable_variables)
    one = task(twin)
    outputs = [functional.forward(network, params, one.query_x, non_trainable=s).numpy() for s in state]
    assert np.abs(outputs[0] - outputs[1]).max() > 0
    plain = functional.forward(network, params, one.query_x, training=False)
    np.testing.assert_allclose(learner.query_outputs(one), plain, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner_lr": -0.1}, r"at least 0. Received: inner_lr=-0.1"),
        ({"inner_steps": -1}, r"Received: inner_steps=-1"),
        ({"eval_inner_steps": 1.5}, r"Received: eval_inner_steps=1.5"),
        ({"gradient_mode": "fast"}, r"'nested' or 'mixed'. Received: gradient_mode='fast'"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        small_maml(**options)


def test_bad_learners_and_data_are_named_before_work_starts(tiny, stream):
    with pytest.raises(TypeError, match=r"must be a keras.Model. Received: learner of type Dense"):
        tfmeta.MAML(keras.layers.Dense(3))
    frozen = tfmeta.networks.mlp(3)
    frozen.trainable = False
    with pytest.raises(ValueError, match=r"must have trainable variables"):
        tfmeta.MAML(frozen)
    learner = small_maml()
    five_way = tfmeta.episode_dataset(tiny, **(SIZES | {"n_way": 5}), seed=0)
    with pytest.raises(ValueError, match=r"must be n_way=5 wide.*outputs of shape \(3,\)"):
        learner.fit(five_way, steps_per_epoch=1, verbose=0)
    with pytest.raises(ValueError, match=r"takes inputs of shape \(16, 16, 1\)"):
        learner.fit(sinusoid_episodes(k_shot=1, n_query=1, meta_batch_size=1, seed=0), steps_per_epoch=1, verbose=0)
    with pytest.raises(TypeError, match=r"x must be a tf.data.Dataset of Episode.*Received: x of type ndarray"):
        learner.fit(np.zeros((3, 16, 16, 1)))
    with pytest.raises(TypeError, match=r"validation_data must be a tf.data.Dataset of Episode"):
        learner.fit(stream, steps_per_epoch=1, validation_data=(np.zeros(3), np.zeros(3)))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 16, 16, 1)), [0, 1], r"same number of examples.*support_y with shape=\(2,\)"),
        (np.zeros((3, 16, 16, 1)), [0, 1, 3], r"every class present. Received: support_y=\[0, 1, 3\]"),
        (np.full((3, 16, 16, 1), np.nan), [0, 1, 2], r"must be finite. Received: support_x with 768 NaN"),
        (np.zeros((3, 16, 16, 1), np.uint8), [0, 1, 2], r"floats in \[0, 1\]. Received: support_x with dtype=uint8"),
        (np.zeros((3, 28, 28, 1)), [0, 1, 2], r"takes inputs of shape \(16, 16, 1\). Received: support_x with \(28"),
    ],
)
def test_bad_support_sets_are_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        small_maml().adapt(x, y)


def test_loading_weights_into_another_architecture_is_an_error(tmp_path):
    small_maml().save_weights(tmp_path / "small.weights.h5")
    other = tfmeta.MAML(tfmeta.networks.conv4(3, filters=8, input_shape=(16, 16, 1)))
    with pytest.raises(
        ValueError, match=r"must be those of this learner.s architecture, .* parameters.*small.weights.h5"
    ):
        other.load_weights(tmp_path / "small.weights.h5")
