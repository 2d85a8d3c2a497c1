"""The Keras shells, and what a method of one's own is made of: `EpisodicLearner`, `Method`, `Run`, `TaskLoss`."""

from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Run, TaskLoss

__all__ = ["EpisodicLearner", "Method", "Run", "TaskLoss"]
