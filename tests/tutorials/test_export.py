"""Copies to hand out hold no answers, copies for Colab install tfmeta, and nobody's work is overwritten."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import export
import nbformat
import pages
import pytest

PATHS = pages.notebooks()
every_notebook = pytest.mark.parametrize("name", [path.name for path in PATHS], ids=lambda name: name[:-6])
LINK = re.compile(r"\]\(([^)\s]+)\)")
REPOSITORY = "somebody/tfmeta-course"
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main"


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp("students") / "copies"
    export.main(["student", str(folder)])
    return folder


@pytest.fixture(scope="module")
def colabs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colabs") / "copies"
    export.main(["colab", "--repository", REPOSITORY, str(folder)])
    return folder


# ---- for students --------------------------------------------------------------------------------------------------
@every_notebook
def test_a_copy_for_students_is_valid_and_empty(students, name):
    copy = pages.read(students / name)
    nbformat.validate(copy)
    for cell in pages.code(copy):
        assert cell.outputs == []
        assert cell.execution_count is None
    assert export.NOTE in copy.cells[0].source


@every_notebook
def test_a_copy_for_students_holds_no_answer(students, name):
    copy = pages.read(students / name)
    text = "\n".join(cell.source for cell in copy.cells)
    assert not re.search(r"<details|</details|solutions?/|Solution:|The solution ", text)
    assert not [cell for cell in copy.cells if pages.tags(cell, "reveal:") or pages.tags(cell, "solution:")]
    for file in pages.FOLDER.glob(f"solutions/{name[:2]}_*.py"):
        solved = file.read_text(encoding="utf-8")
        body = solved[solved.index("\n    ") : solved.index("\nchecks.")].strip()
        assert body not in text
        for solution in re.findall(r"(?m)^(?:def|class) (\w+)", solved):
            assert solution not in text


@every_notebook
def test_a_copy_for_students_keeps_what_is_to_be_done(students, name):
    stored, copy = pages.read(pages.FOLDER / name), pages.read(students / name)
    for kind in ("exercise:", "check:", "predict:", "quiz", "progress", "sliders"):
        kept = [cell.source for cell in copy.cells if pages.tags(cell, kind)]
        assert kept == [cell.source for cell in stored.cells if pages.tags(cell, kind)]
    headings = re.findall(r"(?m)^##+ .+$", pages.prose(stored))
    assert re.findall(r"(?m)^##+ .+$", pages.prose(copy)) == headings


def names(cells, context):
    trees = [ast.parse(cell.source) for cell in cells]
    found = {n.id for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}
    if context is ast.Store:
        definitions = (ast.FunctionDef, ast.ClassDef)
        found |= {n.name for tree in trees for n in ast.walk(tree) if isinstance(n, definitions)}
        found |= {n.arg for tree in trees for n in ast.walk(tree) if isinstance(n, ast.arg)}
        imports = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
        found |= {(a.asname or a.name).split(".")[0] for n in imports for a in n.names}
    return found


@every_notebook
def test_a_copy_for_students_runs_without_what_was_left_out(students, name):
    kept = pages.code(pages.read(students / name))
    sources = {cell.source for cell in kept}
    gone = [cell for cell in pages.code(pages.read(pages.FOLDER / name)) if cell.source not in sources]
    missing = names(gone, ast.Store) - names(kept, ast.Store)
    assert not missing & names(kept, ast.Load)


def test_links_of_copies_for_students_lead_to_copies(students):
    for path in pages.notebooks(students):
        for link in LINK.findall(pages.prose(pages.read(path))):
            if not link.startswith(("https://", "#")):
                assert (students / link).exists(), link
    assert not (students / "solutions").exists()


def with_text(text, **metadata):
    cells = [nbformat.v4.new_markdown_cell("# 01 Tasks"), nbformat.v4.new_markdown_cell(text, metadata=metadata)]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Write it. Solution: [solutions/a.py](solutions/a.py).", "Write it."),
        ("Write it. Solution: [a](solutions/a.py). Then go on.", "Write it. Then go on."),
        ("Both. Solutions: [a](solutions/a.py), [b](solutions/b.py) and [c](solutions/c.py).", "Both."),
        ("Write it. The solution also measures the gap, in pairs. Go on.", "Write it. Go on."),
        ("Why?\n\n<details><summary>Answer</summary>\n\nSo.\n</details>\n\nNext.", "Why?\n\nNext."),
        ("See the [map](README.md) and [results](../results/README.md#omniglot).", "See the map and results."),
        ("See [01](01_tasks_and_episodes.ipynb) and [a paper](https://arxiv.org/abs/1).",) * 2,
        ("The matrix $A[i](j)$ and [a place](#here).",) * 2,
        ("![waves](../results/quickstart-episode.png)", "waves"),
    ],
)
def test_texts_for_students(text, wanted):
    copy = export.for_students(with_text(text), {"01_tasks_and_episodes.ipynb"}, {})
    assert copy.cells[1].source == wanted


def test_pictures_are_copied():
    pictures = {}
    copy = export.for_students(with_text("![waves](adaptation.gif)"), set(), pictures)
    assert copy.cells[1].source == "![waves](adaptation.gif)"
    assert pictures == {"adaptation.gif": (pages.FOLDER / "adaptation.gif").read_bytes()}


def test_a_cell_with_an_answer_alone_is_left_out():
    assert len(export.for_students(with_text("<details>\nSo.\n</details>"), set(), {}).cells) == 1


@pytest.mark.parametrize("text", ["<details>\nSo.", "Look into solutions/a.py"])
def test_an_answer_that_was_not_found_stops_the_export(text):
    with pytest.raises(SystemExit, match=r"^01 Tasks: .* is left in the cell that begins"):
        export.for_students(with_text(text), set(), {})


# ---- for Colab -----------------------------------------------------------------------------------------------------
@every_notebook
def test_a_copy_for_colab_has_a_badge_and_installs(colabs, name):
    stored, copy = pages.read(pages.FOLDER / name), pages.read(colabs / name)
    nbformat.validate(copy)
    lines = copy.cells[0].source.splitlines()
    badge = "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    assert lines[:3] == [stored.cells[0].source.splitlines()[0], "", f"{badge}({COLAB}/tutorials/{name})"]
    first, second = pages.code(copy)[:2]
    assert first.source == export.install_cell(f"https://github.com/{REPOSITORY}")
    assert f'[*pip, "git+https://github.com/{REPOSITORY}"]' in first.source
    assert all(len(line) <= 80 for line in first.source.splitlines() if REPOSITORY not in line)
    assert second.source == pages.code(stored)[0].source
    assert len(copy.cells) == len(stored.cells) + 1


@every_notebook
def test_links_of_copies_for_colab_lead_to_files_of_the_repository(colabs, name):
    links = LINK.findall(pages.prose(pages.read(colabs / name)))
    assert all(link.startswith(("https://", "#")) for link in links)
    for link in links:
        found = re.match(rf"https://[a-z.]+/(?:github/)?{REPOSITORY}/(?:blob/|tree/)?main/([^#]+)", link)
        if REPOSITORY in link:
            assert (export.ROOT / found[1]).exists(), link
            assert link.startswith("https://colab.") == link.endswith(".ipynb")


def test_another_branch_is_installed_too():
    book = with_text("![waves](adaptation.gif), [files](../results) and [here](README.md#the-map)")
    book.cells.append(nbformat.v4.new_code_cell("1 + 1"))
    copy = export.for_colab(book, "01_tasks.ipynb", REPOSITORY, "course/2026")
    assert '"git+https://github.com/somebody/tfmeta-course@course/2026"' in copy.cells[2].source
    assert copy.cells[1].source == (
        f"![waves](https://raw.githubusercontent.com/{REPOSITORY}/course/2026/tutorials/adaptation.gif), "
        f"[files](https://github.com/{REPOSITORY}/tree/course/2026/results) and "
        f"[here](https://github.com/{REPOSITORY}/blob/course/2026/tutorials/README.md#the-map)"
    )


class Colab:
    """A machine with these versions, on which pip takes the newest that the constraints let it take."""

    newest: ClassVar = {"tensorflow": "2.22.1", "keras": "3.15.0"}
    needed: ClassVar = {"tensorflow": (2, 21), "keras": (3, 12)}

    def __init__(self, monkeypatch, here, loaded=()):
        self.here, self.commands, self.kept = dict(here), [], None
        monkeypatch.setattr(importlib.metadata, "version", self.version)
        monkeypatch.setattr(subprocess, "run", self.run)
        for name in ("tensorflow", "keras", "numpy"):
            monkeypatch.delitem(sys.modules, name, raising=False)
            if name in loaded:
                monkeypatch.setitem(sys.modules, name, object())

    def version(self, name):
        if name not in self.here:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.here[name]

    def run(self, command, *, check):
        assert check, "an install that failed stops the notebook"
        self.commands.append(command)
        self.kept = Path(command[command.index("-c") + 1]).read_text()
        for name, lowest in self.needed.items():
            if tuple(map(int, re.findall(r"\d+", self.here.get(name, "0"))[:2])) < lowest:
                assert name not in self.kept, "pip finds no version"
                self.here[name] = self.newest[name]

    def execute(self, tmp_path):
        cell = export.install_cell(f"https://github.com/{REPOSITORY}")
        assert "/tmp/keep.txt" in cell
        exec(cell.replace("/tmp/keep.txt", str(tmp_path / "keep.txt")), {})


LATE = "Do this: Runtime > Restart session"


@pytest.mark.parametrize("there", ["2.21.0", "2.21.1", "2.22.0rc0", "2.100.0", "3.0.0", "2.21.0+cu130"])
@pytest.mark.parametrize("loaded", [(), ("tensorflow", "numpy")])
def test_a_tensorflow_that_is_new_enough_stays(monkeypatch, capsys, tmp_path, there, loaded):
    machine = Colab(monkeypatch, {"tensorflow": there, "keras": "3.13.2", "numpy": "2.1.0"}, loaded)
    machine.execute(tmp_path)
    assert machine.kept == f"tensorflow=={there}"
    assert machine.commands[0][-1] == f"git+https://github.com/{REPOSITORY}"
    assert capsys.readouterr().out == f"tfmeta is installed, with TensorFlow {there}\n"


@pytest.mark.parametrize("there", ["2.19.0", "2.20.0", "2.9.3", "1.15.0"])
def test_an_older_tensorflow_is_replaced_and_named(monkeypatch, capsys, tmp_path, there):
    machine = Colab(monkeypatch, {"tensorflow": there, "keras": "3.13.2", "numpy": "2.1.0"})
    machine.execute(tmp_path)
    printed = capsys.readouterr().out
    assert machine.kept == ""
    assert printed == (
        f"tfmeta is installed, with TensorFlow 2.22.1\nIt needs TensorFlow 2.21 or newer; here was {there}\n"
    )


def test_what_was_loaded_and_replaced_wants_a_restart(monkeypatch, capsys, tmp_path):
    Colab(monkeypatch, {"tensorflow": "2.20.0", "keras": "3.13.2", "numpy": "2.1.0"}, ["tensorflow"]).execute(tmp_path)
    assert LATE in capsys.readouterr().out
    Colab(monkeypatch, {"tensorflow": "2.21.0", "keras": "3.10.0", "numpy": "2.1.0"}, ["keras"]).execute(tmp_path)
    assert "Loaded before, and now another version: keras\n" + LATE in capsys.readouterr().out
    Colab(monkeypatch, {"tensorflow": "2.21.0", "keras": "3.10.0", "numpy": "2.1.0"}, ["numpy"]).execute(tmp_path)
    assert LATE not in capsys.readouterr().out


def test_a_machine_without_tensorflow_gets_one(monkeypatch, capsys, tmp_path):
    machine = Colab(monkeypatch, {})
    machine.execute(tmp_path)
    assert "with TensorFlow 2.22.1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tfmeta",
        "a/b/c",
        "https://github.com/a/b",
        "-a/b",
        "a-/b",
        "a b/c",
        "a/b c",
        "a/..",
        "a/b.git",
        "a/b\n",
        'a/"b"',
        "ä/b",
    ],
)
def test_what_is_no_repository_is_refused(name, tmp_path, capsys):
    with pytest.raises(SystemExit):
        export.main(["colab", f"--repository={name}", str(tmp_path / "copies")])
    assert (
        f"must be OWNER/NAME, the last two parts of the repository's address. Received: {name!r}"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("name", ["", "-x", "a b", "a..b", "/a", "a/", "a//b", "a;b"])
def test_what_is_no_branch_is_refused(name, tmp_path, capsys):
    with pytest.raises(SystemExit):
        export.main(["colab", "--repository", REPOSITORY, f"--branch={name}", str(tmp_path / "copies")])
    assert f"must be the name of a branch, such as main. Received: {name!r}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a/b", "a-b/c.d_e-f", "A1/0"])
def test_repositories(name):
    assert export.repository_name(name) == name
