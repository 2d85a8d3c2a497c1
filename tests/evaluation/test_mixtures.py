"""Mixtures of Gaussians: density and intervals of one, of two far apart, and against sampling and bisection."""

import math

import numpy as np
import pytest

from tfmeta.evaluation import coverage, mixture_nll

LEVELS = (0.1, 0.5, 0.9, 0.95)
N = 20_000


def error(level, n=N):
    return 4 * math.sqrt(level * (1 - level) / n)


def assert_covers(found, n=N):
    for level, share in zip(LEVELS, found, strict=True):
        assert share == pytest.approx(level, abs=error(level, n))


def test_exact_draws_of_one_gaussian_are_covered_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    means, variances = rng.normal(size=(1, N, 1)), rng.uniform(0.1, 4, (1, N, 1))
    targets = means[0] + np.sqrt(variances[0]) * rng.normal(size=(N, 1))
    assert_covers(coverage(targets, means, variances, LEVELS))
    # Too sure covers too little, unsure too much: 0.9 means 1.645 deviations, and half of them 0.589.
    assert coverage(targets, means, variances / 4, [0.9])[0] == pytest.approx(0.589, abs=error(0.589))
    assert coverage(targets, means, variances * 4, [0.9])[0] == pytest.approx(0.999, abs=0.002)


def test_draws_of_two_components_far_apart_are_covered_as_often_too_and_the_gap_is_inside():
    rng = np.random.default_rng(1)
    means = np.stack([np.full((N, 1), -10.0), np.full((N, 1), 10.0)])
    variances = np.ones_like(means)
    which = rng.integers(2, size=(N, 1))
    targets = np.where(which == 0, -10.0, 10.0) + rng.normal(size=(N, 1))
    assert_covers(coverage(targets, means, variances, LEVELS))
    # Between the components: the median, in every interval, however small.
    assert coverage([[0.0]], means[:, :1], variances[:, :1], [0.01]).tolist() == [1.0]
    # The 90 % interval ends where each component has a tenth outside: 1.2816 deviations.
    for target, inside in ((11.28, 1.0), (11.29, 0.0), (-11.28, 1.0), (-11.29, 0.0), (8.0, 1.0)):
        assert coverage([[target]], means[:, :1], variances[:, :1], [0.9]).tolist() == [inside]


def test_the_interval_is_that_between_quantiles_found_by_bisection():
    rng = np.random.default_rng(2)
    means, variances = rng.normal(0, 3, (4, 60, 2)), rng.uniform(0.05, 5, (4, 60, 2))
    targets = rng.normal(0, 4, (60, 2))

    def distribution(t, i, j):
        return np.mean([0.5 * (1 + math.erf((t - means[k, i, j]) / math.sqrt(2 * variances[k, i, j])))
                        for k in range(4)])  # fmt: skip

    def quantile(share, i, j):
        low, high = -100.0, 100.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if distribution(middle, i, j) < share else (low, middle)
        return low

    for level in (0.3, 0.9):
        inside = [quantile(0.5 - level / 2, i, j) <= targets[i, j] <= quantile(0.5 + level / 2, i, j)
                  for i in range(60) for j in range(2)]  # fmt: skip
        assert 0.1 < np.mean(inside) < 0.95
        assert coverage(targets, means, variances, [level])[0] == pytest.approx(np.mean(inside))


def test_density_by_hand():
    one = mixture_nll([[1.0]], [[[0.0]]], [[[4.0]]])
    assert one == pytest.approx(0.5 * math.log(2 * math.pi * 4) + 0.125)
    # Two members: the mean of the densities, not of their logarithms.
    densities = [math.exp(-0.5) / math.sqrt(2 * math.pi), math.exp(-0.5 * 4) / math.sqrt(2 * math.pi)]
    assert mixture_nll([[1.0]], [[[0.0]], [[3.0]]], np.ones((2, 1, 1))) == pytest.approx(-math.log(np.mean(densities)))
    # Members alike are one; two outputs add up; examples are averaged.
    assert mixture_nll([[1.0]], [[[0.0]]] * 3, [[[4.0]]] * 3) == pytest.approx(one)
    assert mixture_nll([[1.0, 1.0]], [[[0.0, 0.0]]], [[[4.0, 4.0]]]) == pytest.approx(2 * one)
    assert mixture_nll([[1.0], [0.0]], np.zeros((1, 2, 1)), np.full((1, 2, 1), 4.0)) == pytest.approx(one - 0.125 / 2)
    assert mixture_nll([[0.0]], [[[0.0]]], [[[1e-4]]]) < 0


def test_outputs_of_one_example_have_their_member_in_common():
    means = np.array([[[0.0, 0.0]], [[10.0, 10.0]]])
    same, crossed = ([[0.0, 0.0]], [[0.0, 10.0]])
    # Of one member's two outputs: its density with weight one half.
    assert mixture_nll(same, means, np.ones((2, 1, 2))) == pytest.approx(math.log(2 * math.pi) + math.log(2))
    assert mixture_nll(crossed, means, np.ones((2, 1, 2))) > 40


def test_the_density_of_draws_is_the_entropy():
    rng = np.random.default_rng(3)
    targets = 2.0 * rng.normal(size=(N, 1))
    found = mixture_nll(targets, np.zeros((1, N, 1)), np.full((1, N, 1), 4.0))
    assert found == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 4), abs=4 * math.sqrt(0.5 / N))


def test_targets_very_far_away_have_a_finite_density():
    assert mixture_nll([[1e6]], [[[0.0]], [[1.0]]], np.ones((2, 1, 1))) == pytest.approx(0.5e12, rel=1e-5)


RIGHT = {"targets": np.zeros((3, 1)), "means": np.zeros((2, 3, 1)), "variances": np.ones((2, 3, 1))}


@pytest.mark.parametrize("function", [mixture_nll, lambda **more: coverage(**more, levels=[0.9])])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": np.zeros(3)}, r"targets must be \[n, m\]. Received: targets with shape=\(3,\)"),
        ({"means": np.zeros((3, 1))}, r"means must be \[members, n, m\]. Received: means with shape=\(3, 1\)"),
        ({"means": np.zeros((2, 1, 3))}, r"a row for each target.*Received: targets with shape=\(3, 1\), means with"),
        ({"variances": np.ones((1, 3, 1))}, r"Received: .*variances with shape=\(1, 3, 1\)"),
        ({"variances": np.zeros((2, 3, 1))}, "variances must be above 0. Received: variances from 0"),
        ({"targets": np.full((3, 1), math.nan)}, "targets must be finite. Received: targets with 3 that are not"),
        ({"means": "abc"}, "Received: means='abc'"),
        ({"targets": None}, "Received: targets"),
        ({"targets": np.zeros((0, 1)), "means": np.zeros((2, 0, 1)), "variances": np.ones((2, 0, 1))}, "Received: tar"),
    ],
)
def test_bad_arrays_are_named(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(**(RIGHT | options))


@pytest.mark.parametrize("levels", [[0.0], [1.0], [90], [], 0.9, "ab", None, [math.nan]])
def test_bad_levels_are_named(levels):
    with pytest.raises(ValueError, match=r"levels must be probabilities.*Received: levels="):
        coverage(**RIGHT, levels=levels)
