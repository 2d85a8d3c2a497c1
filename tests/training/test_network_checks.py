"""Networks that would fail late, or learn something else than they say, are answered when they are given."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta

X, Y = np.random.default_rng(0).normal(size=(1, 6, 5)).astype(np.float32), np.array([[0, 1, 2] * 2], np.int32)
DATA = tfmeta.Episode(X, Y, X, Y)


def dense(*middle, **options):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), *middle, keras.layers.Dense(3, **options)])


class Adds(keras.layers.Layer):
    """Adds a loss of its own."""

    def call(self, x):
        self.add_loss(tf.reduce_mean(x**2))
        return x


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (lambda: dense(kernel_regularizer="l2"), r"/kernel"),
        (lambda: dense(activity_regularizer="l2", name="active"), "active"),
        (lambda: dense(Adds(name="adds")), "adds"),
    ],
)
def test_losses_of_layers_are_warned_of_when_compiled(network, name):
    network = network()
    network(X[0])
    learner = tfmeta.MAML(network)
    with pytest.warns(UserWarning, match=rf"regularizers and add_loss.*not added.*weight_decay.*{name}"):
        learner.compile("sgd")


def test_a_plain_network_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tfmeta.MAML(dense(keras.layers.BatchNormalization())).compile("sgd")


def test_mixed_mode_asks_for_unrolled_recurrence():
    def recurrent(unroll):
        lstm = keras.layers.LSTM(3, unroll=unroll, use_cudnn=False, name="memory")
        network = keras.Sequential([keras.Input((2, 5)), lstm, keras.layers.Dense(2)])
        learner = tfmeta.MAML(network, gradient_mode="mixed", inner_steps=2)
        learner.compile("sgd")
        return learner

    x, y = np.zeros((1, 4, 2, 5), np.float32), np.array([[0, 1, 0, 1]], np.int32)
    data = tf.data.Dataset.from_tensors(tfmeta.Episode(x, y, x, y))
    with pytest.raises(ValueError, match=r"gradient_mode='nested', or make the layer with unroll=True.*'memory'"):
        recurrent(False).fit(data, verbose=0)
    assert np.isfinite(recurrent(True).fit(data, verbose=0).history["loss"][0])


@pytest.mark.parametrize("which", ["bias", "layer", "kernel and bias of different layers"])
def test_frozen_variables_stay_and_the_copy_predicts_alike(which):
    first = keras.layers.Dense(4, "relu")
    network = dense(first)
    if which == "layer":
        first.trainable = False
    else:
        first.bias.trainable = False
        network.layers[-1].kernel.trainable = which == "bias"
    frozen = [np.asarray(v) for v in network.non_trainable_variables]
    learner = tfmeta.MAML(network, inner_lr=0.1, inner_steps=2)
    adapted = learner.adapt(X[0], Y[0])
    task = tfmeta.Episode(*(part[0] for part in DATA))
    np.testing.assert_allclose(adapted.predict(X[0], verbose=0), learner.query_outputs(task), rtol=1e-5, atol=1e-6)
    assert len(adapted.trainable_variables) == len(network.trainable_variables)
    for a, b in zip(adapted.non_trainable_variables, frozen, strict=True):
        np.testing.assert_array_equal(a, b)


class NeedsALayer(keras.Model):
    """Its constructor takes what no file can keep, and it has no get_config."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def call(self, x):
        return self.head(x)


class Describes(NeedsALayer):
    """The same with a get_config."""

    def get_config(self):
        return {"head": keras.saving.serialize_keras_object(self.head)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["head"]))


def test_a_model_that_cannot_be_rebuilt_is_refused_before_the_training():
    network = NeedsALayer(object.__new__(type("Opaque", (), {"__call__": lambda self, x: x})))
    network.built, network.weight = True, network.add_weight(shape=(2,))
    with pytest.raises(ValueError, match=r"must have a get_config\(\).*of type NeedsALayer without one"):
        tfmeta.MAML(network)
    described = Describes(keras.layers.Dense(3))
    described(X[0])
    adapted = tfmeta.MAML(described, inner_lr=0.1).adapt(X[0], Y[0])
    assert adapted.predict(X[0], verbose=0).shape == (6, 3)


def test_synchronised_batch_norm_is_refused_where_there_are_replicas(monkeypatch):
    network = dense(keras.layers.BatchNormalization(synchronized=True, name="shared"))
    tfmeta.MAML(network)
    strategy = type("Two", (), {"num_replicas_in_sync": 2})()
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    with pytest.raises(ValueError, match=r"must not be synchronised.*layer 'shared' has synchronized=True"):
        tfmeta.MAML(network)


@pytest.mark.parametrize("make", [tfmeta.MAML, tfmeta.PrototypicalNetwork])
def test_export_before_a_call(make, tmp_path):
    learner = make(dense())
    learner.export(tmp_path / "learner", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "learner"))
    np.testing.assert_allclose(loaded.serve(X[0]), learner(X[0]), rtol=1e-6)
    described = Describes(keras.layers.Dense(3))
    described(X[0])
    with pytest.raises(ValueError, match=r"export must know the shape.*of type Describes"):
        tfmeta.MAML(described).export(tmp_path / "other")


def test_varying_ways_are_refused_where_the_network_has_fixed_outputs(tiny):
    learner = tfmeta.MAML(dense())
    learner.compile("sgd")
    ways = tfmeta.episode_dataset(tiny, n_way=(2, 3), k_shot=1, n_query=1, meta_batch_size=1, seed=0)
    with pytest.raises(ValueError, match=r"n_way must be one number for MAML.*Received: n_way=\(2, 3\)"):
        learner.fit(ways, steps_per_epoch=1)
    shots = tfmeta.episode_dataset(tiny, n_way=3, k_shot=(1, 2), n_query=1, meta_batch_size=1, seed=0)
    learner.compile("sgd", jit_compile=True)
    with pytest.raises(ValueError, match=r"jit_compile must be False for episodes of varying sizes"):
        learner.fit(shots, steps_per_epoch=1)
