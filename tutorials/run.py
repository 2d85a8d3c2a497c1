"""Execute the tutorials and rewrite their outputs: python tutorials/run.py [--quick] [NN ...].

Each notebook is executed from its first cell to its last in a fresh kernel and takes the place of the old one only
when it has ended well. `--quick` executes with TFMETA_QUICK=1, a short run that writes nothing. The time of each is
printed, and kept in the notebook's metadata.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from PIL import Image

import pages

FOLDER = Path(__file__).parent
SOLUTIONS = FOLDER / "solutions"
PICTURE = r"data:image/png;base64,([A-Za-z0-9+/=]+)"
# Seconds for one cell. In quick mode the slowest takes 10 on two quiet cores; a machine may be several times slower.
QUICK_LIMIT, FULL_LIMIT = 120, 1800


def notebooks(numbers: list[str] = ()) -> list[Path]:
    """The tutorials, all or those with these numbers, in order."""
    found = pages.notebooks()
    unknown = set(numbers) - {path.name[:2] for path in found}
    if unknown:
        raise SystemExit(
            f"there is no tutorial {', '.join(sorted(unknown))} in {FOLDER}"
        )
    return [path for path in found if not numbers or path.name[:2] in numbers]


def execute(
    path: Path, *, quick: bool, limit: int | None = None
) -> tuple[nbformat.NotebookNode, float]:
    """Run one notebook in a fresh kernel; returns it with its outputs, and the seconds after the setup cell.

    A quick run also tries the sliders, which what is stored does not hold, and each solution after its check.
    """
    notebook = nbformat.read(path, as_version=4)
    # The kernel chooses inline figures itself.
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MPLBACKEND", "TFMETA_STATIC")
    }
    env |= (
        {"TFMETA_QUICK": "1"}
        if quick
        else {"TFMETA_QUICK": "0", "TFMETA_STATIC": "1"}
    )
    if quick:
        notebook.cells = [
            found
            for cell in notebook.cells
            for found in (cell, *solution(path, cell))
        ]
    limit = limit or (QUICK_LIMIT if quick else FULL_LIMIT)
    clock: list[float] = []
    running: list[str] = []

    def note_start(cell, cell_index):
        running[:] = [
            line for line in cell.source.splitlines() if line.strip()
        ][:1]

    def note_end(cell, cell_index, execute_reply):
        clock.append(time.monotonic())

    client = NotebookClient(
        notebook, timeout=limit, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}},
        record_timing=False, on_cell_execute=note_start, on_cell_executed=note_end, shutdown_kernel="immediate",
    )  # fmt: skip
    # nbclient answers an Output widget on the channel on which it awaits the cell's end, and can miss that end
    # (its issue 312). Without the widget it answers nothing, and what the widget would show is the cell's output.
    client.widget_registry.clear()
    try:
        client.execute(env=env)
    except CellTimeoutError:
        raise TimeoutError(
            f"{path.name}: no end after {limit} s of the cell that begins {running[0]!r}"
        ) from None
    return tidy(notebook), clock[-1] - clock[0]


def solution(
    path: Path, cell: nbformat.NotebookNode
) -> list[nbformat.NotebookNode]:
    """The solution of the exercise that a cell checks, as a cell; nothing for any other cell."""
    names = [
        tag.removeprefix("check:")
        for tag in cell.metadata.get("tags", [])
        if tag.startswith("check:")
    ]
    files = [SOLUTIONS / f"{path.name[:2]}_{name}.py" for name in names]
    return [
        nbformat.v4.new_code_cell(
            file.read_text(encoding="utf-8"),
            metadata={"tags": [f"solution:{name}"]},
        )
        for name, file in zip(names, files, strict=True)
    ]


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what changes from run to run without telling the reader anything."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        cell.outputs = joined(cell.outputs)
        for output in cell.outputs:
            if output.get("output_type") == "stream":
                # A console's line overwriting (backspaces, returns) is of no use on paper.
                output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
            elif "text/html" in output.get("data", {}):
                page = output.data["text/html"]
                output.data["text/html"] = re.sub(PICTURE, smaller, page)
    return notebook


def smaller(picture: re.Match) -> str:
    """The same picture with 256 colours, chosen so that small things keep theirs; about a third of the size."""
    packed = io.BytesIO()
    png = io.BytesIO(base64.b64decode(picture[1]))
    picture = Image.open(png).convert("RGB")
    picture.quantize(
        256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    ).save(packed, "PNG", optimize=True)
    return (
        f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
    )


def joined(outputs: list) -> list:
    """Neighbouring pieces of one stream as one: where a kernel cuts its text is chance."""
    found = []
    for output in outputs:
        before = found[-1] if found else {}
        if (
            output.get("output_type") == "stream"
            and before.get("name") == output.name
        ):
            before.text += output.text
        else:
            found.append(output)
    return found


def main() -> int:
    """Execute what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "numbers",
        nargs="*",
        metavar="NN",
        help="numbers of tutorials, such as 03; all by default",
    )
    parser.add_argument(
        "--quick", action="store_true", help="short run that writes nothing"
    )
    arguments = parser.parse_args()
    for path in notebooks(arguments.numbers):
        print(f"{path.name} ...", end=" ", flush=True)
        notebook, seconds = execute(path, quick=arguments.quick)
        if not arguments.quick:
            notebook.metadata["tfmeta"] = {
                "seconds_after_import": round(seconds),
                "cores": os.cpu_count(),
            }
            pages.write(path, pages.text_of(notebook))
        print(f"{seconds:.0f} s after import", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
