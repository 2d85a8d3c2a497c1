"""What the tutorials need around their subject: a quiet start, figures with a description, sliders, a game."""

from tfmeta.notebook.duel import Duel
from tfmeta.notebook.figures import show
from tfmeta.notebook.sliders import sliders
from tfmeta.notebook.start import QUICK, load_characters, setup

__all__ = ["QUICK", "Duel", "load_characters", "setup", "show", "sliders"]
