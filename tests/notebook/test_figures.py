"""A figure is shown once, sharp, with its sentence."""

import base64
import html
import io
import re

import matplotlib.pyplot as plt
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.testing.globalipapp import start_ipython
from PIL import Image

from tfmeta.notebook import show
from tfmeta.notebook.figures import SHARPNESS

SENTENCE = 'A line that rises from "left" to right & is <never> level.'


@pytest.fixture
def published(monkeypatch):
    shell = start_ipython() or __import__("IPython").get_ipython()
    publisher = CapturingDisplayPublisher()
    monkeypatch.setattr(shell, "display_pub", publisher)
    monkeypatch.setattr("IPython.core.interactiveshell.InteractiveShell.initialized", staticmethod(lambda: True))
    monkeypatch.setattr("IPython.core.interactiveshell.InteractiveShell.instance", staticmethod(lambda: shell))
    return publisher


def test_a_figure_carries_its_sentence_and_is_closed(published):
    figure = plt.figure(figsize=(4, 3), dpi=100)
    figure.add_subplot().plot([0, 1])
    show(SENTENCE)
    (found,) = published.outputs
    assert found["data"]["text/plain"] == SENTENCE
    png, alt, width = re.fullmatch(
        r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)" width="(\d+)" style="[^"]+">',
        found["data"]["text/html"],
    ).groups()
    assert html.unescape(alt) == SENTENCE
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    assert picture.width == pytest.approx(SHARPNESS * int(width), abs=1)
    assert 300 < int(width) <= 420
    assert not plt.fignum_exists(figure.number)


def test_a_figure_can_be_named(published):
    first, second = plt.figure(), plt.figure()
    show(SENTENCE, first)
    assert plt.get_fignums() == [second.number]
    plt.close(second)


def test_a_figure_without_a_sentence_is_refused():
    plt.close("all")
    with pytest.raises(ValueError, match=r"no figure to show"):
        show(SENTENCE)
    figure = plt.figure()
    with pytest.raises(TypeError, match=r"alt must be a text. Received: alt of type NoneType"):
        show(None)
    with pytest.raises(ValueError, match=r"must be a sentence that says what the figure shows. Received: alt='a plot'"):
        show("a plot")
    with pytest.raises(TypeError, match=r"figure of type int"):
        show(SENTENCE, 3)
    plt.close(figure)
