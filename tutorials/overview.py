"""Keep README.md true to the notebooks: python tutorials/overview.py [--write].

The map, the table and the paths of the README are read from the notebooks' title boxes, words, stars and measured
times, and so is "about 3 minutes on two CPU cores" in each title box. Without `--write` nothing is changed: what is
stale is named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from course_picture import draw
from pages import (
    FOLDER,
    NotebookNode,
    notebooks,
    read,
    row,
    text_of,
    title,
    write,
)
from times import reading, routes, running, time_row, too_long

# Notebooks that are not there yet, and what they will need.
PLANNED = {
    "10": ("LSTM meta-learner", ("03",)),
    "11": ("PLATIPUS", ("03",)),
    "12": ("RL2", ("01",)),
    "13": ("MetaGAN", ("04",)),
    "15": ("From lab to device", ("06",)),
    "16": ("Searching the architecture", ("06",)),
    "17": ("In-context learning", ("03", "05")),
    "18": ("Your own images", ("04",)),
}


def numbers(text: str) -> list[str]:
    """Numbers of notebooks in a text, "07 to 09" in full."""
    found = []
    for first, last in re.findall(r"\b(\d\d)\b(?: to (\d\d)\b)?", text):
        span = range(int(first), int(last or first) + 1)
        found += [f"{number:02d}" for number in span]
    return found


def needs(notebook: NotebookNode) -> tuple[list[str], list[str]]:
    """What a notebook needs, and what is of help to it: in its box the latter follows a semicolon."""
    needed, _, helpful = row(notebook, "Needs").partition(";")
    return numbers(needed), numbers(helpful)


def behind(number: str, needed: dict[str, list[str]]) -> set[str]:
    """All notebooks that must have been read before this one."""
    near = needed.get(number, [])
    return set(near).union(*(behind(other, needed) for other in near))


def course_map(books: dict[str, NotebookNode]) -> str:
    """The mermaid graph; what another need holds already has no arrow of its own."""
    needed = {n: list(on) for n, (_, on) in PLANNED.items()}
    needed |= {n: needs(book)[0] for n, book in books.items()}
    helpful = {n: needs(book)[1] for n, book in books.items()}
    names = {
        n: f'{n}["{n} {name}"]:::planned' for n, (name, _) in PLANNED.items()
    }
    names |= {n: f'{n}["{title(book)}"]' for n, book in books.items()}
    lines = [names[n] for n in sorted(names)]
    for n in sorted(names):
        far = set().union(*(behind(other, needed) for other in needed[n]))
        lines += [f"{other} --> {n}" for other in needed[n] if other not in far]
        start = ["00"] if not needed[n] and n != "00" and "00" in books else []
        known = behind(n, needed)
        lines += [
            f"{other} -.-> {n}"
            for other in dict.fromkeys(start + helpful.get(n, []))
            if other not in known
        ]
    lines.append("classDef planned fill:#eeeeee,stroke:#bbbbbb,color:#888888")
    return "\n".join(
        ["```mermaid", "graph LR", *(f"  {x}" for x in lines), "```"]
    )


def picture(books: dict[str, NotebookNode]) -> str:
    """The map of what is there, with no arrow that another one holds already."""
    all_needs = {
        n: [o for o in needs(b)[0] if o in books] for n, b in books.items()
    }
    if "00" in books:
        for n, on in all_needs.items():
            if not on and n != "00":
                on.append("00")
    near = {}
    for n, on in all_needs.items():
        far = set().union(*(behind(other, all_needs) for other in on))
        near[n] = [other for other in on if other not in far]
    return draw({n: title(b) for n, b in books.items()}, near)


def table(books: dict[str, NotebookNode], files: dict[str, str]) -> str:
    """A row for each notebook."""
    lines = [
        "| Notebook | After it you can | Running, 2 cores | Reading |",
        "| --- | --- | ---: | ---: |",
    ]
    for number, book in books.items():
        core, deeper = reading(book)
        time = f"{core} min" + (f" + {deeper}" if deeper else "")
        link = f"[{title(book)}]({files[number]})"
        lines.append(
            f"| {link} | {row(book, 'Goals')} | {running(book)} | {time} |"
        )
    return "\n".join(lines)


def filled(text: str, blocks: dict[str, str]) -> str:
    """A page with these blocks between their marks."""
    for name, block in blocks.items():
        begin = f"<!-- overview:{name}:begin -->"
        end = f"<!-- overview:{name}:end -->"
        before, mark, rest = text.partition(begin)
        _, other, after = rest.partition(end)
        if not mark or not other:
            raise ValueError(f"README.md lacks the marks {begin} and {end}")
        text = f"{before}{begin}\n{block}\n{end}{after}"
    return text


def stale(folder: Path = FOLDER) -> dict[Path, str]:
    """The files that are not up to date, with the text that they should have."""
    found = {}
    files = {path.name[:2]: path.name for path in notebooks(folder)}
    books = {number: read(folder / name) for number, name in files.items()}
    for number, book in books.items():
        box = time_row(book)
        if box not in (None, book.cells[0].source):
            book.cells[0].source = box
            found[folder / files[number]] = text_of(book)
    page = folder / "README.md"
    text = page.read_text(encoding="utf-8")
    blocks = {
        "map": course_map(books),
        "table": table(books, files),
        "paths": routes(books, files),
    }
    new = filled(text, blocks)
    if new != text:
        found[page] = new
    drawn, image = picture(books), folder / "map.svg"
    if not image.exists() or image.read_text(encoding="utf-8") != drawn:
        found[image] = drawn
    return found


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Name what is stale, or rewrite it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--write", action="store_true", help="rewrite what is stale"
    )
    wanted = parser.parse_args(arguments)
    try:
        found = stale(folder)
    except ValueError as fault:
        raise SystemExit(str(fault)) from None
    for path, text in found.items():
        if wanted.write:
            write(path, text)
        print(f"{path.name}: {'rewritten' if wanted.write else 'stale'}")
    if found and not wanted.write:
        print("To mend it: python tutorials/overview.py --write")
    books = {path.name[:2]: read(path) for path in notebooks(folder)}
    for sentence in too_long(books):
        print(sentence)
    return int((bool(found) and not wanted.write) or bool(too_long(books)))


if __name__ == "__main__":
    sys.exit(main())
