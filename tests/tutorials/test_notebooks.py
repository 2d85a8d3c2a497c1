"""Every tutorial runs, from its first cell to its last, in quick mode. There is no list of exceptions."""

import nbformat
import pytest
import run
from pages import FOLDER, tags

from tests.tutorials.pictures import pictures

pytestmark = pytest.mark.filterwarnings("default")  # of the kernel's messaging, not of ours
WIDGET = "application/vnd.jupyter.widget-view+json"


def printed(cell, name="stdout"):
    return "".join(output.text for output in cell.get("outputs", []) if output.get("name") == name)


def shows_widget(cell):
    return any(WIDGET in output.get("data", {}) for output in cell.get("outputs", []))


def check_figures(cells):
    """Every figure is drawn, and the sliders below some of them are there and draw, too."""
    for cell in cells:
        # What the function behind a slider raises ends no cell: it is only an output.
        assert not [output for output in cell.get("outputs", []) if output.output_type == "error"]
        if tags(cell, "figure:"):
            assert pictures(cell), f"{tags(cell, 'figure:')} shows no picture"
        if "sliders" in tags(cell):
            assert shows_widget(cell), "no sliders"
            assert pictures(cell), "the sliders show no picture"


def check_exercises(cells):
    """A stub is answered gently, and the solution that comes after each check is right."""
    checked = set()
    for cell in cells:
        for name in tags(cell, "check:"):
            assert printed(cell).startswith(f"[ ] {name}: not filled in yet")
            checked.add(name)
        for name in tags(cell, "solution:"):
            assert f"[ok] {name}: right" in printed(cell)
            checked.remove(name)
    assert not checked, f"no solution went through the check of {checked}"


@pytest.mark.slow
def test_runs_in_quick_mode(path, record_property):
    stored = path.read_bytes()
    notebook, seconds = run.execute(path, quick=True)
    record_property("seconds after import", round(seconds, 1))
    assert path.read_bytes() == stored, "a quick run writes nothing"
    assert [cell for cell in notebook.cells if printed(cell, "stderr")] == []
    check_figures(notebook.cells)
    check_exercises(notebook.cells)


def test_a_solution_follows_its_check():
    check = nbformat.v4.new_code_cell("checks.reptile_update(mine)", metadata={"tags": ["check:reptile_update"]})
    (found,) = run.solution(FOLDER / "07_first_order.ipynb", check)
    assert found.source == (run.SOLUTIONS / "07_reptile_update.py").read_text(encoding="utf-8")
    assert tags(found) == ["solution:reptile_update"]
    assert run.solution(FOLDER / "07_first_order.ipynb", nbformat.v4.new_code_cell("1 + 1")) == []


@pytest.fixture
def written(tmp_path):
    """Writes a notebook with these code cells: pairs of a tag, or nothing, and the source."""

    def write(*cells):
        made = [nbformat.v4.new_code_cell(text, metadata={"tags": [tag] if tag else []}) for tag, text in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=made), tmp_path / "small.ipynb")
        return tmp_path / "small.ipynb"

    return write


IMPORTS = ("", "import matplotlib.pyplot as plt\nfrom tfmeta.notebook import show, sliders")
STILL = ("figure:interactive", "plt.plot([0, 1])\nshow('A line that rises from zero to one.')")
SLIDERS = """
def draw(height=1):
    {broken}
    plt.plot([0, height])
    show("A line that rises from zero to the height.")

sliders(draw, height=(0, 2))
"""


@pytest.mark.slow
def test_sliders_are_an_extra_below_a_still_picture(written):
    path = written(IMPORTS, STILL, ("sliders", SLIDERS.format(broken="")))
    live, _ = run.execute(path, quick=True)
    check_figures(live.cells)
    assert not shows_widget(live.cells[1])
    stored, _ = run.execute(path, quick=False)
    assert pictures(stored.cells[1])
    (line,) = stored.cells[2].outputs
    assert line.text == "In a running notebook with ipywidgets, sliders appear here.\n"


@pytest.mark.slow
def test_sliders_whose_figure_is_broken_are_noticed(written):
    path = written(IMPORTS, STILL, ("sliders", SLIDERS.format(broken="1 / 0")))
    notebook, _ = run.execute(path, quick=True)
    still, broken = notebook.cells[1:]
    assert pictures(still), "the still picture is none of the sliders' affair"
    assert shows_widget(broken)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        check_figures(notebook.cells)
    broken.outputs = [output for output in broken.outputs if output.output_type != "error"]
    with pytest.raises(AssertionError, match="the sliders show no picture"):
        check_figures(notebook.cells)


@pytest.mark.slow
def test_a_cell_that_hangs_is_named(written):
    path = written(("", "x = 1"), ("", "\nimport time\ntime.sleep(600)"))
    with pytest.raises(TimeoutError, match=r"^small\.ipynb: no end after 2 s of the cell that begins 'import time'$"):
        run.execute(path, quick=True, limit=2)


def test_an_unknown_number_is_refused():
    with pytest.raises(SystemExit, match="no tutorial 99"):
        run.notebooks(["99"])
