"""Copies of the tutorials: python tutorials/export.py student, or colab --repository OWNER/NAME [--branch main].

`student` writes copies to hand out: no outputs, and no answers. `colab` writes copies that open on Colab: a badge
below the title, and a cell that installs tfmeta. Both write into a folder of their own (build/student, build/colab,
or the one that is named), and overwrite nothing there that somebody has changed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import nbformat

import pages
from own_folder import write_folder
from pages import FOLDER, NotebookNode

ROOT = FOLDER.parent
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
ANSWERS = re.compile(r"<details\b.*?</details>", re.DOTALL)
# "Solution: [a](solutions/a.py)." and "The solution also measures the gap."
SOLUTIONS = re.compile(
    r"[ \t]*\bSolutions?: \[[^\]]*\]\(solutions/[^)]*\)"
    r"(?:(?:,| and|, and) \[[^\]]*\]\(solutions/[^)]*\))*\.?"
    r"|[ \t]*\bThe solution [^.\n]*\.(?=\s|$)"
)
NOTE = "*A copy to work with: outputs, answers and folded cells are left out.*"
PICTURES = (".png", ".gif", ".jpg", ".jpeg", ".svg", ".webp")
OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?"
# The install cell: a TensorFlow that is there and new enough stays, with the GPU support that Colab has built for it.
INSTALL = """
# Installs tfmeta, and keeps the TensorFlow that is here where it is new enough.
import importlib.metadata, pathlib, re, subprocess, sys

def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "0"

def versions():
    return {{name: version(name) for name in ("tensorflow", "keras", "numpy")}}

def parts(text):
    return [int(number) for number in re.findall(r"\\d+", text)[:2]]

before, keep = versions(), pathlib.Path("/tmp/keep.txt")
new_enough = parts(before["tensorflow"]) >= parts("{lowest}")
keep.write_text("tensorflow==" + before["tensorflow"] if new_enough else "")
pip = [sys.executable, "-m", "pip", "install", "-q", "-c", str(keep)]
subprocess.run([*pip, "git+{address}"], check=True)
importlib.invalidate_caches()
after = versions()
print("tfmeta is installed, with TensorFlow", after["tensorflow"])
if not new_enough:
    print("It needs TensorFlow {lowest} or newer; here was", before["tensorflow"])
changed = [name for name in after if after[name] != before[name]]
if any(name in sys.modules for name in changed):
    print("Loaded before, and now another version:", *changed)
    print("Do this: Runtime > Restart session, then run from the top.")
