"""For tfmeta/app until it names the shell itself."""

from tfmeta.training.episodic import EpisodicLearner as EpisodicModel  # noqa: F401
