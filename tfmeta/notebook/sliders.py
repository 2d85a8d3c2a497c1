"""Sliders below a figure: an extra for a running notebook, never the only picture."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

MISSING = "In a running notebook with ipywidgets, sliders appear here."


def sliders(draw: Callable[..., Any], **ranges: tuple | list) -> None:
    """Let the reader move the arguments of a function that draws.

    Where no sliders can run (ipywidgets is missing, or `TFMETA_STATIC` is set, as for pages that are read and not run)
    one line says so, and nothing is drawn.

    Args:
        draw: makes a new figure; it is called with one value for each range.
        ranges: for each argument `(lowest, highest)` in whole steps, `(lowest, highest, step)`, or a list of choices.
            The slider starts at the default that `draw` has for the argument, else in the middle.

    Raises:
        TypeError: if `draw` is no function, or a range is of another kind.
        ValueError: if a range is empty or its step is not above 0.
    """
    if not callable(draw):
        raise TypeError(f"draw must be a function. Received: draw of type {type(draw).__name__}")
    for name, limits in ranges.items():
        _check(name, limits)
    if not importlib.util.find_spec("ipywidgets") or "TFMETA_STATIC" in os.environ:
        print(MISSING)
        return
    import inspect

    import ipywidgets

    defaults = {name: parameter.default for name, parameter in inspect.signature(draw).parameters.items()}
    controls = {name: _control(ipywidgets, name, limits, defaults.get(name)) for name, limits in ranges.items()}
    ipywidgets.interact(draw, **controls)


def _check(name: str, limits: tuple | list) -> None:
    if isinstance(limits, list):
        if not limits:
            raise ValueError(f"{name} needs at least one choice. Received: {name}=[]")
        return
    number = isinstance(limits, tuple) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in limits
    )
    if not number or len(limits) not in (2, 3):
        raise TypeError(f"{name} must be (lowest, highest), (lowest, highest, step) or a list. Received: {limits!r}")
    if not limits[0] < limits[1] or (len(limits) == 3 and not limits[2] > 0):
        raise ValueError(f"{name} must rise from lowest to highest in steps above 0. Received: {name}={limits!r}")


def _control(ipywidgets, name: str, limits: tuple | list, default: Any):
    """A slider whose label is never cut and whose number shows every decimal of its step."""
    look = {
        "description": name.replace("_", " "),
        "style": {"description_width": "initial"},
        "layout": ipywidgets.Layout(width="95%", max_width="32em"),
    }
    if isinstance(limits, list):
        return ipywidgets.Dropdown(options=limits, value=default if default in limits else limits[0], **look)
    low, high, step = (*limits, 1)[:3]
    value = default if isinstance(default, int | float) and low <= default <= high else None
    if all(isinstance(number, int) for number in (low, high, step)):
        return ipywidgets.IntSlider((low + high) // 2 if value is None else value, low, high, step, **look)
    decimals = len(f"{step:.6f}".rstrip("0").partition(".")[2])
    start = (low + high) / 2 if value is None else value
    return ipywidgets.FloatSlider(start, min=low, max=high, step=step, readout_format=f".{decimals}f", **look)
