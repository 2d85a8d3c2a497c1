"""How a tutorial is written: skeleton, figures, words, sizes, outputs and links, read from the stored notebooks."""

import base64
import io
import json
import re
from pathlib import Path

import nbformat
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))

# The curriculum: figures that a row promises, and its exercises with a check.
FIGURES = {
    "01": {"episode", "nearest-neighbour"},
    "02": {"loss-surface", "finite-differences"},
    "03": {"fits", "mse-vs-step", "meta-loss", "interactive"},
    "04": {"voronoi", "accuracy-vs-episodes", "embedding"},
    "05": {"attention", "distances", "interactive"},
    "06": {"accuracy-vs-step", "batch-statistics", "interactive"},
    "07": {"cosines", "accuracy-vs-time", "path", "interactive"},
    "08": {"rates", "cka", "methods"},
    "09": {"accuracy-vs-step", "shots", "interactive"},
    "14": {"protocols", "methods", "accuracy-vs-time", "shots"},
}
CHECKED = {
    "01": {"sample_episode"},
    "02": {"quadratic_meta_gradient", "detect_assign"},
    "03": {"adapt"},
    "04": {"prototypical_logits"},
    "05": {"cosine_attention"},
    "06": {"one_query_evaluation"},
    "07": {"reptile_update"},
    "08": {"meta_sgd_update", "masked_update"},
    "09": {"prototypical_head"},
    "14": {"paired_difference"},
}
# Words that are no help to somebody who does not understand, and names that the library does not use.
UNWELCOME = r"\b(just|simply|obviously|trivially|of course)\b"
OTHER_NAMES = (
    r"\b(xs|xq|inputa|inputb|weights_a|update_lr|num_updates|ways|shots|centers|backbone|net)\b\s*(=[^=]|\(|\.)"
)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def tags(cell, kind=""):
    return [tag.removeprefix(kind) for tag in cell.metadata.get("tags", []) if tag.startswith(kind)]


def pictures(cell):
    found = [output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(png))) for png in found]


def test_there_is_a_notebook_for_every_row():
    assert {path.name[:2] for path in NOTEBOOKS} >= set(FIGURES)


def test_valid_and_small(path, notebook):
    nbformat.validate(notebook)
    assert path.stat().st_size <= 400_000


def test_skeleton(path, notebook):
    first = notebook.cells[0].source
    assert re.match(rf"# {path.name[:2]} \S", first)
    promise = first.splitlines()[2]
    assert promise.endswith(".")
    for row in ("Goals", "Needs", "Time", "Trained here", "Loaded", "Papers"):
        assert f"| **{row}** |" in first
    headings = re.findall(r"^## (.+)$", prose(notebook), re.MULTILINE)
    assert headings[:2] == ["Setup", "The problem in one figure"]
    assert headings[-3:] == ["Exercises", "What we checked", "References"]
    if path.name[:2] in ("03", "04", "05", "06", "07", "08", "09", "14"):
        assert headings.index("Train") < headings.index("Evaluate") < headings.index("Exercises")
    assert "What did not work" in prose(notebook)


def test_every_figure_of_the_row_is_there(path, notebook):
    found = {tag: cell for cell in code(notebook) for tag in tags(cell, "figure:")}
    assert set(found) >= FIGURES.get(path.name[:2], set())
    for tag, cell in found.items():
        assert pictures(cell), f"figure:{tag} shows no picture"


def test_every_picture_is_tagged_and_fits(notebook):
    for cell in code(notebook):
        for picture in pictures(cell):
            assert picture.width <= 720
            assert picture.height >= 100


def test_a_figure_is_announced_and_discussed(notebook):
    """Say what a figure shows before it, and what follows from it after."""
    cells = notebook.cells
    for i, cell in enumerate(cells):
        if tags(cell, "figure:"):
            before = [c for c in cells[max(0, i - 2) : i] if c.cell_type == "markdown"]
            assert before, f"nothing announces {tags(cell)}"
            assert any(c.cell_type == "markdown" for c in cells[i + 1 : i + 3]), f"nothing follows from {tags(cell)}"


def test_exercises_have_stub_check_and_hidden_solution(path, notebook):
    cells = code(notebook)
    wanted = CHECKED.get(path.name[:2], set())
    for kind in ("exercise:", "check:"):
        assert {tag for cell in cells for tag in tags(cell, kind)} == wanted
    solutions = {tag: cell for cell in cells for tag in tags(cell, "solution:")}
    assert set(solutions) >= wanted
    for cell in solutions.values():
        assert cell.metadata["jupyter"]["source_hidden"]
        assert cell.metadata["collapsed"]
    for cell in cells:
        if tags(cell, "exercise:"):
            assert re.search(r"^    return \.\.\.", cell.source, re.MULTILINE), "a stub holds dots, not a solution"


def test_checks_saw_the_stub_and_the_solution(notebook):
    for cell in code(notebook):
        printed = "".join(output.get("text", "") for output in cell.outputs)
        for name in tags(cell, "check:"):
            assert printed.startswith(f"[ ] {name}: not filled in yet")
        for name in tags(cell, "solution:"):
            if f"checks.{name}(" in cell.source:
                assert printed.startswith(f"[ok] {name}: right")


def test_code_fits_on_a_screen(notebook):
    cells = code(notebook)
    lengths = [sum(1 for line in cell.source.splitlines() if line.strip()) for cell in cells]
    assert len(cells) <= 25
    assert sum(lengths) <= 250
    assert max(lengths) <= 30
    assert sum(lengths) / len(lengths) <= 15
    assert all(len(line) <= 120 for cell in cells for line in cell.source.splitlines())


def test_words(notebook):
    found = re.findall(UNWELCOME, prose(notebook), re.IGNORECASE)
    assert not found
    for cell in code(notebook):
        assert not re.search(OTHER_NAMES, cell.source)


def test_equations_are_numbered(notebook):
    equations = re.findall(r"\$\$(.+?)\$\$", prose(notebook), re.DOTALL)
    assert equations
    for equation in equations:
        assert re.search(r"\\tag\{[^}]+\}", equation), equation
    numbers = [re.search(r"\\tag\{([^}]+)\}", equation).group(1) for equation in equations]
    assert len(numbers) == len(set(numbers))


def test_from_scratch_is_compared(notebook):
    source = "\n".join(cell.source for cell in code(notebook))
    assert source.count("np.testing.assert_") >= 3
    assert "tfmeta." in source


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
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(/home/|/root/|/Users/|/work/|/tmp/|site-packages|\\\\Users\\\\)", text)


def test_relative_links_resolve(notebook):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(notebook))
    assert links
    for link in links:
        if not link.startswith(("https://", "#")):
            assert (FOLDER / link).exists(), link


def test_setup_is_the_same_everywhere():
    setups = {code(nbformat.read(path, as_version=4))[0].source for path in NOTEBOOKS}
    assert len(setups) == 1


def test_nothing_of_a_machine_in_the_metadata(path):
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert set(metadata) <= {"kernelspec", "language_info", "tfmeta"}


def test_readme_names_every_notebook_and_links_resolve():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert f"({path.name})" in text
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("https://", "#")):
            assert (FOLDER / link).exists(), link


def test_the_animation_is_small_and_moves():
    gif = FOLDER / "adaptation.gif"
    assert gif.stat().st_size < 300_000
    with Image.open(gif) as picture:
        assert picture.n_frames > 10
        assert picture.width <= 800
