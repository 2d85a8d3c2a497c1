"""Data sets: Omniglot, generated glyphs, and your own images, as labelled classes split by class."""

from tfmeta.datasets.classes import ImageClasses, Splits
from tfmeta.datasets.omniglot import OmniglotUnavailableError, load_omniglot

__all__ = [
    "ImageClasses",
    "OmniglotUnavailableError",
    "Splits",
    "load_omniglot",
]
