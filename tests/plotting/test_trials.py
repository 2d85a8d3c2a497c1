"""Pictures of agents: the lines are the numbers, with their intervals and their n."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tfmeta.evaluation import TrialScore
from tfmeta.plotting import METHOD_COLOURS, plot_trials


def score(agent="RL^2", n=6, **fields):
    steps = np.arange(1, n + 1, dtype=float)
    given = {"regret": 0.3 * steps, "distinct": np.minimum(steps, 3)} | fields
    return TrialScore(
        3.0, 0.1, 500, n, 1, agent, "bandits", 0, per_step=steps / 10, per_step_error=steps / 100, **given
    )


def test_rewards_with_intervals():
    ax = plot_trials([score(), score("Thompson")])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.arange(1, 7) / 10)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), np.arange(1, 7))
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(0.6 + 1.96 * 0.06, abs=1e-3)
    assert ax.lines[0].get_color() == METHOD_COLOURS["RL^2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["RL^2", "Thompson"]
    assert ax.get_title() == "mean and 95 % interval over 500 trials"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("pull", "mean reward of a pull")


def test_a_window_averages_steps():
    line = plot_trials(score(), window=4).lines[0]
    np.testing.assert_allclose(line.get_ydata(), [0.25])
    np.testing.assert_allclose(line.get_xdata(), [2.5])


@pytest.mark.parametrize(
    ("quantity", "ylabel"), [("regret", "regret so far"), ("distinct", "different actions so far")]
)
def test_other_quantities_on_axes_of_ones_own(quantity, ylabel):
    _, ax = plt.subplots()
    assert plot_trials(score(), ax, quantity=quantity) is ax
    np.testing.assert_allclose(ax.lines[0].get_ydata(), getattr(score(), quantity))
    assert ax.get_ylabel() == ylabel


def test_refusals():
    with pytest.raises(TypeError, match="scores must be one TrialScore or several"):
        plot_trials([score(), "Thompson"])
    with pytest.raises(TypeError, match="scores must be"):
        plot_trials([])
    with pytest.raises(ValueError, match="quantity must be one of reward"):
        plot_trials(score(), quantity="loss")
    with pytest.raises(ValueError, match="scores must have a regret"):
        plot_trials(score(regret=None), quantity="regret")
    with pytest.raises(ValueError, match="scores must be of the same trials"):
        plot_trials([score(), score(n=7)])
    with pytest.raises(ValueError, match="window must be a whole number from 1 to 6"):
        plot_trials(score(), window=7)
