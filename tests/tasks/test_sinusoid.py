"""Sine waves: ranges, shapes, seeds, and that amplitude and phase are those of one wave a task."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.core.episode import Episode
from tfmeta.datasets import sinusoid_episodes

SIZES = {"k_shot": 5, "n_query": 7, "meta_batch_size": 4}


def arrays(batches, **options):
    stream = sinusoid_episodes(**(SIZES | {"seed": 0} | options)).take(batches)
    parts = [[t.numpy() for t in episodes] for episodes in stream]
    return Episode(*(np.stack(tensors) for tensors in zip(*parts, strict=True)))


def recovered(x, y):
    """Least squares: A sin(x - p) = (A cos p) sin x - (A sin p) cos x; returns A, p and the residual."""
    basis = np.stack([np.sin(x), -np.cos(x)], axis=1)
    (c, s), *_ = np.linalg.lstsq(basis, y, rcond=None)
    return np.hypot(c, s), np.arctan2(s, c), np.abs(basis @ (c, s) - y).max()


def test_shapes_types_and_an_endless_stream():
    stream = sinusoid_episodes(**SIZES, seed=0)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    assert isinstance(stream.element_spec, Episode)
    for name, points in (("support", 5), ("query", 7)):
        for part in "xy":
            spec = getattr(stream.element_spec, f"{name}_{part}")
            assert (tuple(spec.shape), spec.dtype) == ((4, points, 1), tf.float32)
    one = sinusoid_episodes(k_shot=1, n_query=1, meta_batch_size=1, seed=0)
    assert next(iter(one)).query_y.shape == (1, 1, 1)


def test_every_task_is_one_wave_and_tasks_fill_the_ranges():
    found = arrays(150)
    x = np.concatenate([found.support_x, found.query_x], axis=2).reshape(600, 12).astype(np.float64)
    y = np.concatenate([found.support_y, found.query_y], axis=2).reshape(600, 12).astype(np.float64)
    amplitudes, phases, residuals = np.array([recovered(*task) for task in zip(x, y, strict=True)]).T
    assert residuals.max() < 1e-4
    for values, (low, high) in ((amplitudes, (0.1, 5.0)), (phases, (0.0, math.pi)), (x.ravel(), (-5.0, 5.0))):
        assert low - 1e-3 <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high + 1e-3
        # Uniform: mean and standard deviation within five standard errors.
        error = (high - low) / math.sqrt(12 * len(values))
        assert abs(values.mean() - (low + high) / 2) < 5 * error
        assert values.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.1)
    assert abs(np.corrcoef(amplitudes, phases)[0, 1]) < 0.2


def test_ranges_can_be_chosen_and_be_points():
    found = arrays(2, amplitudes=(2.0, 2.0), phases=(0.5, 0.5))
    np.testing.assert_allclose(found.support_y, 2.0 * np.sin(found.support_x - 0.5), atol=1e-5)
    np.testing.assert_allclose(found.query_y, 2.0 * np.sin(found.query_x - 0.5), atol=1e-5)
    negative = arrays(5, amplitudes=(-3.0, -2.0), phases=(0.0, 0.0))
    ratio = negative.query_y / np.sin(negative.query_x)
    assert ratio.min() >= -3.01
    assert ratio.max() <= -1.99


def test_support_and_query_share_no_point():
    found = arrays(20)
    support, query = found.support_x.reshape(80, 5), found.query_x.reshape(80, 7)
    for one, other in zip(support, query, strict=True):
        assert not set(one) & set(other)
        assert len(set(one)) + len(set(other)) == 12
    assert len({tuple(row) for row in support}) == 80, "every task has points of its own"


def test_seeds_and_starts():
    base = arrays(6)
    for a, b in zip(base, arrays(6), strict=True):
        np.testing.assert_array_equal(a, b)
    for seed in (1, 2**31, 2**62):  # both halves of the seed matter
        assert np.abs(base.support_x - arrays(6, seed=seed).support_x).min() > 0
    for a, b in zip(base, arrays(2, start=4), strict=True):
        np.testing.assert_array_equal(a[4:], b)


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
        ({"start": 0.5}, r"Received: start=0.5"),
        ({"amplitudes": (5.0, 0.1)}, r"\(lowest, highest\), finite. Received: amplitudes=\(5.0, 0.1\)"),
        ({"amplitudes": (1.0,)}, r"Received: amplitudes=\(1.0,\)"),
        ({"phases": (0.0, math.inf)}, r"Received: phases=\(0.0, inf\)"),
        ({"phases": (math.nan, 1.0)}, r"Received: phases=\(nan, 1.0\)"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sinusoid_episodes(**(SIZES | {"seed": 0} | options))
