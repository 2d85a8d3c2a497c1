"""A regression task before and after adaptation: what is drawn is what the learner predicts."""

import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.plotting.drawings import assert_whole, words
from tfmeta.datasets import sinusoid_episodes


@pytest.fixture
def wave():
    batch = next(iter(sinusoid_episodes(k_shot=5, n_query=7, meta_batch_size=1, seed=0)))
    return tf.nest.map_structure(lambda t: t[0], batch)


def test_curves_are_the_learners_predictions(wave):
    learner = tfmeta.MAML(tfmeta.networks.mlp(hidden=(8,)), inner_lr=0.01, inner_steps=1)
    ax = tfmeta.plot_regression(learner, wave, inner_steps=[1, 5])
    legend = ["query", "support", "before adaptation", "after 1 inner step", "after 5 inner steps"]
    assert words(ax.get_legend().get_texts()) == legend
    lines = dict(zip(legend, ax.lines, strict=True))
    np.testing.assert_array_equal(lines["support"].get_ydata(), wave.support_y[:, 0])
    x = lines["before adaptation"].get_xdata()[:, None]
    for name, steps in (("before adaptation", 0), ("after 5 inner steps", 5)):
        expected = learner.adapt(wave.support_x, wave.support_y, steps).predict(x, verbose=0)
        np.testing.assert_allclose(lines[name].get_ydata(), expected[:, 0], atol=1e-5)
    assert_whole(ax)


def test_what_cannot_be_drawn_is_named(wave, tiny):
    learner = tfmeta.MAML(tfmeta.networks.mlp(hidden=(4,)))
    with pytest.raises(TypeError, match="Received: learner of type int"):
        tfmeta.plot_regression(3, wave)
    with pytest.raises(TypeError, match="Received: episode of type tuple"):
        tfmeta.plot_regression(learner, tuple(wave))
    with pytest.raises(ValueError, match="Received: support_x"):
        tfmeta.plot_regression(learner, tfmeta.sample_episode(tiny, n_way=2, k_shot=1, n_query=1, seed=0))
    with pytest.raises(ValueError, match="Received: inner_steps=-1"):
        tfmeta.plot_regression(learner, wave, inner_steps=[-1])
