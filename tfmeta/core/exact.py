"""Within one block, all that TensorFlow differentiates once rightly and twice wrongly is right."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tfmeta.core.moments import exact_moments
from tfmeta.core.resize import exact_resize


@contextlib.contextmanager
def exact_derivatives() -> Iterator[None]:
    """Within the block, normalisation and resizing can be differentiated twice; see `exact_moments`, `exact_resize`."""
    with exact_moments(), exact_resize():
        yield
