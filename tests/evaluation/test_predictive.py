"""Mixtures of Gaussians over targets: by hand, by many samples, and what a learner gives of them."""

import math

import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import task
from tfmeta.core.episode import Episode
from tfmeta.core.forward import forward
from tfmeta.core.updates import sgd
from tfmeta.datasets import sinusoid_episodes
from tfmeta.evaluation import Predictive, predictive, predictives
from tfmeta.training import judging
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method


def one_gaussian(mean=1.0, deviation=2.0):
    return Predictive(np.full((1, 1, 1), mean), np.full((1, 1, 1), deviation**2))


def two_peaks():
    """Members at -3 and 3 that are sure: nothing is expected between."""
    return Predictive(np.array([[[-3.0]], [[3.0]]]), np.full((2, 1, 1), 0.01))


def random_mixture(members=4, n=3, m=2, seed=0):
    rng = np.random.default_rng(seed)
    return Predictive(rng.normal(0, 2, (members, n, m)), rng.uniform(0.2, 3.0, (members, n, m)))


# -- by hand -----------------------------------------------------------------------------------------------------------
def test_one_gaussian_by_hand():
    found = one_gaussian()
    assert found.nll([[1.0]]) == pytest.approx([math.log(2 * math.sqrt(2 * math.pi))])
    assert found.nll([[3.0]]) == pytest.approx([math.log(2 * math.sqrt(2 * math.pi)) + 0.5])
    assert found.cdf([[1.0]])[0, 0] == pytest.approx(0.5)
    assert found.cdf([[3.0]])[0, 0] == pytest.approx(0.8413447)
    low, high = found.interval(0.9)
    assert (low[0, 0], high[0, 0]) == pytest.approx((1 - 2 * 1.6448536, 1 + 2 * 1.6448536))
    assert found.covered([[4.2]], 0.9)
    assert not found.covered([[4.4]], 0.9)


def test_two_peaks_by_hand():
    found = two_peaks()
    assert found.mean[0, 0] == pytest.approx(0.0)
    assert found.variance[0, 0] == pytest.approx(0.01 + 9.0), "the law of total variance"
    peak = math.log(0.1 * math.sqrt(2 * math.pi)) + math.log(2)
    assert found.nll([[3.0]]) == pytest.approx([peak])
    assert found.nll([[0.0]])[0] == pytest.approx(peak - math.log(2) + 450, rel=1e-6)  # 30 deviations from both
    # The median lies anywhere between the peaks, the central interval holds both.
    assert found.cdf([[0.0]])[0, 0] == pytest.approx(0.5)
    low, high = found.interval(0.9)
    assert low[0, 0] == pytest.approx(-3 - 0.1 * 1.2815516, abs=1e-6)
    assert high[0, 0] == pytest.approx(3 + 0.1 * 1.2815516, abs=1e-6)


def test_a_far_target_has_a_finite_likelihood():
    assert one_gaussian(0.0, 1.0).nll([[1000.0]]) == pytest.approx([0.5e6 + 0.5 * math.log(2 * math.pi)])


