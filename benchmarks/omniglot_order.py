"""Do the methods land in the order of their papers? Our order, the papers', and the pairs that are swapped."""

import itertools
import math

from tfmeta.app.presets import COLUMNS, PRESETS


def clearly_better(one, other):
    """Whether an accuracy is above another by more than both 95 % intervals together (their root sum of squares).

    Args:
        one: accuracy and half its interval.
        other: the same.

    Returns:
        True or False.
    """
    return one[0] - other[0] > math.hypot(one[1], other[1])


def in_order(figures, labels):
    """Methods from the best to the worst.

    Args:
        figures: method -> accuracy and half its interval.
        labels: method -> how it is called.

    Returns:
        Text with `>` between methods that differ by more than their intervals, `≈` between those that do not.
    """
    names = sorted(figures, key=lambda name: -figures[name][0])
    text = labels[names[0]] if names else ""
    for better, name in itertools.pairwise(names):
        text += f" {'>' if clearly_better(figures[better], figures[name]) else '≈'} {labels[name]}"
    return text


def swapped(ours, papers):
    """Pairs of methods that are clearly in one order here and clearly in the other in their papers.

    Args:
        ours: method -> accuracy and half its interval.
        papers: the same, of the papers.

    Returns:
        A list of (the one that is better here, the one that is better in the papers).
    """
    both = [name for name in ours if name in papers]
    return [
        (one, other)
        for one, other in itertools.permutations(both, 2)
        if clearly_better(ours[one], ours[other]) and clearly_better(papers[other], papers[one])
    ]


def orders(rows, labels):
    """A table with a row for each setting: our order, the papers', and the pairs that are the other way round.

    Args:
        rows: of a results file; the first score of each counts, all queries together. Where a paper states no interval
            ours of the same cell stands in for it.
        labels: method -> how it is called.

    Returns:
        Markdown.
    """
    found = {row["cell"]: row["scores"][0] for row in rows}
    lines = ["| Setting | here | in the papers | the other way round |", "| --- | --- | --- | --- |"]
    for n_way, k_shot in COLUMNS:
        cells = {method: f"{method}-omniglot-{n_way}w{k_shot}s" for method in labels}
        ours = {m: (100 * found[c]["accuracy"], 100 * found[c]["interval"]) for m, c in cells.items() if c in found}
        stated = {m: PRESETS[cells[m]].paper for m in ours}
        papers = {m: (value, half or ours[m][1]) for m, (value, half) in stated.items() if value is not None}
        pairs = "; ".join(f"{labels[a]} before {labels[b]}" for a, b in swapped(ours, papers)) or "-"
        lines.append(f"| {n_way}-way {k_shot}-shot | {in_order(ours, labels)} | {in_order(papers, labels)} | {pairs} |")
    return "\n".join(lines)
