"""Pictures of episodes, adaptation, embeddings, scores and calibration."""

from tfmeta.plotting.calibration import plot_coverage, plot_reliability
from tfmeta.plotting.confusion import plot_confusion
from tfmeta.plotting.curves import plot_adaptation_curve
from tfmeta.plotting.embeddings import plot_embeddings
from tfmeta.plotting.episodes import plot_episode
from tfmeta.plotting.palette import BEFORE, COLOURS, MARKERS, METHOD_COLOURS, method_style
from tfmeta.plotting.regression import plot_regression
from tfmeta.plotting.scores import plot_scores
from tfmeta.plotting.trials import plot_trials

__all__ = [
    "BEFORE",
    "COLOURS",
    "MARKERS",
    "METHOD_COLOURS",
    "method_style",
    "plot_adaptation_curve",
    "plot_confusion",
    "plot_coverage",
    "plot_embeddings",
    "plot_episode",
    "plot_regression",
    "plot_reliability",
    "plot_scores",
    "plot_trials",
]
