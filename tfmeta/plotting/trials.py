"""Pictures of agents that explore: reward, regret and tried actions against the steps of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmeta.core.words import counted
from tfmeta.evaluation.intervals import Z_95
from tfmeta.evaluation.trials import TrialScore
from tfmeta.plotting.palette import BEFORE, axes_or_new, colours_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUANTITIES = ("reward", "regret", "distinct")


def plot_trials(
    scores: TrialScore | Sequence[TrialScore], ax: Axes | None = None, *, quantity: str = "reward", window: int = 1
) -> Axes:
    """Draw what agents earn step by step.

    Args:
        scores: of one agent or of several, in the same environment.
        ax: axes to draw on; a new figure by default.
        quantity: `"reward"` of every step with its 95 % interval, `"regret"` summed up to every episode, or
            `"distinct"`, the mean number of different actions that were tried until every step.
        window: of rewards, the number of steps that are averaged; 1 for each by itself.

    Returns:
        The axes.

    Raises:
        TypeError: if `scores` holds anything else.
        ValueError: if the quantity is unknown or a score lacks it, or the scores are of different trials.

    References:
        Wang et al. (2016), figure 2, for regret against the steps of a trial. https://arxiv.org/abs/1611.05763
    """
    given = list(scores) if isinstance(scores, list | tuple) else [scores]
    if not given or not all(isinstance(one, TrialScore) for one in given):
        raise TypeError(f"scores must be one TrialScore or several. Received: scores={scores!r}")
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(_QUANTITIES)}. Received: quantity={quantity!r}")
    if len({(one.environment, one.n_episodes) for one in given}) > 1:
        shown = sorted({f"{one.environment} with {one.n_episodes} episodes" for one in given})
        raise ValueError(f"scores must be of the same trials. Received: {' and '.join(shown)}")
    if quantity != "reward" and (without := [one.agent for one in given if getattr(one, quantity) is None]):
        raise ValueError(f"scores must have a {quantity}. Received: one of {without[0]} without it")
    n_steps = len(given[0].per_step)
    if isinstance(window, bool) or not isinstance(window, int) or not 1 <= window <= n_steps:
        raise ValueError(f"window must be a whole number from 1 to {n_steps}. Received: window={window!r}")
    # The legend of many agents stands beside the axes: within, it would lie on one of them.
    many = len(given) > 3
    ax = axes_or_new(ax, figsize=(7.0 if many else 5.0, 3.4))
    others = [one for one in given if one.agent != "random"]
    colours = dict(zip([one.agent for one in others], colours_of([one.agent for one in others]), strict=True))
    for one in given:
        colour = colours.get(one.agent, BEFORE)
        if quantity == "reward":
            n = n_steps // window * window
            mean = one.per_step[:n].reshape(-1, window).mean(axis=1)
            # Of steps that are averaged, errors of steps that all go together: no smaller than they are.
            half = Z_95 * one.per_step_error[:n].reshape(-1, window).mean(axis=1)
            x = window * np.arange(len(mean)) + (window + 1) / 2
            ax.plot(x, mean, color=colour, label=one.agent)
            ax.fill_between(x, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
        else:
            line = getattr(one, quantity)
            ax.plot(np.arange(1, len(line) + 1), line, color=colour, label=one.agent)
    pulls = given[0].episode_length == 1
    step = "pull" if pulls else "step"
    ax.set_xlabel(step if quantity != "regret" or pulls else "episode")
    ax.set_ylabel(
        {"reward": f"mean reward of a {step}", "regret": "regret so far", "distinct": "different actions so far"}[
            quantity
        ]
    )
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if many else {}
    ax.legend(frameon=False, fontsize="small", **beside)
    interval = " and 95 % interval" if quantity == "reward" else ""
    counts = " and ".join(counted(n, "trial") for n in sorted({one.trials for one in given}))
    ax.set_title(f"mean{interval} over {counts}", fontsize="medium")
    return ax
