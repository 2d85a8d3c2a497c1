"""Every tutorial runs, from its first cell to its last, in quick mode. There is no list of exceptions."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "tutorials"

_spec = importlib.util.spec_from_file_location("tutorials_run", FOLDER / "run.py")
run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run)

pytestmark = pytest.mark.filterwarnings("default")  # of the kernel's messaging, not of ours
WIDGET = "application/vnd.jupyter.widget-view+json"


def tags(cell, kind):
    return [tag.removeprefix(kind) for tag in cell.metadata.get("tags", []) if tag.startswith(kind)]


def printed(cell, name="stdout"):
    return "".join(output.text for output in cell.get("outputs", []) if output.get("name") == name)


def shows(cell, kind):
    return any(kind in output.get("data", {}) for output in cell.get("outputs", []))


def check_figures(cells):
    """Every figure is drawn; one with sliders first with a widget and then, in the copy after it, without."""
    for cell in cells:
        # What a slider's figure raises ends no cell: it is only an output.
        assert not [output for output in cell.get("outputs", []) if output.output_type == "error"]
        if tags(cell, "figure:"):
            assert shows(cell, "image/png"), f"{tags(cell, 'figure:')} shows no picture"
    sliders = [shows(cell, WIDGET) for cell in cells if "interactive" in tags(cell, "figure:")]
    assert sliders == [True, False] * (len(sliders) // 2)


@pytest.mark.slow
@pytest.mark.parametrize("path", run.notebooks(), ids=lambda path: path.stem)
def test_runs_in_quick_mode(path, record_property):
    stored = path.read_bytes()
    notebook, seconds = run.execute(path, quick=True)
    record_property("seconds after import", round(seconds, 1))
    assert path.read_bytes() == stored, "a quick run writes nothing"
    check_figures(notebook.cells)
    checked = set()
    for cell in notebook.cells:
        assert printed(cell, "stderr") == ""
        # As committed, stubs are unfilled: the check answers gently, and the cells after it run all the same ...
        for name in tags(cell, "check:"):
            assert printed(cell).startswith(f"[ ] {name}: not filled in yet")
            checked.add(name)
        # ... and each solution goes through the same check.
        for name in tags(cell, "solution:"):
            if name in checked:
                assert printed(cell).startswith(f"[ok] {name}: right")
                checked.remove(name)
    assert not checked, f"no solution went through the check of {checked}"


@pytest.fixture
def written(tmp_path):
    """Writes a notebook with these code cells; the last is a figure with sliders."""

    def write(*sources):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        notebook.cells[-1].metadata["tags"] = ["figure:interactive"]
        nbformat.write(notebook, tmp_path / "small.ipynb")
        return tmp_path / "small.ipynb"

    return write


SLIDERS = """
def draw(height=1):
    {broken}
    plt.plot([0, height])

if "TFMETA_STATIC" in os.environ:
    plt.plot([0, 1])
else:
    ipywidgets.interact(draw, height=(0, 2));
"""


@pytest.mark.slow
def test_sliders_and_still_pictures_are_both_drawn(written):
    path = written("import os, ipywidgets, matplotlib.pyplot as plt", SLIDERS.format(broken=""))
    check_figures(run.execute(path, quick=True)[0].cells)


@pytest.mark.slow
def test_sliders_whose_figure_is_broken_are_noticed(written):
    path = written("import os, ipywidgets, matplotlib.pyplot as plt", SLIDERS.format(broken="1 / 0"))
    notebook, _ = run.execute(path, quick=True)
    assert shows(notebook.cells[1], WIDGET)
    assert shows(notebook.cells[2], "image/png"), "the still picture is none of the sliders' affair"
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        check_figures(notebook.cells)
    del notebook.cells[1].outputs[0]  # the error
    with pytest.raises(AssertionError, match="shows no picture"):
        check_figures(notebook.cells)


@pytest.mark.slow
def test_a_cell_that_hangs_is_named(written):
    path = written("x = 1", "\nimport time\ntime.sleep(600)")
    with pytest.raises(TimeoutError, match=r"^small\.ipynb: no end after 2 s of the cell that begins 'import time'$"):
        run.execute(path, quick=True, limit=2)


def test_an_unknown_number_is_refused():
    with pytest.raises(SystemExit, match="no tutorial 99"):
        run.notebooks(["99"])
