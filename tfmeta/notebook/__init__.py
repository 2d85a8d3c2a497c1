"""What the tutorials need around their subject: a quiet start, figures with a description, sliders."""

from tfmeta.notebook.figures import show
from tfmeta.notebook.sliders import sliders
from tfmeta.notebook.start import QUICK, load_characters, setup

__all__ = ["QUICK", "load_characters", "setup", "show", "sliders"]
