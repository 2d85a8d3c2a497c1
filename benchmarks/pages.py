"""Write measured figures into the pages that tell them: `python benchmarks/pages.py`.

Reads `results/benchmarks.json`, `results/time_to_accuracy.json` and `results/quickstart.json`. A figure in a sentence
stands in a place like `<!-- measured:torch_loop -->4.2<!-- end -->`, the table of the quickstart between its markers.
"""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import ROOT
from benchmarks.omniglot_table import percent
from benchmarks.table import replace_between
from tfmeta.app.methods import RECIPES
from tfmeta.machine import files

PAGES = [ROOT / name for name in ("README.md", "docs/speed.md", "docs/results.md")]
# The case that the page on speed describes, and those of which it says "with 75 queries, max-pooling or 20-way".
STEP = "maml_q5_s1"
LARGER = ("maml_q75", "pool_", "ways20_")
# What the quickstart scored -> the head of its column.
COLUMNS = {"untrained": "untrained", "before": "trained, before adaptation", "after": "after adaptation"}
BEGIN, END = "<!-- quickstart:begin -->", "<!-- quickstart:end -->"


def read(name):
    """A results file, parsed."""
    return json.loads((ROOT / f"results/{name}.json").read_text(encoding="utf-8"))


def span(values):
    """The least and the greatest, as "1.8 to 3.1"."""
    return f"{min(values):.1f} to {max(values):.1f}"


def figures(benchmarks, curves, quickstart):
    """Every figure that a sentence of the pages tells.

    Args:
        benchmarks: `results/benchmarks.json`, parsed.
        curves: `results/time_to_accuracy.json`, parsed.
        quickstart: `results/quickstart.json`, parsed.

    Returns:
        Name -> text.

    Raises:
        ValueError: if a sentence would no longer be true: another implementation was faster in some case.
    """
    cases = {result["case"]["name"]: result["implementations"] for result in benchmarks["results"]}
    ratios = {
        case: {name: one["ratio"] for name, one in found.items() if "ratio" in one} for case, found in cases.items()
    }
    faster = [
        (case, name)
        for case, found in ratios.items()
        for name, ratio in found.items()
        if ratio < 1 and not name.startswith("tfmeta")
    ]
    if faster:
        raise ValueError(f"docs/speed.md says that no implementation was faster. Received: {faster}")
    step = ratios[STEP]
    memory = [cases[f"memory_s{steps}"]["tfmeta_mixed"]["peak_memory_mb"] for steps in (1, 20)]
    found = {
        "step_ms": f"{1000 * cases[STEP]['tfmeta']['median_s']:.0f}",
        **{name: f"{step[name]:.1f}" for name in ("torch_loop", "higher", "torch_vmap_compiled")},
        "jax": f"{min(ratio for name, ratio in step.items() if name.startswith('jax')):.1f}",
        "larger": span([ratios[case]["torch_loop"] for case in ratios if case.startswith(LARGER)]),
        "mixed_memory": f"{100 * (memory[1] / memory[0] - 1):.0f}",
        "mixed_time": span([found["tfmeta_mixed"] for found in ratios.values() if "tfmeta_mixed" in found]),
        "quickstart_minutes": f"{quickstart['minutes']:.1f}",
    }
    for name in ("protonet", "maml"):
        last = curves["curves"][name]["curve"][-1]
        found |= {f"{name}_accuracy": percent(last), f"{name}_minutes": f"{last['seconds'] / 60:.0f}"}
    return found


def quickstart_table(quickstart):
    """What `make run` showed.

    Args:
        quickstart: `results/quickstart.json`, parsed.

    Returns:
        Markdown: a row for each network, "chance" where nothing was measured because there is nothing but chance.
    """
    lines = ["| | " + " | ".join(COLUMNS.values()) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for method, scores in quickstart["scores"].items():
        cells = ["chance" if scores[name] is None else percent(scores[name]) for name in COLUMNS]
        lines.append(f"| {RECIPES[method].label} | {' | '.join(cells[:-1])} | **{cells[-1]}** |")
    return "\n".join(lines)


def filled(text, found, table):
    """A page with its figures.

    Args:
        text: the page.
        found: name -> text, as `figures` gives it.
        table: of the quickstart.

    Returns:
        The new page.

    Raises:
        KeyError: if the page asks for a figure that there is not.
    """
    text = re.sub(r"(<!-- measured:(\w+) -->).*?(<!-- end -->)", lambda m: m[1] + found[m[2]] + m[3], text)
    return replace_between(text, BEGIN, END, table) if BEGIN in text else text


def pages():
    """Path -> text, as the results files have it."""
    quickstart = read("quickstart")
    found, table = figures(read("benchmarks"), read("time_to_accuracy"), quickstart), quickstart_table(quickstart)
    return {page: filled(page.read_text(encoding="utf-8"), found, table) for page in PAGES}


def main():
    """Write the pages."""
    for page, text in pages().items():
        with files.whole(page) as beside:
            beside.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
