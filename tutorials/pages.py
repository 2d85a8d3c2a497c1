"""What is written in the tutorials: their cells, sections, words and title boxes, for the scripts beside this one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parent
NotebookNode = nbformat.NotebookNode


def notebooks(folder: Path = FOLDER) -> list[Path]:
    """The tutorials of a folder, in order."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def read(path: Path) -> NotebookNode:
    """A notebook as it is stored."""
    return nbformat.read(path, as_version=4)


def write(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: beside its place first, then renamed."""
    if isinstance(content, str):
        content = content.encode()
    beside = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def text_of(notebook: NotebookNode) -> str:
    """A notebook as the text of its file."""
    return nbformat.writes(notebook) + "\n"


def code(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: NotebookNode) -> str:
    """The text of all markdown cells."""
    return "\n\n".join(
        cell.source for cell in notebook.cells if cell.cell_type == "markdown"
    )


def tags(cell: NotebookNode, kind: str = "") -> list[str]:
    """What follows `kind` in the tags of a cell that begin with it."""
    found = cell.metadata.get("tags", [])
    return [tag.removeprefix(kind) for tag in found if tag.startswith(kind)]


def title(notebook: NotebookNode) -> str:
    """The first line, with its number: "03 MAML on sinusoids"."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ").strip()


def row(notebook: NotebookNode, name: str) -> str:
    """A row of the box below the title, such as "Needs"."""
    found = re.search(
        rf"(?m)^\| \*\*{name}\*\* \| (.*) \|$", notebook.cells[0].source
    )
    if not found:
        raise ValueError(f"the box of {title(notebook)!r} has no row {name!r}")
    return found[1]


def words(text: str) -> int:
    """How many words are read: no code, no formulas, no tables, no addresses."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$]*\$", "x", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]*>", " ", text)
    lines = [line for line in text.split("\n") if not line.startswith("|")]
    return len(re.findall(r"[A-Za-z0-9][\w'’.%-]*", "\n".join(lines)))


def sections(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Pairs of heading and text of the sections of all markdown cells, in order."""
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for part in re.split(r"(?m)^(?=##+ )", cell.source):
            found = re.match(r"##+ (.+)", part)
            heading = found[1] if found else heading
            yield heading, part
