"""Pictures of episodes, adaptation, embeddings and scores."""

from tfmeta.plotting.confusion import plot_confusion
from tfmeta.plotting.curves import plot_adaptation_curve
from tfmeta.plotting.embeddings import plot_embeddings
from tfmeta.plotting.episodes import plot_episode
from tfmeta.plotting.palette import BEFORE, COLOURS, MARKERS, METHOD_COLOURS, method_style
from tfmeta.plotting.regression import plot_regression
from tfmeta.plotting.scores import plot_scores

__all__ = [
    "BEFORE",
    "COLOURS",
    "MARKERS",
    "METHOD_COLOURS",
    "method_style",
    "plot_adaptation_curve",
    "plot_confusion",
    "plot_embeddings",
    "plot_episode",
    "plot_regression",
    "plot_scores",
]
