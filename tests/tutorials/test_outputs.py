"""What the stored notebooks show: pictures with a description, complete and quiet outputs."""

import re

from pages import FOLDER, code, tags
from PIL import Image

from tests.tutorials.pictures import pictures


def test_every_figure_shows_a_picture(notebook):
    for cell in code(notebook):
        if tags(cell, "figure:"):
            assert pictures(cell), f"{tags(cell, 'figure:')} shows no picture"


def test_every_picture_fits_is_sharp_and_has_a_sentence(notebook):
    for cell in code(notebook):
        for image, alt, width in pictures(cell):
            assert width <= 720
            assert 1.4 < image.width / width < 1.6
            assert image.height >= 150
            assert len(alt.split()) >= 8
            assert alt.endswith(".")
            assert "nan" not in alt


def test_no_cell_shows_what_matplotlib_returned(notebook):
    for cell in code(notebook):
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/plain", ""))
            assert not re.match(r"Text\(|\[?<matplotlib|\(?array\(|<Figure", text), text


def test_checks_saw_the_stub(notebook):
    for cell in code(notebook):
        printed = "".join(output.get("text", "") for output in cell.outputs)
        for name in tags(cell, "check:"):
            assert printed.startswith(f"[ ] {name}: not filled in yet")


def test_outputs_are_complete_and_quiet(notebook):
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text", "")[:300]
            assert "WARNING" not in output.get("text", "")
    assert sum(bool(cell.outputs) for cell in cells) >= 0.8 * len(cells)


def test_outputs_name_no_place_on_the_authors_machine(path):
    # Among the letters of a picture any short name occurs by chance.
    text = re.sub(r"[A-Za-z0-9+/]{100,}", "", path.read_text(encoding="utf-8"))
    assert not re.search(r"(/home/|/root/|/Users/|/work/|/tmp/|site-packages|\\\\Users\\\\)", text)


def test_the_animation_is_small_and_moves():
    gif = FOLDER / "adaptation.gif"
    assert gif.stat().st_size < 300_000
    with Image.open(gif) as picture:
        assert picture.n_frames > 10
        assert picture.width <= 800
