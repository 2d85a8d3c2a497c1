"""The map of the notebooks that are there, as a picture for pages that cannot draw graphs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from html import escape

WIDE, HIGH, ACROSS, DOWN = 136, 60, 12, 26
BOX = 'rx="6" fill="#eef3fb" stroke="#4472a8"'
FONT = 'font-family="sans-serif" font-size="13" fill="#1a1a1a"'


def rows_of(names: Iterable[str], needed: dict[str, list[str]]) -> dict:
    """The row of each notebook: one below everything that it needs."""

    def row(number: str) -> int:
        return 1 + max(map(row, needed[number]), default=-1)

    return {number: row(number) for number in names}


def draw(titles: dict[str, str], needed: dict[str, list[str]]) -> str:
    """An SVG of boxes, each below what it needs."""
    rows = rows_of(sorted(titles), needed)
    members = {r: [n for n in rows if rows[n] == r] for r in rows.values()}
    most = max(map(len, members.values()))
    width = most * (WIDE + ACROSS) + ACROSS
    height = (max(members) + 1) * (HIGH + DOWN) + ACROSS
    left, top = {}, {}
    for r, numbers in members.items():
        start = (width - len(numbers) * (WIDE + ACROSS) + ACROSS) / 2
        for place, number in enumerate(numbers):
            left[number] = start + place * (WIDE + ACROSS)
            top[number] = ACROSS + r * (HIGH + DOWN)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number in sorted(titles):
        for other in needed[number]:
            lines.append(
                f'<line x1="{left[other] + WIDE / 2:g}" y1="{top[other] + HIGH:g}" x2="{left[number] + WIDE / 2:g}" '
                f'y2="{top[number]:g}" stroke="#8899aa" stroke-width="1.5"/>'
            )
    for number, title in sorted(titles.items()):
        x, y = left[number], top[number]
        lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="{WIDE}" height="{HIGH}" {BOX}/>'
        )
        words = textwrap.wrap(title, 19)
        first = y + HIGH / 2 + 4.5 - 8 * (len(words) - 1)
        for place, text in enumerate(words):
            lines.append(
                f'<text x="{x + WIDE / 2:g}" y="{first + 16 * place:g}" text-anchor="middle" {FONT}>{escape(text)}</text>'
            )
    return "\n".join([*lines, "</svg>", ""])
