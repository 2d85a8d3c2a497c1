"""Mixed precision and XLA give the step of float32 without XLA, as closely as their numbers allow.

One case for each path through the code; what other learners do differently is their inner rule or their head, which
tests/algorithms proves in float32 and float64.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import METHODS
from tfmeta.core.forward import full_precision

LEARNERS = {
    # two nested tapes; the shell's own task loss
    "MAML": lambda: tfmeta.MAML(network(3), inner_lr=0.1),
    # constant memory: forward over reverse, and gradients by hand; rates of each weight are learned (Meta-SGD)
    "mixed mode": lambda: tfmeta.MetaSGD(network(3), initial_rates=0.1, inner_steps=2, gradient_mode="mixed"),
    # a network cut in two, features beside the parameters
    "ANIL": lambda: tfmeta.ANIL(network(3), inner_lr=0.1, inner_steps=2),
    # tables with a row a step, a condition in the graph, statistics, several steps in a loop
    "MAMLPlusPlus": lambda: tfmeta.MAMLPlusPlus(network(3), inner_lr=0.1, inner_steps=2),
    # an outer step that is no gradient
    "Reptile": lambda: tfmeta.Reptile(network(3), inner_lr=0.1, inner_steps=2, inner_optimizer="sgd"),
    # no inner loop; batch norm in training mode
    "PrototypicalNetwork": lambda: tfmeta.PrototypicalNetwork(network(None)),
}
_steps = {}


def network(n_way):
    """A convolution with batch norm; strides, since XLA's second derivative of max-pooling is wrong."""
    convolution = [keras.layers.Conv2D(8, 3, strides=3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    last = keras.layers.Dense(n_way or 8)
    return keras.Sequential([keras.Input((16, 16, 1)), *convolution, keras.layers.Flatten(), last])


@pytest.fixture
def policy():
    """Sets Keras's global policy; it is put back at the end."""
    before = keras.mixed_precision.global_policy()
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy(before)


def step(name, tiny, **compiled):
    """Loss of one step and how it moved the weights, the first weights being the same each time."""
    keras.utils.set_random_seed(0)
    learner = LEARNERS[name]()
    learner.compile(optimizer=keras.optimizers.SGD(1.0), **compiled)
    before = [np.array(v) for v in learner.trainable_variables]
    stream = tfmeta.episode_dataset(tiny, n_way=3, k_shot=2, n_query=4, meta_batch_size=2, seed=0)
    loss = learner.fit(stream, steps_per_epoch=1, verbose=0).history["loss"][0]
    moved = [b - np.array(v) for b, v in zip(before, learner.trainable_variables, strict=True)]
    return loss, np.concatenate([m.ravel() for m in moved])


def float32_step(name, tiny):
    """The step to compare with, made once for both comparisons."""
    if name not in _steps:
        _steps[name] = step(name, tiny)
    return _steps[name]


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_bfloat16_is_near_float32_and_weights_stay_float32(name, tiny, policy):
    loss, gradient = float32_step(name, tiny)
    policy("mixed_bfloat16")
    half_loss, half_gradient = step(name, tiny)
    assert half_gradient.dtype == np.float32
    assert half_loss == pytest.approx(loss, rel=0.05)
    assert half_loss != loss  # it did compute in another precision
    assert cosine(gradient, half_gradient) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "PrototypicalNetwork"])  # which XLA refuses
def test_xla_gives_the_same_step(name, tiny):
    loss, gradient = float32_step(name, tiny)
    compiled_loss, compiled_gradient = step(name, tiny, jit_compile=True)
    assert compiled_loss == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(compiled_gradient, gradient, rtol=1e-3, atol=1e-5 * np.abs(gradient).max())


# The learners that make a head.
OF_ENCODERS = [
    "ProtoMAML", "PrototypicalNetwork", "MatchingNetwork", "full context", "FineTunedClassifier", "NearestNeighbour"
]  # fmt: skip


@pytest.mark.parametrize("name", OF_ENCODERS)
def test_an_adapted_model_predicts_as_the_learner_in_bfloat16(name, tiny, policy):
    policy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    learner = METHODS[name].classify()
    episode = tfmeta.sample_episode(tiny, n_way=3, k_shot=2, n_query=10, seed=1)
    wanted = tf.nn.softmax(tf.cast(learner.query_outputs(episode, transductive=False), tf.float32))
    adapted = learner.adapt(episode.support_x, episode.support_y)
    assert adapted.layers[-1].compute_dtype == "float32"
    if not learner.method.inference:  # the adapted model normalises queries by the support set's statistics alone
        return
    # Batch norm's own rounding in bfloat16 is left; distances in bfloat16 were off by up to 0.25.
    found = tf.nn.softmax(tf.cast(adapted(episode.query_x), tf.float32))
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_full_precision_leaves_single_and_double_alone():
    for dtype, wanted in (
        ("bfloat16", tf.float32),
        ("float16", tf.float32),
        ("float32", tf.float32),
        ("float64", tf.float64),
    ):
        assert full_precision(tf.zeros([2], dtype)).dtype == wanted


def test_full_precision_of_several_outputs_and_of_integers():
    half, whole = full_precision([tf.zeros([2], "bfloat16"), tf.zeros([2], "int8")])
    assert (half.dtype, whole.dtype) == (tf.float32, tf.int8)
