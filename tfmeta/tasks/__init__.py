"""Distributions of tasks: episodes of labelled images and of curves, and environments for agents."""

from tfmeta.tasks.bandits import BernoulliBandits, InformativeBandits
from tfmeta.tasks.tabular_mdps import TabularMDPs
from tfmeta.tasks.task_streams import task_stream

__all__ = ["BernoulliBandits", "InformativeBandits", "TabularMDPs", "task_stream"]
