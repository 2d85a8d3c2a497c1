"""Every tutorial runs, from its first cell to its last, in quick mode. There is no list of exceptions."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "tutorials"

_spec = importlib.util.spec_from_file_location("tutorials_run", FOLDER / "run.py")
run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run)


def tags(cell, kind):
    return [tag.removeprefix(kind) for tag in cell.metadata.get("tags", []) if tag.startswith(kind)]


def printed(cell, name="stdout"):
    return "".join(output.text for output in cell.get("outputs", []) if output.get("name") == name)


@pytest.mark.filterwarnings("default")  # of the kernel's messaging, not of ours
@pytest.mark.parametrize("path", run.notebooks(), ids=lambda path: path.stem)
def test_runs_in_quick_mode(path):
    stored = path.read_bytes()
    notebook, seconds = run.execute(path, quick=True, timeout=300)
    assert path.read_bytes() == stored, "a quick run writes nothing"
    # The slowest takes 21 s on two quiet cores and has taken 32 s on busy ones.
    assert seconds <= 45, f"quick mode took {seconds:.0f} s after import"
    checked = set()
    for cell in notebook.cells:
        assert printed(cell, "stderr") == ""
        if any(tag.startswith("figure:") for tag in cell.metadata.get("tags", [])):
            assert any("image/png" in output.get("data", {}) for output in cell.outputs)
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


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "path", [path for path in run.notebooks() if "ipywidgets" in path.read_text()], ids=lambda path: path.stem
)
def test_sliders_where_somebody_can_move_them(path):
    notebook, _ = run.execute(path, quick=True, sliders=True, timeout=300)
    (cell,) = [cell for cell in notebook.cells if "figure:interactive" in cell.metadata.get("tags", [])]
    (output,) = cell.outputs
    assert "application/vnd.jupyter.widget-view+json" in output.data


def test_an_unknown_number_is_refused():
    with pytest.raises(SystemExit, match="no tutorial 99"):
        run.notebooks(["99"])
