"""The README's animation can be drawn anew."""

import importlib.util

import numpy as np
import pytest

from tests.helpers import ROOT
from tfmeta.plotting import METHOD_COLOURS


@pytest.mark.slow
def test_a_short_training_gives_curves_and_a_frame(monkeypatch):
    spec = importlib.util.spec_from_file_location("animate", ROOT / "tutorials/animate.py")
    animate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(animate)
    network = animate.train(inner_steps=1, outer_steps=2)
    x = np.linspace(-4, 4, 10, dtype=np.float32)[:, None]
    curves = animate.path(network, x, np.sin(x), inner_lr=0.01)
    assert curves.shape == (animate.STEPS + 1, len(animate.X))
    assert np.abs(curves[-1] - curves[0]).max() > 0.01, "it adapts"
    np.testing.assert_allclose(curves[0], network(animate.X)[:, 0], rtol=1e-4, atol=1e-5)
    names = ("MAML", "joint training")
    assert set(names) <= set(METHOD_COLOURS)
    errors = {name: np.linspace(2, 1, animate.STEPS + 1) for name in names}
    frame = animate.draw(3.0, np.sin(animate.X[:, 0]), (x[:, 0], np.sin(x[:, 0])), dict.fromkeys(names, curves), errors)
    assert frame.width > 500
