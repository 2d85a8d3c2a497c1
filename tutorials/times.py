"""How long a notebook takes, and the three paths of the README, whose names promise a time."""

from __future__ import annotations

import re
from typing import NamedTuple

from pages import NotebookNode, sections, tags, title, words

WORDS_A_MINUTE = 200
WITH_CODE = 2  # to each minute of prose comes one for code and figures
MINUTES = {"★": 5, "★★": 15, "★★★": 30}  # of an exercise
CORES = {1: "one CPU core", 2: "two CPU cores", 4: "four CPU cores"}


class Route(NamedTuple):
    """A way through the course: its minutes are those that its name promises, in all or a day."""

    name: str
    minutes: int
    numbers: tuple[str, ...]
    text: str
    exercises: tuple[str, ...] = ()  # all where none is named
    daily: bool = False  # a notebook a day


ALL = (
    "00",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "07",
    "08",
    "09",
    "10",
    "11",
    "12",
    "14",
)
ROUTES = (
    Route(
        "A 90-minute lab", 90, ("01", "02", "03"),
        "Episodes, the gradient through a gradient, and a network that becomes "
        "any sine wave.",
        ("sample_episode", "quadratic_meta_gradient", "adapt"),
    ),
    Route(
        "An afternoon with images", 270, ("01", "04", "05"),
        "No second derivatives: a classifier for classes that it has never "
        "seen. All exercises.",
    ),
    Route(
        "Two weeks", 150, ALL,
        "One a day, all exercises, three stars included; then change a setting "
        "and write down beforehand what you expect. (One week: 01 to 04, 06, "
        "07 and 14.)",
        daily=True,
    ),
)  # fmt: skip


def whole(value: float) -> int:
    """The nearest whole number; halves go up."""
    return int(value + 0.5)


def minutes_of(seconds: float) -> int:
    """Whole minutes, at least one, from ten on in steps of five."""
    minutes = max(1, whole(seconds / 60))
    return minutes if minutes < 10 else 5 * whole(seconds / 300)


def running(notebook: NotebookNode) -> str:
    """The time that a run took after the imports, for the table."""
    measured = notebook.metadata.get("tfmeta")
    if not measured:
        return "not timed yet"
    seconds, cores = measured["seconds_after_import"], measured["cores"]
    if seconds < 10:
        text = "under 10 s"
    elif seconds < 55:
        text = f"{10 * whole(seconds / 10)} s"
    else:
        text = f"{minutes_of(seconds)} min"
    return text if cores == 2 else f"{text} ({cores} cores)"


def time_row(notebook: NotebookNode) -> str | None:
    """The title box with the measured time; `None` where nothing has been measured."""
    measured = notebook.metadata.get("tfmeta")
    if not measured:
        return None
    seconds, cores = measured["seconds_after_import"], measured["cores"]
    minutes = minutes_of(seconds)
    text = (
        "less than 1 minute"
        if seconds < 45
        else f"about {minutes} minute{'s' * (minutes > 1)}"
    )
    text += f" on {CORES.get(cores, f'{cores} CPU cores')}"
    box = notebook.cells[0].source
    found, count = re.subn(
        r"(?m)^(\| \*\*Time\*\* \| ).*?CPU cores?", rf"\g<1>{text}", box
    )
    if not count:
        raise ValueError(
            f"the row Time of {title(notebook)!r} does not say 'on two CPU cores'"
        )
    return found


def reading(notebook: NotebookNode) -> tuple[int, int]:
    """Minutes for the words of the core path, and for those of its "Deeper" sections."""
    counts = {True: 0, False: 0}
    for heading, text in sections(notebook):
        counts[heading.startswith("Deeper: ")] += words(text)
    core, deeper = (
        whole(counts[is_deeper] / WORDS_A_MINUTE) for is_deeper in (False, True)
    )
    return core, deeper


def exercises(notebook: NotebookNode) -> dict[str, int]:
    """Minutes of each exercise by its heading, and of a checked one by its name too."""
    found, latest = {}, 0
    for cell in notebook.cells:
        for heading, stars in re.findall(
            r"(?m)^### (\d+\. .+?) (★+)", cell.source
        ):
            found[heading] = latest = MINUTES[stars]
        found |= {name: latest for name in tags(cell, "exercise:")}
    return found


def parts(
    route: Route, books: dict[str, NotebookNode]
) -> dict[str, list[float]]:
    """Minutes of each notebook of a route: reading prose and code, exercises, running."""
    found = {}
    for number in route.numbers:
        book = books[number]
        tasks = exercises(book)
        headings = [name for name in tasks if name[0].isdigit()]
        chosen = route.exercises or headings
        measured = book.metadata.get("tfmeta", {})
        found[number] = [
            WITH_CODE * sum(reading(book)),
            sum(tasks.get(name, 0) for name in chosen),
            measured.get("seconds_after_import", 0) / 60,
        ]
    return found


def duration(route: Route, books: dict[str, NotebookNode]) -> float:
    """Minutes of a route, or of its longest day."""
    days = [sum(minutes) for minutes in parts(route, books).values()]
    return max(days) if route.daily else sum(days)


def possible(books: dict[str, NotebookNode]) -> list[Route]:
    """The routes whose notebooks are all there."""
    return [route for route in ROUTES if set(route.numbers) <= set(books)]


def too_long(books: dict[str, NotebookNode]) -> list[str]:
    """A sentence for each route that takes longer than it promises."""
    return [
        f"{route.name} takes {hours(duration(route, books))}, and {hours(route.minutes)} is promised"
        for route in possible(books)
        if duration(route, books) > route.minutes
    ]


def hours(minutes: float) -> str:
    """In words, above 20 minutes rounded to five: "1 h 20"."""
    if minutes < 20:
        return f"{max(1, whole(minutes))} min"
    whole_hours, rest = divmod(5 * whole(minutes / 5), 60)
    return f"{whole_hours} h {rest:02d}" if whole_hours else f"{rest} min"


def routes(books: dict[str, NotebookNode], files: dict[str, str]) -> str:
    """A paragraph for each route."""
    lines = []
    for route in possible(books):
        links = ", ".join(f"[{n}]({files[n]})" for n in route.numbers)
        lines.append(f"- **{route.name}:** {links}. {route.text}")
        if route.exercises:
            names = ", ".join(f"`{name}`" for name in route.exercises)
            lines.append(f"  Exercises: {names}.")
        minutes = parts(route, books).values()
        days = [sum(kinds) for kinds in minutes]
        if route.daily:
            shortest, longest = hours(min(days)), hours(max(days))
            lines.append(f"  From {shortest} to {longest} a day.")
        else:
            reads, solves, runs = (
                hours(sum(kind)) for kind in zip(*minutes, strict=True)
            )
            lines.append(
                f"  Reading {reads}, exercises {solves}, running {runs}: {hours(sum(days))}."
            )
    return "\n".join(lines)
