"""Distributions of tasks: episodes of labelled images and of curves, and environments for agents."""

from tfmeta.tasks.bandits import BernoulliBandits, InformativeBandits
from tfmeta.tasks.navigation import Navigation2D
from tfmeta.tasks.tabular_mdps import TabularMDPs
from tfmeta.tasks.task_streams import task_stream

__all__ = ["BernoulliBandits", "InformativeBandits", "Navigation2D", "TabularMDPs", "task_stream"]
