"""One style throughout: support filled, query hollow, before adaptation grey and dashed, after adaptation solid, one
colour-blind-safe colour per method or class, and the 95 % interval always drawn and named with its n.

Every function that draws takes an axes and returns it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), "Color Universal Design"; black and yellow are left out, being hard to see on some screens.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BEFORE = "#7f7f7f"
MARKERS = "os^Dvp"  # from the seventh class on colours come again, with another marker


def axes_or_new(ax: Axes | None, **size) -> Axes:
    """The axes to draw on.

    Args:
        ax: the caller's, taken as it is.
        size: `figsize` of the figure that is made where the caller gave none.

    Returns:
        The axes.

    Raises:
        TypeError: if it is something else.
    """
    if ax is not None:
        if not callable(getattr(ax, "plot", None)):
            raise TypeError(f"ax must be Matplotlib axes. Received: ax of type {type(ax).__name__}")
        return ax
    import matplotlib.pyplot as plt  # which chooses a window system, so only where a figure is made

    return plt.subplots(layout="constrained", **size)[1]
