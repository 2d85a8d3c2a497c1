"""Pictures of episodes, adaptation and embeddings."""

from tfmeta.plotting.curves import plot_adaptation_curve
from tfmeta.plotting.embeddings import plot_embeddings
from tfmeta.plotting.episodes import plot_episode
from tfmeta.plotting.palette import BEFORE, COLOURS, MARKERS

__all__ = ["BEFORE", "COLOURS", "MARKERS", "plot_adaptation_curve", "plot_embeddings", "plot_episode"]
