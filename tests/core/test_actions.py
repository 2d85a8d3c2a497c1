"""Actions: drawing, probabilities, entropies and codes, of choices and of vectors."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.actions import Box, Discrete

KEY = tf.constant([3, 4])


def test_choices_are_drawn_with_the_softmax_probabilities():
    spaces, logits = Discrete(3), np.log([[0.2, 0.5, 0.3]]).astype(np.float32)
    drawn = spaces.sample(tf.repeat(logits, 20_000, axis=0), KEY)
    assert drawn.dtype == tf.int32
    shares = np.bincount(drawn, minlength=3) / 20_000
    assert np.abs(shares - [0.2, 0.5, 0.3]).max() < 4 * math.sqrt(0.25 / 20_000)
    np.testing.assert_allclose(tf.exp(spaces.log_prob(tf.repeat(logits, 3, axis=0), [0, 1, 2])), [0.2, 0.5, 0.3], 1e-6)
    entropy = -sum(p * math.log(p) for p in (0.2, 0.5, 0.3))
    np.testing.assert_allclose(spaces.entropy(logits), [entropy], rtol=1e-6)
    np.testing.assert_array_equal(spaces.encode(tf.constant([2, 0])), [[0, 0, 1], [1, 0, 0]])


def test_vectors_are_drawn_from_the_gaussian_of_their_density():
    spaces = Box(2, low=1.0, high=5.0)  # half a box is 2
    outputs = tf.constant([[0.5, -0.5, math.log(0.5), math.log(0.1)]])
    drawn = spaces.sample(tf.repeat(outputs, 20_000, axis=0), KEY).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), [4.0, 2.0], atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=0), [1.0, 0.2], rtol=0.03)
    at = np.array([[3.0, 2.5]])
    density = math.log(1 / math.sqrt(2 * math.pi)) - 0.5 + math.log(1 / (0.2 * math.sqrt(2 * math.pi))) - 2.5**2 / 2
    np.testing.assert_allclose(spaces.log_prob(outputs, tf.constant(at, tf.float32)), [density], rtol=1e-5)
    entropy = 2 * 0.5 * math.log(2 * math.pi * math.e) + math.log(1.0) + math.log(0.2)
    np.testing.assert_allclose(spaces.entropy(outputs), [entropy], rtol=1e-5)
    np.testing.assert_allclose(spaces.encode(tf.constant([[1.0, 5.0], [3.0, 9.0]])), [[-1, 1], [0, 1]], atol=1e-6)
    np.testing.assert_array_equal(spaces.inside(tf.constant([[0.0, 9.0]])), [[1.0, 5.0]])


def test_entropy_is_the_mean_of_minus_the_log_probability():
    for spaces, outputs in ((Discrete(4), [[0.1, 1.0, -1.0, 0.3]]), (Box(2), [[0.2, 0.1, -1.0, 0.3]])):
        many = tf.repeat(tf.constant(outputs), 50_000, axis=0)
        log_probs = spaces.log_prob(many, spaces.sample(many, KEY)).numpy()
        error = 1e-6 + 5 * float(log_probs.std()) / np.sqrt(50_000)
        assert abs(log_probs.mean() + spaces.entropy(many)[0].numpy()) < error


@pytest.mark.parametrize("wrong", [3, -1, [0, 7], 1.0, [0.5], "a", None])
def test_choices_outside_are_refused(wrong):
    Discrete(3).check([0, 2])
    with pytest.raises(ValueError, match=r"actions must be whole numbers from 0 to 2. Received: "):
        Discrete(3).check(wrong)


@pytest.mark.parametrize("wrong", [[2.0, 0.0], [0.0, -1.1], [0.0, float("nan")], [0.0], 0.0, ["a", "b"]])
def test_vectors_outside_are_refused(wrong):
    Box(2).check([[1.0, -1.0]])
    with pytest.raises(ValueError, match=r"actions must be .*Received: "):
        Box(2).check(wrong)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True])
def test_there_is_at_least_one_action(wrong):
    with pytest.raises(ValueError, match="n must be a whole number of at least 1"):
        Discrete(wrong)
    with pytest.raises(ValueError, match="dim must be a whole number of at least 1"):
        Box(wrong)


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (-math.inf, 1.0), (0.0, math.nan)])
def test_a_box_has_room(bounds):
    with pytest.raises(ValueError, match="low must be below high"):
        Box(2, *bounds)
