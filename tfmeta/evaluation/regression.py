"""How good a learner is where tasks have targets instead of labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfmeta.core.words import counted


@dataclasses.dataclass(frozen=True)
class RegressionScore:
    """Mean loss on the queries of a set of regression episodes. `print` it for one line that says all.

    Args:
        loss: mean over episodes of the mean loss on an episode's queries, in squared units of the targets where
            `loss_name` is "mean squared error".
        interval: half the width of the 95 % confidence interval over episodes.
        episodes: number of episodes.
        k_shot: support examples of a task; (lowest, highest) where they vary.
        n_query: queries of a task, likewise.
        data: name of the data.
        method: as of a `Score`.
        settings: the learner's settings at test time, such as `inner_steps`.
        batch_norm: which statistics batch norm used for queries.
        loss_name: which loss.
        model: what predicted: "single model", or of a method with several models for a task "mean of 10 models".
        losses: loss of each episode `[episodes]`, on request; else `None`.

    References:
        Finn et al. (2017), section 5.1 and figure 3. https://arxiv.org/abs/1703.03400
    """

    loss: float
    interval: float
    episodes: int
    k_shot: int | tuple[int, int]
    n_query: int | tuple[int, int]
    data: str
    method: str
    settings: dict[str, int | float]
    batch_norm: str
    loss_name: str
    model: str = "single model"
    losses: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self):
        restore_sizes(self, "k_shot", "n_query")
        if self.losses is not None:
            object.__setattr__(self, "losses", np.asarray(self.losses, np.float64))

    def __str__(self):
        return (
            f"{self.loss_name} {self.loss:.4g} +- {self.interval:.2g} ({in_words(self.k_shot)}-shot regression, "
            f"{episodes_in_words(self.episodes, self.model)}, {queries_in_words(self.n_query)} a task, {self.data}, "
            f"{self.method}{settings_in_words(self.settings)}, batch norm: {self.batch_norm}, {self.model})"
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON; `losses` only where they were asked for."""
        fields = dataclasses.asdict(self)
        losses = fields.pop("losses")
        return fields if losses is None else fields | {"losses": losses.tolist()}


def model_in_words(samples: int) -> str:
    """What predicted: one adapted model, or the mean of several."""
    return "single model" if samples == 1 else f"mean of {samples} models"


def over_trainings(model: str) -> bool:
    """Whether a score is a mean over trainings, as `mean_over_seeds` makes it, by what it says of its model."""
    return "trainings" in model


def restore_sizes(score, *names: str) -> None:
    """Make ranges pairs again that JSON has made lists.

    Args:
        score: a frozen score that is being made.
        names: its fields.
    """
    for name in names:
        if isinstance(value := getattr(score, name), list):
            object.__setattr__(score, name, tuple(value))


def in_words(size: int | tuple[int, int]) -> str:
    """A size, or a range of them, "5 to 20"."""
    return f"{size[0]} to {size[1]}" if isinstance(size, tuple | list) else str(size)


def episodes_in_words(episodes: int, model: str) -> str:
    """What an interval is over.

    Args:
        episodes: on which each model was judged.
        model: of a score; a mean over trainings says itself what the interval is over.

    Returns:
        "95 % interval over 600 episodes", or "600 episodes each".
    """
    counts = counted(episodes, "episode")
    return f"95 % interval over {counts}" if not over_trainings(model) else f"{counts} each"


def queries_in_words(size: int | tuple[int, int]) -> str:
    """A number of queries, or a range of them: "1 query", "5 to 20 queries"."""
    return f"{in_words(size)} {'query' if size == 1 else 'queries'}"


def settings_in_words(settings: dict[str, int | float]) -> str:
    """Settings for the middle of a line."""
    return "".join(f", {name.replace('_', ' ')} {value}" for name, value in settings.items())
