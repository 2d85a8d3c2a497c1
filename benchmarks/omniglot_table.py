"""Tables and picture of the Omniglot results: `python benchmarks/omniglot_table.py`.

Reads `results/omniglot.json` (the presets' own lengths) and `results/omniglot_short.json` (15 minutes of training
each), writes the tables in `results/README.md`, `docs/` and `README.md` between their markers, and a picture beside
each file.
Cells of the first that were not run say how long they would take (`results/omniglot_speed.json`).
"""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import ROOT
from benchmarks.omniglot_order import orders
from benchmarks.omniglot_speed import projected_hours
from benchmarks.table import replace_between
from tfmeta.app.methods import RECIPES
from tfmeta.app.presets import COLUMNS, PRESETS
from tfmeta.machine import files
from tfmeta.plotting import method_style

# preset's name of a method -> its name in the tables, in their order
LABELS = {recipe.preset or recipe.method: recipe.label for recipe in RECIPES.values()}
# methods that learn; the picture's axes begin at the worst of them
LEARNED = {recipe.preset or recipe.method for recipe in RECIPES.values() if recipe.learns}
# What normalises a query, as a score says it -> marker, whether it is filled, and its place in the picture's legend.
MODES = {
    "statistics of all queries together": ("o", True, "all queries together"),
    "statistics of the support set": ("o", False, "each with the support set"),
    "moving averages": ("s", False, "moving averages"),
    "none": ("D", True, "no batch norm"),
}
PAGES = [ROOT / name for name in ("README.md", "results/README.md", "docs/results.md", "docs/methods.md")]
TITLES = [f"{n_way}-way {k_shot}-shot" for n_way, k_shot in COLUMNS]


def cell_name(method, index):
    """The preset of a method's cell."""
    n_way, k_shot = COLUMNS[index]
    return f"{method}-omniglot-{n_way}w{k_shot}s"


def percent(score):
    """An accuracy with its interval."""
    return f"{100 * score['accuracy']:.1f} ± {100 * score['interval']:.1f}"


def paper_text(name):
    """The paper's accuracy, or nothing."""
    accuracy, interval = PRESETS[name].paper
    if accuracy is None:
        return ""
    digits = 1 if accuracy == round(accuracy, 1) else 2
    return f"{accuracy:.{digits}f}" if interval is None else f"{accuracy:.{digits}f} ± {interval:.{digits}f}"


