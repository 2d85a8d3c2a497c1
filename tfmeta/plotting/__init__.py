"""Pictures of episodes, adaptation and embeddings."""

from tfmeta.plotting.figures import BEFORE, COLOURS, MARKERS, plot_adaptation_curve, plot_embeddings, plot_episode

__all__ = ["BEFORE", "COLOURS", "MARKERS", "plot_adaptation_curve", "plot_embeddings", "plot_episode"]
