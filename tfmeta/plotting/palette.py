"""One style throughout: support filled, query hollow, before adaptation grey and dashed, after adaptation solid, one
colour-blind-safe colour per method and per class, and the 95 % interval always drawn and named with its n.

Every function that draws takes an axes and returns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), "Color Universal Design"; black and yellow are left out, being hard to see on some screens.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BEFORE = "#7f7f7f"
MARKERS = "os^Dvp"  # from the seventh class on colours come again, with another marker

# One colour and one marker per method, in every notebook, table and figure. Colours of Okabe and Ito, and of Paul Tol's
# "muted" scheme (2021, https://personal.sron.nl/~pault/); with so many methods, near colours differ in their marker.
METHOD_COLOURS = {
    "MAML": "#0072B2",
    "FOMAML": "#56B4E9",
    "MAML++": "#332288",
    "Reptile": "#E69F00",
    "Meta-SGD": "#999933",
    "ANIL": "#CC79A7",
    "BOIL": "#882255",
    "Proto-MAML": "#D55E00",
    "ProtoNet": "#009E73",
    "matching": "#AA4499",
    "nearest neighbour": "#555555",
    "fine-tuning": "#661100",
    "joint training": "#A65628",
    "Ridge (R2-D2)": "#117733",
    "LSTM meta-learner": "#BB5566",
    "ALPaCA": "#228833",
    "ensemble": "#44AA99",
    "PLATIPUS": "#CC6677",
    "RL^2": "#222255",
}
METHOD_MARKERS = dict(zip(METHOD_COLOURS, "osD^vphXP<>*8dHx+12", strict=True))
# Names of learners and of presets, for the same methods.
_ALIASES = {
    "mamlplusplus": "MAML++",
    "metasgd": "Meta-SGD",
    "protomaml": "Proto-MAML",
    "prototypicalnetwork": "ProtoNet",
    "prototypical": "ProtoNet",
    "prototypicalnetworks": "ProtoNet",
    "matchingnetwork": "matching",
    "matchingnetworks": "matching",
    "nearestneighbourpixels": "nearest neighbour",
    "nearestneighbor": "nearest neighbour",
    "finetunedclassifier": "fine-tuning",
    "rl2": "RL^2",
    "ridge": "Ridge (R2-D2)",
    "r2d2": "Ridge (R2-D2)",
    "ridgeclassifier": "Ridge (R2-D2)",
    "lstm": "LSTM meta-learner",
    "bayesianlinearregressor": "ALPaCA",
    "mamlensemble": "ensemble",
    "ensembleofmamls": "ensemble",
    "jointtraining": "joint training",
    "trainedjointly": "joint training",
}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum() or letter == "+")


_KNOWN = {_plain(name): name for name in METHOD_COLOURS} | _ALIASES


def method_named(name: str) -> str | None:
    """The method that a name stands for.

    Args:
        name: a method's name in any spelling, a learner's class name or its label, such as `"ProtoNet"`,
            `"Prototypical network"`, `"PrototypicalNetwork"` or `"prototypical"`.

    Returns:
        Its name in `METHOD_COLOURS`, or `None` for any other name.
    """
    return _KNOWN.get(_plain(name))


def method_style(name: str) -> dict[str, str]:
    """Colour and marker of a method, for Matplotlib.

    Args:
        name: as in `method_named`.

    Returns:
        `{"color": ..., "marker": ...}`.

    Raises:
        ValueError: if no method has that name.
    """
    method = method_named(name)
    if method is None:
        raise ValueError(f"name must be one of {', '.join(METHOD_COLOURS)}. Received: name={name!r}")
    return {"color": METHOD_COLOURS[method], "marker": METHOD_MARKERS[method]}


def colours_of(labels: Sequence[str]) -> list[str]:
    """Colours of the lines of one picture, all different as long as there are enough.

    Args:
        labels: what the lines are called.

    Returns:
        For each a method's own colour where it is labelled with it; for others, and for a second one, one left over.
    """
    found: list[str | None] = []
    for label in labels:
        own = METHOD_COLOURS.get(method_named(label) or "")
        found.append(None if own in found else own)
    every = dict.fromkeys((*COLOURS, *METHOD_COLOURS.values()))  # some are in both
    left = iter([colour for colour in every if colour not in found] + [BEFORE] * len(labels))
    return [colour or next(left) for colour in found]


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
