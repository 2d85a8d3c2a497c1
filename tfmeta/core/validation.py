"""Numbers that a caller gives, checked before any work starts."""

from __future__ import annotations

import numpy as np


def check_sizes(**sizes: int) -> None:
    """Refuse sizes that are not positive whole numbers.

    Raises:
        ValueError: naming the first argument that is zero, negative or no integer.
    """
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1. Received: {name}={value!r}")


def check_seed(seed: int) -> None:
    """Refuse a seed that is not a non-negative whole number below 2**63.

    Raises:
        ValueError: naming the seed.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1. Received: seed={seed!r}")


def check_steps(**steps: int) -> None:
    """Refuse anything but whole numbers of at least 0 as numbers of inner steps.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in steps.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0. Received: {name}={value!r}")


def check_number(name: str, value: float, *, above: bool = False) -> None:
    """Refuse anything but a finite number of at least 0 (or above 0).

    Args:
        name: the argument's name, for the message.
        value: what was given.
        above: whether 0 itself is refused.

    Raises:
        ValueError: naming the argument.
    """
    fits = (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and 0 <= value < float("inf")
    )
    if not fits or (above and value == 0):
        wanted = "above 0" if above else "of at least 0"
        raise ValueError(f"{name} must be a number {wanted}. Received: {name}={value!r}")


def check_fraction(name: str, value: float) -> None:
    """Refuse anything but a number from 0 to 1.

    Args:
        name: the argument's name, for the message.
        value: what was given.

    Raises:
        ValueError: naming the argument.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1. Received: {name}={value!r}")


def check_rate(name: str, rate: float, *, above: bool = False) -> None:
    """Refuse a Python number that is not finite; tensors are taken as they are.

    Args:
        name: the argument's name, for the message.
        rate: a number, or a tensor, of which a graph may not know the value yet. A negative one climbs.
        above: whether it must be above 0.

    Raises:
        ValueError: naming the argument.
    """
    if not isinstance(rate, np.generic) and hasattr(rate, "shape"):
        return
    number = isinstance(rate, int | float | np.integer | np.floating) and not isinstance(rate, bool)
    if not number or not -float("inf") < rate < float("inf") or (above and rate <= 0):
        wanted = "a number above 0" if above else "a finite number"
        raise ValueError(f"{name} must be {wanted}. Received: {name}={rate!r}")


def check_flags(**flags: bool) -> None:
    """Refuse anything but True and False, since "no" counts as true.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be True or False. Received: {name}={value!r}")


def check_sequence(name: str, value) -> None:
    """Refuse what has no entries, and strings, whose entries are letters.

    Args:
        name: the argument's name, for the message.
        value: what was given.

    Raises:
        TypeError: naming the argument.
    """
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a sequence. Received: {name}={value!r}")


def check_gradient_mode(gradient_mode: str) -> None:
    """Refuse an unknown way to a meta-gradient.

    Raises:
        ValueError: naming the ways there are.
    """
    if gradient_mode not in ("nested", "mixed"):
        raise ValueError(f"gradient_mode must be 'nested' or 'mixed'. Received: gradient_mode={gradient_mode!r}")
