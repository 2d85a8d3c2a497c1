"""Sine-or-line tasks: their families, noise and seeds; and the posterior against grids and the prior."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.core.streams import stream_of
from tfmeta.datasets import posterior_curves, sine_or_line_episodes

SIZES = {"k_shot": 5, "n_query": 7, "meta_batch_size": 4}


def arrays(batches, **options):
    stream = sine_or_line_episodes(**(SIZES | {"seed": 0} | options)).take(batches)
    parts = [[t.numpy() for t in episodes] for episodes in stream]
    return Episode(*(np.stack(tensors) for tensors in zip(*parts, strict=True)))


def tasks(batches, **options):
    """Inputs and targets of both sets together, float64 `[tasks, points]`."""
    found = arrays(batches, **options)
    sets = ((found.support_x, found.query_x), (found.support_y, found.query_y))
    return [np.concatenate(parts, axis=2).reshape(-1, parts[0].shape[2] + parts[1].shape[2]).astype(np.float64)
            for parts in sets]  # fmt: skip


def fitted(x, y):
    """Least squares of both families: amplitude, phase and residual of the sine, slope, intercept and residual."""
    wave, straight = np.stack([np.sin(x), -np.cos(x)], axis=1), np.stack([x, np.ones_like(x)], axis=1)
    (c, s), (a, b) = (np.linalg.lstsq(basis, y, rcond=None)[0] for basis in (wave, straight))
    errors = [np.sqrt(np.mean((basis @ w - y) ** 2)) for basis, w in ((wave, (c, s)), (straight, (a, b)))]
    return np.hypot(c, s), np.arctan2(s, c), errors[0], a, b, errors[1]


# -- the stream ----------------------------------------------------------------------------------------------------
def test_shapes_types_and_an_endless_stream():
    stream = sine_or_line_episodes(**SIZES, seed=0)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    assert isinstance(stream.element_spec, Episode)
    for name, points in (("support", 5), ("query", 7)):
        for part in "xy":
            spec = getattr(stream.element_spec, f"{name}_{part}")
            assert (tuple(spec.shape), spec.dtype) == ((4, points, 1), tf.float32)


def test_without_noise_half_of_the_tasks_are_sines_the_rest_lines_and_both_fill_their_ranges():
    x, y = tasks(200, noise=0.0)
    amplitude, phase, off_sine, slope, intercept, off_line = np.array(
        [fitted(*one) for one in zip(x, y, strict=True)]
    ).T
    sine = off_sine < 1e-4
    assert (off_line[~sine] < 1e-4).all(), "a task is neither"
    assert not (sine & (off_line < 1e-4)).any()
    assert abs(sine.mean() - 0.5) < 4 * 0.5 / math.sqrt(800)
    for values, (low, high) in (
        (amplitude[sine], (0.1, 5.0)),
        (phase[sine], (0.0, math.pi)),
        (slope[~sine], (-3.0, 3.0)),
        (intercept[~sine], (-3.0, 3.0)),
        (x.ravel(), (-5.0, 5.0)),
    ):
        width = high - low
        assert low - 1e-3 <= values.min() < low + 0.05 * width
        assert high - 0.05 * width < values.max() <= high + 1e-3
        assert abs(values.mean() - (low + high) / 2) < 5 * width / math.sqrt(12 * len(values))
        assert values.std() == pytest.approx(width / math.sqrt(12), rel=0.1)
    assert abs(np.corrcoef(slope[~sine], intercept[~sine])[0, 1]) < 0.2


def test_the_noise_is_normal_of_the_stated_width_and_independent_of_everything():
    (x, noisy), (other, true) = tasks(200, noise=0.3), tasks(200, noise=0.0)
    np.testing.assert_array_equal(x, other)
    found = noisy - true
    n = found.size
    assert found.std() == pytest.approx(0.3, abs=4 * 0.3 / math.sqrt(2 * n))
    assert abs(found.mean()) < 4 * 0.3 / math.sqrt(n)
    assert np.mean(np.abs(found) < 0.3) == pytest.approx(0.6827, abs=4 * 0.47 / math.sqrt(n))
    assert abs(np.corrcoef(found.ravel(), x.ravel())[0, 1]) < 4 / math.sqrt(n)
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 4 / math.sqrt(len(found))
    np.testing.assert_allclose(tasks(200, noise=0.6)[1] - true, 2 * found, atol=1e-5)


def test_queries_without_noise_are_the_true_curve_and_nothing_else_changes():
    noisy, clean, true = arrays(5), arrays(5, noisy_queries=False), arrays(5, noise=0.0)
    np.testing.assert_array_equal(clean.query_y, true.query_y)
    assert np.abs(noisy.query_y - true.query_y).min() > 0
    for part in ("support_x", "support_y", "query_x"):
        np.testing.assert_array_equal(getattr(clean, part), getattr(noisy, part))


def test_inputs_of_support_and_queries_have_ranges_of_their_own():
    found = arrays(50, support_inputs=(-5.0, 0.0), query_inputs=(2.0, 3.0))
    assert -5 <= found.support_x.min() < -4.9
    assert -0.1 < found.support_x.max() <= 0
    assert 2 <= found.query_x.min() < 2.02
    assert 2.98 < found.query_x.max() <= 3
    # The same curves, so that learners can be judged on one side of them and on the other.
    halves = arrays(50, noise=0.0, support_inputs=(-5.0, 0.0), query_inputs=(-5.0, 0.0))
    whole = arrays(50, noise=0.0)
    for one, other in zip(fitted_of(halves), fitted_of(whole), strict=True):
        assert (one[2] < 1e-4) == (other[2] < 1e-4)
        wanted = slice(0, 2) if one[2] < 1e-4 else slice(3, 5)
        np.testing.assert_allclose(one[wanted], other[wanted], atol=1e-3)


def fitted_of(found):
    x, y = (np.concatenate(parts, axis=2).reshape(-1, 12).astype(np.float64)
            for parts in ((found.support_x, found.query_x), (found.support_y, found.query_y)))  # fmt: skip
    return [fitted(*one) for one in zip(x, y, strict=True)]


def test_seeds_and_starts():
    base = arrays(6)
    for a, b in zip(base, arrays(6), strict=True):
        np.testing.assert_array_equal(a, b)
    for seed in (1, 2**31, 2**62):  # both halves of the seed matter
        assert np.abs(base.support_x - arrays(6, seed=seed).support_x).min() > 0
    for a, b in zip(base, arrays(2, start=4), strict=True):
        np.testing.assert_array_equal(a[4:], b)


def test_a_stream_knows_how_to_go_on_and_what_it_depends_on():
    options = {"noise": 0.1, "support_inputs": (-5.0, 0.0), "noisy_queries": False}
    stream = stream_of(sine_or_line_episodes(**SIZES, seed=3, start=1, **options))
    for a, b in zip(next(iter(stream.later(2))), arrays(1, seed=3, start=3, **options), strict=True):
        np.testing.assert_array_equal(a, b[0])
    keys = [stream_of(sine_or_line_episodes(**(SIZES | {"seed": 3} | one))).key for one in (
        {}, {"noise": 0.1}, {"support_inputs": (-5, 0)}, {"query_inputs": (-5, 0)}, {"noisy_queries": False},
        {"start": 1}, {"k_shot": 4}, {"n_query": 4}, {"meta_batch_size": 3}, {"seed": 4},
    )]  # fmt: skip
    assert len({repr(key) for key in keys}) == 10


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_one_seed_is_the_same_tasks_in_batches_of_any_size(batch):
    fours = [part.reshape(-1, *part.shape[2:]) for part in arrays(2, seed=2**40)]
    others = [part.reshape(-1, *part.shape[2:]) for part in arrays(8 // batch, seed=2**40, meta_batch_size=batch)]
    for a, b in zip(fours, others, strict=True):
        np.testing.assert_allclose(a[: len(b)], b, rtol=1e-6, atol=1e-6)  # a sine of many is not rounded like one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k_shot": 0}, r"Received: k_shot=0"),
        ({"n_query": -1}, r"Received: n_query=-1"),
        ({"meta_batch_size": 2.5}, r"Received: meta_batch_size=2.5"),
        ({"seed": -1}, r"seed must be a whole number.*Received: seed=-1"),
        ({"start": -1}, r"Received: start=-1"),
        ({"noise": -0.1}, r"noise must be a number of at least 0. Received: noise=-0.1"),
        ({"noise": math.nan}, r"Received: noise=nan"),
        ({"noise": "0.3"}, r"Received: noise='0.3'"),
        ({"support_inputs": (5, -5)}, r"\(lowest, highest\), finite. Received: support_inputs=\(5, -5\)"),
        ({"query_inputs": 5}, r"Received: query_inputs=5"),
        ({"noisy_queries": "no"}, r"True or False. Received: noisy_queries='no'"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sine_or_line_episodes(**(SIZES | {"seed": 0} | options))


# -- the posterior -------------------------------------------------------------------------------------------------
X, Y = np.array([-4.0, -3.0, -1.5]), np.array([1.2, -0.4, -1.9])


def on_grids(x, y, noise, where, steps=700):
    """The posterior by summing over grids of settings: probability of a sine, and mean and variance of both curves."""

    def middle(low, high):
        return low + (high - low) * (np.arange(steps) + 0.5) / steps

    found = []
    for first, second, curve in (
        (middle(0.1, 5.0), middle(0.0, math.pi), lambda a, p, x: a * np.sin(x - p)),
        (middle(-3.0, 3.0), middle(-3.0, 3.0), lambda a, b, x: a * x + b),
    ):
        a, b = (part.ravel() for part in np.meshgrid(first, second))
        likelihood = np.exp(sum(-0.5 * ((t - curve(a, b, at)) / noise) ** 2 for at, t in zip(x, y, strict=True)))
        values = np.stack([curve(a, b, at) for at in where])
        mean = values @ likelihood / likelihood.sum()
        variance = (values - mean[:, None]) ** 2 @ likelihood / likelihood.sum()
        found.append((likelihood.mean(), mean, variance))
    (sine, *of_sine), (line, *of_line) = found
    return sine / (sine + line), of_sine, of_line


def test_the_posterior_is_that_of_a_grid_for_sines_lines_and_their_shares():
    where = np.array([-5.0, -2.0, 0.5, 4.0])
    wanted, of_sine, of_line = on_grids(X, Y, 0.3, where)
    assert 0.2 < wanted < 0.98, "else the points decide and the test says little"
    found = posterior_curves(X, Y, where, draws=1_000_000, samples=20_000, seed=1)
    assert (found.curves.shape, found.is_sine.shape) == ((20_000, 4), (20_000,))
    error = 0.5 / math.sqrt(found.effective)
    assert found.sine_probability == pytest.approx(wanted, abs=4 * error)
    assert found.is_sine.mean() == pytest.approx(found.sine_probability, abs=4 * 0.5 / math.sqrt(20_000))
    for (mean, variance), which in ((of_sine, found.is_sine), (of_line, ~found.is_sine)):
        curves = found.curves[which]
        effective = found.effective * which.mean() / 2
        assert (np.abs(curves.mean(axis=0) - mean) < 5 * np.sqrt(variance / effective)).all()
        np.testing.assert_allclose(curves.var(axis=0), variance, rtol=5 * math.sqrt(2 / effective))


def test_of_a_clear_line_the_posterior_is_the_normal_one_of_linear_regression():
    """Far from the ends of the prior's box a flat prior is no prior: mean (X'X)^-1 X'y, covariance noise^2 (X'X)^-1."""
    rng = np.random.default_rng(0)
    x = np.linspace(-5, 5, 6)
    y = 1.0 * x - 0.5 + rng.normal(0, 0.5, 6)
    basis = np.stack([x, np.ones(6)], axis=1)
    covariance = 0.25 * np.linalg.inv(basis.T @ basis)
    mean = np.linalg.solve(basis.T @ basis, basis.T @ y)
    found = posterior_curves(x, y, [0.0, 1.0], noise=0.5, draws=2_000_000, samples=20_000)
    assert found.sine_probability < 1e-6
    assert not found.is_sine.any()
    intercept, slope = found.curves[:, 0], found.curves[:, 1] - found.curves[:, 0]
    for values, k in ((slope, 0), (intercept, 1)):
        deviation = math.sqrt(covariance[k, k])
        assert values.mean() == pytest.approx(mean[k], abs=5 * deviation / math.sqrt(found.effective))
        assert values.std() == pytest.approx(deviation, rel=5 / math.sqrt(2 * found.effective))


def test_of_a_clear_wave_it_is_a_sine():
    x = np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
    found = posterior_curves(x, 3.0 * np.sin(x - 1.0), x, draws=400_000)
    assert found.sine_probability > 1 - 1e-6
    assert found.is_sine.all()
    assert np.abs(found.curves.mean(axis=0) - 3.0 * np.sin(x - 1.0)).max() < 0.3


def test_without_points_or_under_huge_noise_the_posterior_is_the_prior():
    for points, noise in ((([], []), 0.3), ((X, Y), 1e6)):
        found = posterior_curves(*points, [0.0, 1.0], noise=noise, draws=50_000, samples=50_000)
        assert found.sine_probability == pytest.approx(0.5, abs=1e-6)
        assert found.effective == pytest.approx(50_000, rel=1e-6)
        lines = found.curves[~found.is_sine]
        slopes = lines[:, 1] - lines[:, 0]
        assert slopes.std() == pytest.approx(6 / math.sqrt(12), rel=0.05)
        assert lines[:, 0].std() == pytest.approx(6 / math.sqrt(12), rel=0.05)


def test_true_curves_lie_in_the_posteriors_90_percent_interval_9_times_in_10():
    episodes = next(iter(sine_or_line_episodes(
        k_shot=2, n_query=1, meta_batch_size=200, seed=5, support_inputs=(-5, 0), noisy_queries=False)))  # fmt: skip
    inside = []
    for x, y, at, true in zip(*(part.numpy() for part in episodes), strict=True):
        low, high = np.quantile(posterior_curves(x, y, at, draws=150_000, samples=2000).curves, (0.05, 0.95))
        inside.append(low <= true[0, 0] <= high)
    assert np.mean(inside) == pytest.approx(0.9, abs=4 * 0.3 / math.sqrt(200))


def test_a_seed_gives_the_same_curves_and_columns_are_taken_as_rows():
    options = {"draws": 50_000, "samples": 7}
    one, same = posterior_curves(X, Y, X, **options), posterior_curves(X[:, None], Y[:, None], X[:, None], **options)
    np.testing.assert_array_equal(one.curves, same.curves)
    assert one.curves.shape == (7, 3)
    assert one.sine_probability == same.sine_probability
    assert not np.array_equal(posterior_curves(X, Y, X, **options, seed=1).curves, one.curves)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"support_y": [1.0]}, r"one number a point each. Received: support_x with shape=\(3,\), support_y .*\(1,\)"),
        ({"support_x": np.ones((3, 2))}, r"\[n\] or \[n, 1\]. Received: support_x with shape=\(3, 2\)"),
        ({"x": 1.0}, r"Received: x with shape=\(\)"),
        ({"x": None}, r"x must be .*Received: x"),
        ({"x": "abc"}, r"x must be numbers.*Received: x='abc'"),
        ({"support_y": [1.0, math.nan, 0.0]}, r"finite numbers.*Received: support_y with shape=\(3,\), not all finite"),
        ({"noise": 0.0}, r"noise must be a number above 0. Received: noise=0.0"),
        ({"draws": 0}, r"Received: draws=0"),
        ({"samples": -1}, r"Received: samples=-1"),
        ({"seed": 0.5}, r"Received: seed=0.5"),
        ({"draws": 50}, r"only .* of 50 draws are effective, and at least 100.*more draws.*Received: draws=50"),
        ({"support_y": [50.0, -50.0, 50.0]}, r"a sine or a line with noise 0.3"),
        ({"noise": 1e-200}, r"only 0.0 of 200000 draws are effective"),
    ],
)
def test_bad_arguments_of_the_posterior_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        posterior_curves(**({"support_x": X, "support_y": Y, "x": X} | options))
