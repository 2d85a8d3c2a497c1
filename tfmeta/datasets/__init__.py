"""Data sets: Omniglot, generated glyphs, and your own images, as labelled classes split by class."""

from tfmeta.datasets.classes import ImageClasses, Splits
from tfmeta.datasets.folders import from_directory
from tfmeta.datasets.glyphs import load_glyphs
from tfmeta.datasets.images import from_arrays
from tfmeta.datasets.labelled import labelled_batches
from tfmeta.datasets.loading import load_images
from tfmeta.datasets.omniglot import OmniglotUnavailableError, load_omniglot
from tfmeta.datasets.splitting import split_classes
from tfmeta.tasks.ambiguous import PosteriorCurves, posterior_curves, sine_or_line_episodes
from tfmeta.tasks.sinusoid import sinusoid_episodes
from tfmeta.tasks.two_readings import Readings, readings_covered, two_readings_episodes

__all__ = [
    "ImageClasses",
    "OmniglotUnavailableError",
    "PosteriorCurves",
    "Readings",
    "Splits",
    "from_arrays",
    "from_directory",
    "labelled_batches",
    "load_glyphs",
    "load_images",
    "load_omniglot",
    "posterior_curves",
    "readings_covered",
    "sine_or_line_episodes",
    "sinusoid_episodes",
    "split_classes",
    "two_readings_episodes",
]
