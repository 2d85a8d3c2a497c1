"""Networks with several inputs: a dictionary or a tuple wherever one tensor stands otherwise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta import functional

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
Y = np.array([[0, 1] * 3] * 2, np.int32)


def part(nest):
    a, b = (RNG.normal(size=(2, 6, n)).astype(np.float32) for n in (3, 2))
    return {"a": a, "b": b} if nest is dict else (a, b)


def network(nest, width):
    keras.utils.set_random_seed(0)
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    hidden = keras.layers.BatchNormalization()(keras.layers.Concatenate()([a, b]))
    return keras.Model({"a": a, "b": b} if nest is dict else (a, b), keras.layers.Dense(width)(hidden))


def joined(x):
    return np.concatenate([x["a"], x["b"]] if isinstance(x, dict) else list(x), axis=-1)


def one_input(width):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    return keras.Model(inputs, keras.layers.Dense(width)(keras.layers.BatchNormalization()(inputs)))


MAKERS = {
    "MAML": lambda n: tfmeta.MAML(n, inner_lr=0.1),
    "mixed": lambda n: tfmeta.MAML(n, inner_lr=0.1, inner_steps=2, gradient_mode="mixed"),
    "Reptile": lambda n: tfmeta.Reptile(n, inner_batch_size=4, inner_optimizer="sgd", inner_lr=0.1),
    "ANIL": lambda n: tfmeta.ANIL(n, inner_lr=0.1),
    "MAML++": lambda n: tfmeta.MAMLPlusPlus(n, inner_lr=0.1, inner_steps=1),
    "Proto-MAML": tfmeta.ProtoMAML,
    "ProtoNet": tfmeta.PrototypicalNetwork,
    "matching": tfmeta.MatchingNetwork,
    "nearest": tfmeta.NearestNeighbour,
}
EMBEDS = ("Proto-MAML", "ProtoNet", "matching", "nearest")


@pytest.mark.parametrize("nest", [dict, tuple])
@pytest.mark.parametrize("which", MAKERS)
def test_a_nest_is_what_its_concatenation_is(which, nest):
    width, make = (4 if which in EMBEDS else 2), MAKERS[which]
    episodes = tfmeta.Episode(part(nest), Y, part(nest), Y)
    plain = tfmeta.Episode(joined(episodes.support_x), Y, joined(episodes.query_x), Y)
    several, single = make(network(nest, width)), make(one_input(width))
    single.network.set_weights(several.network.get_weights())
    for learner, data in ((several, episodes), (single, plain)):
        learner.compile(keras.optimizers.SGD(0.1))
        learner.fit(tf.data.Dataset.from_tensors(data), epochs=2, verbose=0)
    for a, b in zip(several.network.get_weights(), single.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    found, wanted = (tfmeta.evaluate(m, e, transductive=False) for m, e in ((several, episodes), (single, plain)))
    assert found.accuracy == wanted.accuracy
    support, query = (tf.nest.map_structure(lambda x: x[0], x) for x in (episodes.support_x, episodes.query_x))
    adapted = several.adapt(support, Y[0])
    reference = single.adapt(plain.support_x[0], Y[0])
    np.testing.assert_allclose(
        adapted.predict(query, verbose=0), reference.predict(plain.query_x[0], verbose=0), rtol=1e-3, atol=1e-5
    )


def test_pure_functions_take_nests(random_episodes):
    model = network(dict, 2)
    episode = tfmeta.Episode(*(tf.nest.map_structure(lambda x: tf.constant(x[0]), p) for p in (part(dict), Y) * 2))
    params = functional.values(model.trainable_variables)
    found = functional.meta_gradient(model, params, episode, inner_lr=0.1, inner_steps=1)
    assert float(tf.norm(found.gradients[-1])) > 0


def test_sizes_that_differ_between_inputs_and_fgsm_are_refused():
    learner = tfmeta.MAML(network(dict, 2))
    with pytest.raises(ValueError, match=r"same number of examples.*'a': \(4, 3\), 'b': \(3, 2\)"):
        learner.adapt({"a": np.zeros((4, 3)), "b": np.zeros((3, 2))}, [0, 1, 0, 1])
    hostile = tfmeta.MAML(network(dict, 2), adversarial_epsilon=0.1)
    hostile.compile("sgd")
    with pytest.raises(ValueError, match="adversarial_epsilon must be 0 for a network with several inputs"):
        hostile.fit(tf.data.Dataset.from_tensors(tfmeta.Episode(part(dict), Y, part(dict), Y)), verbose=0)
