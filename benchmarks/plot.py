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


def draw_ratios(axes, results):
    """Horizontal bars: time over tfmeta's for every peer, a group of bars per case. On a logarithmic scale.

    Args:
        axes: where to draw.
        results: entries of the results file.

    Returns:
        The axes.
    """
    position, ticks, labels = 0.0, [], []
    for result in results:
        rows = [
            (IMPLEMENTATIONS[name], found["ratio"])
            for name, found in result["implementations"].items()
            if "ratio" in found
        ]
        axes.text(0.0, position - 0.1, result["case"]["name"], transform=axes.get_yaxis_transform(), weight="bold")
        position += 1
        for implementation, ratio in rows:
            axes.barh(position, ratio - 1, left=1, color=colour_of(implementation), height=0.8)
            axes.text(max(ratio, 1) * 1.03, position, f"{ratio:.2f}", va="center", fontsize=6)
            ticks.append(position)
            labels.append(implementation.label)
            position += 1
        position += 0.5
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.9), high * 1.25)
    marks = [m for m in (0.5, 1, 2, 4, 8, 16, 32, 64) if min(low, 0.9) <= m <= high * 1.25]
    axes.set_xticks(marks, [f"{m:g}x" for m in marks])
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_yticks(ticks, labels)
    axes.set_ylim(position, -0.8)
    axes.set_xlabel("time of a step over tfmeta's (right of the line: slower than tfmeta)")
    return axes


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


def _select(content, **wanted):
    return [r for r in content["results"] if all(r["case"][key] == value for key, value in wanted.items())]


def draw(content):
    """The whole picture.

    Args:
        content: the results file, parsed.

    Returns:
        A matplotlib figure, 7 inches wide.
    """
    bars = [r for group in ("main", "pool", "ways", "protonet") for r in _select(content, group=group)]
    rows = sum(1.5 + sum("ratio" in i for i in r["implementations"].values()) for r in bars)
    curves_height, bars_height = 4.2, max(1.5, 0.13 * rows)
    with plt.rc_context({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False}):
        figure = plt.figure(figsize=(7, bars_height + curves_height), layout="constrained")
        upper, lower = figure.subfigures(2, 1, height_ratios=(bars_height, curves_height))
        draw_ratios(upper.subplots(), bars)
        grid = lower.subplots(2, 3)
        for axes, argument in zip(grid.flat, TITLES, strict=False):
            draw_curve(axes, _select(content, group="growth", curve=argument), argument, "median_s", 1e3)
            axes.set_ylabel("ms per outer step")
        draw_curve(grid[1, 2], _select(content, group="memory"), "inner_steps", "peak_memory_mb", 1)
        grid[1, 2].set_ylabel("peak memory, MB")
        grid[1, 2].set_title("75 queries a task", fontsize=7)
        handles, labels = grid[1, 2].get_legend_handles_labels()
        if handles:
            lower.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
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
