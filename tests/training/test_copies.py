"""Copies of networks: equal, independent, with the statistics that are asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.training import copies

X = np.random.default_rng(0).normal(3.0, 2.0, (10, 5)).astype(np.float32)


@keras.saving.register_keras_serializable("tests")
class SubclassedEncoder(keras.Model):
    """A model without a functional graph."""

    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.flatten = keras.layers.Flatten()
        self.norm = keras.layers.BatchNormalization()
        self.dense = keras.layers.Dense(width)

    def build(self, input_shape):
        for layer in (self.norm, self.dense):
            layer.build((None, int(np.prod(input_shape[1:]))))
        self.built = True

    def call(self, x, training=False):
        return self.dense(self.norm(self.flatten(x), training=training))

    def get_config(self):
        return {"width": self.width}


@keras.saving.register_keras_serializable("tests")
class Forgetful(SubclassedEncoder):
    """Its configuration leaves out its width."""

    def get_config(self):
        return {}


def subclassed(kind=SubclassedEncoder, width=3, shape=(5,)):
    model = kind(width)
    model.build((None, *shape))
    return model


def sequential():
    inner = keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(), keras.layers.Dense(4)])
    return keras.Sequential([keras.Input((5,)), inner, keras.layers.BatchNormalization(), keras.layers.Dense(3)])


def functional_model():
    inputs = keras.Input((5,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(inputs))
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


@pytest.mark.parametrize("make", [subclassed, sequential, functional_model])
def test_a_copy_has_the_given_weights_and_is_independent(make):
    keras.utils.set_random_seed(0)
    model = make()
    for variable in model.non_trainable_variables:
        if variable.dtype == "float32":
            variable.assign_add(tf.fill(variable.shape, 0.5))
    given = [value + 1.0 for value in functional.values(model.trainable_variables)]
    before = [v.numpy() for v in model.variables]
    copy = copies.copy_model(model, given, X)
    assert type(copy) is type(model)
    for value, new in zip(given, copy.trainable_variables, strict=True):
        np.testing.assert_array_equal(new.numpy(), value)
    for old, new in zip(model.non_trainable_variables, copy.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(new.numpy(), old.numpy())
    expected = functional.forward(model, given, X, training=False)
    np.testing.assert_allclose(copy.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-5)
    for variable in copy.variables:
        variable.assign(tf.ones_like(variable))
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_a_network_that_cannot_be_rebuilt_is_named():
    model = subclassed(Forgetful, 7)
    with pytest.raises(ValueError, match=r"full get_config\(\). Received: 'forgetful.*' of type Forgetful"):
        copies.copy_model(model, functional.values(model.trainable_variables), X)


@pytest.mark.parametrize("make", [subclassed, functional_model])
def test_batch_norm_takes_the_statistics_of_one_batch(make):
    model = make()
    (layer,) = copies.batch_norm_layers(model)
    trainable = [v.numpy() for v in model.trainable_variables]
    copies.set_batch_norm_statistics(model, X)
    np.testing.assert_allclose(layer.moving_mean, X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, X.var(axis=0), rtol=1e-4)
    assert layer.momentum == 0.99
    for old, variable in zip(trainable, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    if make is functional_model:  # without dropout, which would disturb later layers' statistics
        assert model.layers[2].rate == 0.5


def test_nested_layers_are_found_and_momenta_put_back_after_an_error():
    model = sequential()
    layers = copies.batch_norm_layers(model)
    assert len(layers) == 2
    copies.set_batch_norm_statistics(model, X)
    hidden = model.layers[0](X, training=False).numpy()
    np.testing.assert_allclose(layers[1].moving_mean, hidden.mean(axis=0), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="incompatible"):
        copies.set_batch_norm_statistics(model, X[:, :2])
    assert [layer.momentum for layer in layers] == [0.99, 0.99]
    assert copies.batch_norm_layers(tfmeta.networks.mlp()) == []


@pytest.mark.slow
def test_a_subclassed_encoder_learns_adapts_and_is_saved(tiny, tmp_path):
    keras.utils.set_random_seed(0)
    learner = tfmeta.PrototypicalNetwork(subclassed(shape=(16, 16, 1)))
    learner.compile(optimizer="adam")
    stream = tfmeta.episode_dataset(tiny, n_way=3, k_shot=2, n_query=4, meta_batch_size=4, seed=0)
    history = learner.fit(stream.take(1).cache(), epochs=6, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    one = Episode(*(tensor[0] for tensor in next(iter(stream))))
    predicted = learner.adapt(one.support_x, one.support_y).predict(one.query_x, verbose=0)
    probabilities = [tf.nn.softmax(logits) for logits in (predicted, learner.query_outputs(one))]
    np.testing.assert_allclose(*probabilities, rtol=1e-3, atol=1e-4)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    np.testing.assert_array_equal(loaded.query_outputs(one), learner.query_outputs(one))