def test_of_several_outputs_the_likelihood_is_that_of_all_together():
    """Members are drawn once for all outputs: the mixture of products is not the product of mixtures."""
    found, targets = random_mixture(members=2), np.zeros((3, 2))
    for i in range(3):
        density = 0.0
        for k in range(2):
            one = 1.0
            for j in range(2):
                mean, variance = found.means[k, i, j], found.variances[k, i, j]
                one *= math.exp(-(mean**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
            density += one / 2
        assert found.nll(targets)[i] == pytest.approx(-math.log(density))


# -- by samples --------------------------------------------------------------------------------------------------------
def test_moments_and_intervals_are_those_of_many_samples():
    found, rng = random_mixture(), np.random.default_rng(1)
    n = 200_000
    members = rng.integers(0, 4, n)
    draws = found.means[members] + np.sqrt(found.variances[members]) * rng.normal(size=(n, 3, 2))
    np.testing.assert_allclose(draws.mean(axis=0), found.mean, atol=0.03)
    np.testing.assert_allclose(draws.var(axis=0), found.variance, rtol=0.02)
    for level in (0.0, 0.5, 0.9, 1.0):
        inside = np.mean([found.covered(draw, level) for draw in draws[:20_000]], axis=0)
        np.testing.assert_allclose(inside, level, atol=0.015)
    low, high = found.interval(0.8)
    np.testing.assert_allclose(np.mean((draws >= low) & (draws <= high), axis=0), 0.8, atol=0.01)
    np.testing.assert_allclose(found.cdf(high) - found.cdf(low), 0.8, atol=1e-9)


def test_the_likelihood_is_the_slope_of_the_distribution():
    found, step = random_mixture(m=1), 1e-5
    at = np.linspace(-1, 1, 3)[:, None]
    slope = (found.cdf(at + step) - found.cdf(at - step)) / (2 * step)
    np.testing.assert_allclose(np.exp(-found.nll(at)), slope[:, 0], rtol=1e-6)


# -- of learners -------------------------------------------------------------------------------------------------------
class Guessing(EpisodicLearner):
    """Adapted models that differ by noise, and say how sure they are."""

    own_variance = False

    def __init__(self, network, *, inner_lr=0.01, name=None):
        super().__init__(network, inner_steps=1, name=name)
        self.inner_lr = inner_lr

    @property
    def method(self):
        def outputs(fast, x, run, k):
            shift = tf.random.stateless_normal([], tf.stack([run.key, tf.zeros([], tf.int64)]))
            return forward(self.network, fast, x, non_trainable=run.state) + shift

        return Method.for_network(
            self.network, outputs=outputs, update=lambda params: sgd(self.inner_lr), samples=3,
            variance=(lambda fast, x, run, k: 1.0 + x**2) if self.own_variance else None,
        )  # fmt: skip


@pytest.fixture
def wave():
    return task(next(iter(sinusoid_episodes(k_shot=5, n_query=7, meta_batch_size=1, seed=0))))


def learner(kind=tfmeta.MAML):
    return kind(tfmeta.networks.mlp(hidden=(8,)), inner_lr=0.01)


def test_a_learner_that_says_a_value_needs_the_noise(wave):
    built = learner()
    found = predictive(built, wave, noise=0.3)
    np.testing.assert_allclose(found.means[0], built.query_outputs(wave), rtol=1e-6)
    np.testing.assert_allclose(found.variances, np.full((1, 7, 1), 0.09))
    with pytest.raises(ValueError, match=r"given for MAML, which says a value.*Received: noise=None"):
        predictive(built, wave)
    for noise in (0.0, -1, "0.3", float("nan"), True):
        with pytest.raises(ValueError, match=r"noise must be a number above 0. Received: noise="):
            predictive(built, wave, noise=noise)


def test_members_are_those_that_outputs_are_the_mean_of(wave):
    built = learner(Guessing)
    found = predictive(built, wave, noise=0.5, key=4)
    assert found.means.shape == (3, 7, 1)
    assert np.ptp(found.means, axis=0).min() > 0.01
    np.testing.assert_allclose(found.mean, built.query_outputs(wave, key=tf.constant(4, tf.int64)), rtol=1e-5)
    other = predictive(built, wave, noise=0.5, key=5)
    assert np.abs(other.means - found.means).max() > 0.01
    members = judging.member_outputs(built, wave, True, tf.constant(4, tf.int64))
    np.testing.assert_allclose(members.outputs, found.means, rtol=1e-6)
    assert members.variances is None


def test_a_variance_of_its_own_is_taken_and_noise_besides_is_refused(wave):
    built = learner(Guessing)
    built.own_variance = True
    found = predictive(built, wave)
    expected = np.broadcast_to(1 + wave.query_x.numpy() ** 2, (3, 7, 1))
    np.testing.assert_allclose(found.variances, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"None for Guessing, which has a variance of its own. Received: noise=0.3"):
        predictive(built, wave, noise=0.3)


def test_whatever_adapts_or_predicts_has_one_with_a_noise(wave):
    built = learner()
    model = built.adapt(wave.support_x, wave.support_y)

    class Foreign:
        def adapt(self, support_x, support_y):
            return built.adapt(support_x, support_y)

    expected = predictive(built, wave, noise=1.0).means
    for other in (Foreign(), model):
        np.testing.assert_allclose(predictive(other, wave, noise=1.0).means, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(TypeError, match=r"learner must adapt or predict. Received: learner of type int"):
        predictive(3, wave, noise=1.0)


def test_what_cannot_be_is_named(wave, random_episodes):
    with pytest.raises(ValueError, match=r"\[members, n, m\]. Received: means with shape=\(3, 1\)"):
        Predictive(np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"variances must be above 0. Received: variances with 0.0"):
        Predictive(np.ones((1, 3, 1)), np.zeros((1, 3, 1)))
    for method in ("nll", "cdf"):
        with pytest.raises(ValueError, match=r"\(3, 2\) here. Received: targets with shape=\(3,\)"):
            getattr(random_mixture(), method)(np.zeros(3))
    for level in (-0.1, 1.5, "0.9"):
        with pytest.raises(ValueError, match="Received: level="):
            random_mixture().interval(level)
    labels = Episode(*(t[0] for t in random_episodes(dtype=np.float32)))
    network = tfmeta.networks.mlp(3, hidden=(4,), input_shape=(6,))
    with pytest.raises(ValueError, match=r"floating-point targets.*Received: support_y with dtype=int32"):
        predictive(tfmeta.MAML(network), labels, noise=1.0)


def test_a_meta_batch_is_judged_task_by_task():
    episodes = next(iter(sinusoid_episodes(k_shot=5, n_query=7, meta_batch_size=3, seed=0)))
    for built, noise in ((learner(), 0.3), (learner(Guessing), 0.3)):
        found = predictives(built, episodes, noise=noise, first=4)
        assert len(found) == 3
        for i, one in enumerate(found):
            alone = predictive(built, task(episodes, i), noise=noise, key=4 + i)
            np.testing.assert_allclose(one.means, alone.means, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(one.variances, alone.variances, rtol=1e-5)
    with pytest.raises(TypeError, match="learner must be a tfmeta learner"):
        predictives(built.network, episodes, noise=0.3)
    with pytest.raises(ValueError, match="given for MAML, which says a value"):
        predictives(learner(), episodes)
