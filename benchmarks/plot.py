"""Draw results/benchmarks.json: `python benchmarks/plot.py`. Bars of ratios, curves of cost, memory by inner steps."""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.implementations import IMPLEMENTATIONS

ROOT = Path(__file__).resolve().parents[1]

# Okabe and Ito's colours, told apart with any colour vision; a framework keeps its colour, line styles differ too.
COLOURS = {"tfmeta": "#0072B2", "tensorflow": "#56B4E9", "torch": "#D55E00", "jax": "#009E73"}
STYLES = {"tfmeta": ("#0072B2", "-", "o"), "tfmeta_mixed": ("#CC79A7", "--", "s"), "torch_loop": ("#D55E00", ":", "^")}
TITLES = {
    "tasks": "tasks",
    "n_way": "classes (n_way)",
    "k_shot": "examples (k_shot)",
    "inner_steps": "inner steps",
    "filters": "filters",
}


def colour_of(implementation):
    """Ours one colour, the others their framework's."""
    return COLOURS["tfmeta" if implementation.ours else implementation.framework]


def draw_ratios(axes, result, names, *, labelled):
    """Horizontal bars of one case: every implementation's time over tfmeta's. On a logarithmic scale.

    Args:
        axes: where to draw.
        result: an entry of the results file.
        names: the implementations, from top to bottom.
        labelled: whether to write their labels.

    Returns:
        The axes.
    """
    for position, name in enumerate(names):
        found = result["implementations"].get(name, {})
        if "ratio" in found:
            ratio = found["ratio"]
            axes.barh(position, ratio - 1, left=1, color=colour_of(IMPLEMENTATIONS[name]), height=0.8)
            axes.text(max(ratio, 1) * 1.06, position, f"{ratio:.3g}", va="center", fontsize=6)
        elif found:
            axes.text(1.06, position, "failed", va="center", fontsize=6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    low, high = min(0.9, axes.get_xlim()[0]), max(2.0, axes.get_xlim()[1])
    axes.set_xlim(low, high * (high / low) ** 0.3)  # room for the numbers
    marks = [mark for mark in (0.1, 0.5, 1, 2, 5, 10, 50, 100) if low <= mark <= high]
    axes.set_xticks(marks, [f"{mark:g}x" for mark in marks])
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_yticks(
        range(len(names)), [IMPLEMENTATIONS[name].label for name in names] if labelled else len(names) * [""]
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(result["case"]["name"], fontsize=7, loc="left")
    return axes


def draw_bars(figure, results, columns):
    """One panel of bars per case, the implementations' labels on the left."""
    names = [name for name in IMPLEMENTATIONS if any(name in result["implementations"] for result in results)]
    grid = figure.subplots(-(-len(results) // columns), columns, squeeze=False).flat
    for i, axes in enumerate(grid):
        if i < len(results):
            draw_ratios(axes, results[i], names, labelled=i % columns == 0)
        else:
            axes.set_axis_off()


def draw_curve(axes, results, argument, key, scale):
    """A measured quantity against one argument of the case.

    Args:
        axes: where to draw.
        results: entries of the results file that differ in that argument.
        argument: name of the case's field.
        key: "median_s" or "peak_memory_mb".
        scale: factor from the file's unit to the picture's.

    Returns:
        The axes.
    """
    results = sorted(results, key=lambda r: r["case"][argument])
    for name, (colour, line, marker) in STYLES.items():
        points = [
            (r["case"][argument], r["implementations"][name][key] * scale)
            for r in results
            if key in r["implementations"].get(name, ())
        ]
        if points:
            label = IMPLEMENTATIONS[name].label
            axes.plot(
                *zip(*points, strict=True), color=colour, linestyle=line, marker=marker, label=label, markersize=3
            )
    axes.set_xlabel(TITLES[argument])
    axes.set_ylim(bottom=0)
    return axes


def _draw_curves(panel, content, curves, memory, rows):
    """A panel for each argument that was varied, and one for memory."""
    grid = list(panel.subplots(rows, 3, squeeze=False).flat)
    for axes, argument in zip(grid, curves, strict=False):
        draw_curve(axes, _select(content, group="growth", curve=argument), argument, "median_s", 1e3)
        axes.set_ylabel("ms per outer step")
    used = grid[: len(curves)]
    if memory:
        used.append(draw_curve(grid[len(curves)], memory, "inner_steps", "peak_memory_mb", 1))
        used[-1].set_ylabel("peak memory, MB")
        used[-1].set_title("75 queries a task", fontsize=7)
    for axes in grid[len(used) :]:
        axes.set_axis_off()
    handles, labels = used[-1].get_legend_handles_labels()
    panel.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


def _select(content, **wanted):
    return [r for r in content["results"] if all(r["case"][key] == value for key, value in wanted.items())]


def draw(content):
    """The whole picture.

    Args:
        content: the results file, parsed.

    Returns:
        A matplotlib figure, 7 inches wide.
    """
    parts = [[r for group in ("main", "pool", "ways") for r in _select(content, group=group)]]
    parts.append(_select(content, group="protonet"))
    curves = [argument for argument in TITLES if _select(content, group="growth", curve=argument)]
    memory = _select(content, group="memory")
    rows = -(-(len(curves) + bool(memory)) // 3)
    heights = [1.6 * -(-len(parts[0]) // 4), 1.2 if parts[1] else 0.0, 1.8 * rows + 0.2 * bool(rows)]
    with plt.rc_context({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False}):
        figure = plt.figure(figsize=(7, sum(heights) + 0.3), layout="constrained")
        figure.suptitle("Time of a step over tfmeta's (right of the line: slower than tfmeta)", fontsize=8)
        drawn = [(height, part) for height, part in zip(heights, [*parts, None], strict=True) if height]
        panels = figure.subfigures(len(drawn), 1, height_ratios=[h for h, _ in drawn], squeeze=False).flat
        for panel, (_, part), columns in zip(panels, [pair for pair in drawn if pair[1]], (4, 2), strict=False):
            draw_bars(panel, part, columns)
        if rows:
            _draw_curves(panels[len(drawn) - 1], content, curves, memory, rows)
    return figure


def main():
    """Read the results, write the picture beside them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results/benchmarks.json")
    args = parser.parse_args()
    figure = draw(json.loads(args.results.read_text(encoding="utf-8")))
    path = args.results.with_suffix(".png")
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    figure.savefig(temporary, dpi=130, format="png")
    os.replace(temporary, path)
    print(path)


if __name__ == "__main__":
    main()
