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
