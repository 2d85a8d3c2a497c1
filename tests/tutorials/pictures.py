"""The pictures among a cell's outputs, as a PNG of its own or inside HTML."""

import base64
import io
from html.parser import HTMLParser
from typing import NamedTuple

from PIL import Image


class Picture(NamedTuple):
    image: Image.Image
    alt: str
    width: int  # as shown, in pixels


class Images(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.found.append(dict(attributes))


def opened(png):
    return Image.open(io.BytesIO(base64.b64decode(png)))


def pictures(cell):
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            about = output.metadata.get("image/png", {})
            found.append(Picture(opened(data["image/png"]), about.get("alt", ""), about.get("width", 10**6)))
        for image in Images("".join(data.get("text/html", ""))).found:
            kind, _, png = image["src"].partition(",")
            assert kind == "data:image/png;base64", "a picture is kept in the notebook, not beside it"
            found.append(Picture(opened(png), image.get("alt", ""), int(image.get("width", 10**6))))
    return found