def overview(rows, speeds=None):
    """A table of methods by cells.

    Args:
        rows: of a results file.
        speeds: steps per second by training, for the hours that cells would take that were not run.

    Returns:
        Markdown: ours with all queries together, in brackets one at a time where that differs, and the paper's.
    """
    found = {row["cell"]: row for row in rows}
    lines = ["| Method | " + " | ".join(TITLES) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for method, label in LABELS.items():
        cells = []
        for index in range(len(COLUMNS)):
            name = cell_name(method, index)
            if name not in found:
                hours = projected_hours(name, speeds or {})
                text = "not run yet" + (f" ({hours:.1f} h)" if hours else "")
                cells.append(text + (f"<br>paper {paper_text(name)}" if paper_text(name) else ""))
                continue
            scores = found[name]["scores"]
            text = f"**{percent(scores[0])}**" + (f" ({percent(scores[1])})" if len(scores) > 1 else "")
            cells.append(text + (f"<br>paper {paper_text(name)}" if paper_text(name) else ""))
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def front(rows):
    """The README's table: 5-way 1-shot, the methods that were run.

    Args:
        rows: of a results file.

    Returns:
        Markdown: ours in the second column, the paper's in the third.
    """
    found = {row["cell"]: row for row in rows}
    lines = ["| Method | Here | Paper |", "| --- | ---: | ---: |"]
    for method, label in LABELS.items():
        name = cell_name(method, 0)
        if name in found:
            score = percent(found[name]["scores"][0]).replace(" ", "\u00a0")
            paper = paper_text(name).replace(" ", "\u00a0")
            lines.append(f"| {label} | {score} | {paper} |")
    return "\n".join(lines)


def fill_scores(text, rows):
    """Put single accuracies into a page.

    Args:
        text: with places like `<!-- score:maml-omniglot-5w1s --> ... <!-- end -->`.
        rows: of a results file.

    Returns:
        The text with the first score of each cell in its place, or "not run yet".
    """
    found = {row["cell"]: percent(row["scores"][0]) for row in rows}
    return re.sub(
        r"(<!-- score:(\S+) -->).*?(<!-- end -->)", lambda m: m[1] + found.get(m[2], "not run yet") + m[3], text
    )


def speeds():
    """Steps per second by training, as measured; nothing where the file is missing."""
    path = ROOT / "results/omniglot_speed.json"
    return json.loads(path.read_text(encoding="utf-8"))["steps_per_second"] if path.exists() else {}


def details(rows):
    """A table with a row for each cell that was run: what it took, and the command.

    Args:
        rows: of a results file.

    Returns:
        Markdown.
    """
    lines = [
        "| Cell | accuracy, % | batch norm | steps | minutes | device | command |",
        "| --- | ---: | --- | ---: | ---: | --- | --- |",
    ]
    for row in rows:
        for i, score in enumerate(row["scores"]):
            rest = ("", "", "", "") if i else (
                row["steps"], f"{row['training_seconds'] / 60:.1f}", row["device"], f"`{row['command']}`"
            )  # fmt: skip
            lines.append(
                f"| {'' if i else row['cell']} | {percent(score)} | {score['batch_norm']} | "
                + " | ".join(map(str, rest)) + " |"
            )  # fmt: skip
    return "\n".join(lines)


def look_of(mode, colour):
    """Marker of a batch-norm mode: what a score says of it begins with one of `MODES`."""
    marker, filled, _ = next(look for begin, look in MODES.items() if mode.startswith(begin))
    fill = colour if filled else "white"
    return {"marker": marker, "color": colour, "markerfacecolor": fill, "markersize": 4, "linestyle": "none"}


def draw(content, path):
    """A dot plot: a panel for each setting, methods below each other, ours with intervals beside the papers'."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    found = {row["cell"]: row for row in content["rows"]}
    methods = [m for m in LABELS if any(cell_name(m, i) in found for i in range(len(COLUMNS)))]
    shown = [i for i in range(len(COLUMNS)) if any(cell_name(m, i) in found for m in methods)]
    with plt.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure, panels = plt.subplots(
            1, len(shown), figsize=(1.6 + 2.2 * len(shown), 1.6 + 0.28 * len(methods)), sharey=True, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for axes, index in zip(panels[0], shown, strict=True):
            for y, method in enumerate(reversed(methods)):
                name = cell_name(method, index)
                for i, score in enumerate(found[name]["scores"] if name in found else ()):
                    axes.errorbar(
                        100 * score["accuracy"], y - 0.18 * i, xerr=100 * score["interval"], capsize=2,
                        **look_of(score["batch_norm"], method_style(method)["color"]),
                    )  # fmt: skip
                if PRESETS[name].paper[0] is not None:
                    axes.plot(
                        PRESETS[name].paper[0], y + 0.18, marker="x", color="black", linestyle="none", markersize=5
                    )
            axes.set_title(TITLES[index], fontsize=8)
            axes.set_yticks(range(len(methods)), [LABELS[m] for m in reversed(methods)])
            axes.set_ylim(-0.6, len(methods) - 0.4)
            axes.grid(alpha=0.3, axis="x")
            axes.set_xlabel("accuracy, %")
            best = [v for m in methods if m in LEARNED for v in _values(found, cell_name(m, index))]
            if best:
                left = min(best) - 2
                axes.set_xlim(left, 100.3)
                for y, method in enumerate(reversed(methods)):
                    if (ours := _values(found, cell_name(method, index))[:1]) and ours[0] < left:
                        axes.text(left, y, f" \u25c2 {ours[0]:.0f} %", fontsize=7, va="center")
        marks = [plt.Line2D([], [], **look_of(mode, "black")) for mode in MODES]
        marks.append(plt.Line2D([], [], marker="x", color="black", linestyle="none", markersize=5))
        names = [*(label for _, _, label in MODES.values()), "the paper"]
        figure.legend(marks, names, loc="outside lower center", ncols=5 if len(shown) > 2 else 1, frameon=False)
        with files.whole(path) as beside:
            figure.savefig(beside, dpi=130)
        plt.close(figure)


def _values(found, name):
    ours = [100 * score["accuracy"] for score in found[name]["scores"]] if name in found else []
    return ours + [PRESETS[name].paper[0]] * (PRESETS[name].paper[0] is not None)


def main():
    """Write everything that there are results for."""
    pages = {path: path.read_text(encoding="utf-8") for path in PAGES}
    for name in ("omniglot", "omniglot_short"):
        path = ROOT / f"results/{name}.json"
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": []}
        known = speeds() if name == "omniglot" else None
        tables = {f"{name}:overview": overview(content["rows"], known), f"{name}:details": details(content["rows"])}
        if name == "omniglot_short":
            tables[f"{name}:front"] = front(content["rows"])
            tables[f"{name}:orders"] = orders(content["rows"], LABELS)
        for page, text in pages.items():
            for key, table in tables.items():
                begin, end = f"<!-- {key}:begin -->", f"<!-- {key}:end -->"
                if begin in text:
                    text = replace_between(text, begin, end, table)
                elif page.parent.name == "results" and not key.endswith(":front"):
                    raise SystemExit(f"{page} must have a place for {key}, between {begin} and {end}")
            pages[page] = fill_scores(text, content["rows"]) if name == "omniglot_short" else text
        if content["rows"]:
            draw(content, path.with_suffix(".png"))
    for page, text in pages.items():
        with files.whole(page) as beside:
            beside.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