"""
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"


def relative(link: str) -> Path | None:
    """The file that a link leads to; `None` for addresses and for places on the same page."""
    path = link.partition("#")[0]
    if not path or re.match(r"[a-z]+:", link):
        return None
    return Path(os.path.normpath(FOLDER / path))


def with_links(text: str, change: Callable[[str, str, str, Path], str]) -> str:
    """A text whose links to files are changed by `change(mark, words, link, file)`."""

    def of(found: re.Match) -> str:
        file = relative(found[3])
        # Brackets beside parentheses are a link where they lead somewhere; elsewhere they are mathematics.
        if file is None or not file.exists():
            return found[0]
        return change(*found.groups(), file)

    return LINK.sub(of, text)


# ---- for students --------------------------------------------------------------------------------------------------
def for_students(
    notebook: NotebookNode, names: set[str], pictures: dict[str, bytes]
) -> NotebookNode:
    """A notebook without outputs and answers; the pictures that it shows are added to `pictures`."""

    def change(mark: str, words: str, link: str, file: Path) -> str:
        if file.parent == FOLDER and file.name in names:
            return f"{mark}[{words}]({link})"
        inside = FOLDER in file.parents and file.suffix.lower() in PICTURES
        if mark and inside:
            pictures[file.relative_to(FOLDER).as_posix()] = file.read_bytes()
            return f"![{words}]({link})"
        return words  # the file is not among the copies

    cells = []
    for cell in notebook.cells:
        if pages.tags(cell, "reveal:") or pages.tags(cell, "solution:"):
            continue
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            text = SOLUTIONS.sub("", ANSWERS.sub("", cell.source))
            text = with_links(text, change)
            cell.source = re.sub(r"\n{3,}", "\n\n", text).strip()
            check_no_answer(notebook, cell)
        if cell.source:
            cells.append(cell)
    cells[0].source += f"\n\n{NOTE}"
    notebook.cells = cells
    return notebook


def check_no_answer(notebook: NotebookNode, cell: NotebookNode) -> None:
    """Refuse what the patterns above did not find: an answer that is handed out cannot be taken back."""
    left = re.search(r"<details|</details|solutions/", cell.source)
    if left:
        raise SystemExit(
            f"{pages.title(notebook)}: {left[0]!r} is left in the cell that begins {cell.source[:40]!r}"
        )


# ---- for Colab -----------------------------------------------------------------------------------------------------
def for_colab(
    notebook: NotebookNode, name: str, repository: str, branch: str
) -> NotebookNode:
    """A notebook with a badge and an install cell; its links lead to the repository's address."""
    colab = (
        f"https://colab.research.google.com/github/{repository}/blob/{branch}"
    )
    raw = f"https://raw.githubusercontent.com/{repository}/{branch}"
    github = f"https://github.com/{repository}"

    def change(mark: str, words: str, link: str, file: Path) -> str:
        path = PurePosixPath(file.relative_to(ROOT))
        kind = "tree" if file.is_dir() else "blob"
        base = colab if path.suffix == ".ipynb" else f"{github}/{kind}/{branch}"
        place = link.partition("#")[1:]
        return (
            f"{mark}[{words}]({raw if mark else base}/{path}{''.join(place)})"
        )

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(cell.source, change)
    title, _, rest = notebook.cells[0].source.partition("\n")
    badge = f"[![Open In Colab]({BADGE})]({colab}/tutorials/{name})"
    notebook.cells[0].source = f"{title}\n\n{badge}\n{rest}"
    version = "" if branch == "main" else f"@{branch}"
    install = nbformat.v4.new_code_cell(
        install_cell(f"{github}{version}"), id="install"
    )
    first = notebook.cells.index(pages.code(notebook)[0])
    notebook.cells.insert(first, install)
    return notebook


def install_cell(address: str) -> str:
    """The code that installs tfmeta from a repository's address."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needed = project["project"]["dependencies"]
    (lowest,) = (n[12:] for n in needed if n.startswith("tensorflow>="))
    return INSTALL.strip().format(lowest=lowest, address=address)


def repository_name(text: str) -> str:
    """OWNER/NAME, or an error for the command line."""
    if not re.fullmatch(
        rf"{OWNER}/(?!\.+$)[A-Za-z0-9._-]{{1,100}}(?<!\.git)", text
    ):
        raise argparse.ArgumentTypeError(
            f"must be OWNER/NAME, the last two parts of the repository's address. Received: {text!r}"
        )
    return text


def branch_name(text: str) -> str:
    """A branch, or an error for the command line."""
    if not re.fullmatch(
        r"(?![-/.])(?!.*(\.\.|//))[A-Za-z0-9._/-]+(?<![/.])", text
    ):
        raise argparse.ArgumentTypeError(
            f"must be the name of a branch, such as main. Received: {text!r}"
        )
    return text


# ---- the command line ----------------------------------------------------------------------------------------------
def copies(wanted: argparse.Namespace) -> dict[str, bytes]:
    """The files of an export, by name."""
    paths, files = pages.notebooks(), {}
    names = {path.name for path in paths}
    for path in paths:
        notebook = pages.read(path)
        if wanted.kind == "student":
            notebook = for_students(notebook, names, files)
        else:
            notebook = for_colab(
                notebook, path.name, wanted.repository, wanted.branch
            )
        nbformat.validate(notebook)
        files[path.name] = pages.text_of(notebook).encode()
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the copies that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    student = kinds.add_parser(
        "student", help="copies to hand out: no outputs, no answers"
    )
    colab = kinds.add_parser("colab", help="copies that open on Colab")
    colab.add_argument(
        "--repository",
        required=True,
        metavar="OWNER/NAME",
        type=repository_name,
    )
    colab.add_argument("--branch", default="main", type=branch_name)
    for kind, name in ((student, "student"), (colab, "colab")):
        kind.add_argument(
            "folder", nargs="?", type=Path, default=ROOT / "build" / name
        )
        kind.add_argument(
            "--force",
            action="store_true",
            help="overwrite what was changed in the folder",
        )
    wanted = parser.parse_args(arguments)
    write_folder(wanted.folder, copies(wanted), wanted.force)
    return 0


if __name__ == "__main__":
    sys.exit(main())
