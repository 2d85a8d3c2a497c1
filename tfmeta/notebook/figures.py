"""Figures of a notebook, each with a sentence for those who cannot see it."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARPNESS = 1.5  # pixels stored for one that is shown: for phones and projectors


def show(alt: str, figure: Figure | None = None) -> None:
    """Show a figure with an alternative text, as the output of a cell.

    Args:
        alt: one sentence that says what is to be seen; a screen reader reads it, and pages made of the notebook have
            it.
        figure: a Matplotlib figure; the current one by default. It is closed, so that it is shown once.

    Raises:
        TypeError: if the text is no text, or the figure is none.
        ValueError: if the text is no sentence, or there is no figure to show.

    References:
        W3C, Web Content Accessibility Guidelines 2.2, 1.1.1 (non-text content).
        https://www.w3.org/TR/WCAG22/#non-text-content
    """
    import matplotlib.pyplot as plt
    from IPython.display import display
    from matplotlib.figure import Figure

    if not isinstance(alt, str):
        raise TypeError(f"alt must be a text. Received: alt of type {type(alt).__name__}")
    if len(alt.split()) < 4:
        raise ValueError(f"alt must be a sentence that says what the figure shows. Received: alt={alt!r}")
    if figure is None and not plt.get_fignums():
        raise ValueError("there is no figure to show. Received: figure=None")
    figure = plt.gcf() if figure is None else figure
    if not isinstance(figure, Figure):
        raise TypeError(f"figure must be a Matplotlib figure. Received: figure of type {type(figure).__name__}")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=SHARPNESS * figure.dpi, bbox_inches="tight")
    plt.close(figure)
    display({"text/html": _image(drawn.getvalue(), alt), "text/plain": alt}, raw=True)


def _image(png: bytes, alt: str) -> str:
    """The picture as HTML: JupyterLab and pages made by nbconvert leave out the alternative text of a plain PNG."""
    width = int.from_bytes(png[16:20], "big")  # of the PNG's header
    return (
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{html.escape(alt)}" '
        f'width="{round(width / SHARPNESS)}" style="max-width: 100%; height: auto">'
    )
