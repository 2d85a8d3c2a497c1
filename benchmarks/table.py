"""Write the measured figures into benchmarks/README.md: `python benchmarks/table.py`."""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.implementations import IMPLEMENTATIONS

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def make_table(content):
    """The results as Markdown.

    Args:
        content: the results file, parsed.

    Returns:
        Text: how it was measured, a table of the cases beside the peers, one of the curves, the roofline.
    """
    machine = content["machine"]
    versions = {}
    for result in content["results"]:
        for found in result["implementations"].values():
            versions |= found.get("versions", {})
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:g} GB; {content['date']}; "
        f"`{content['command']}`, {content['rounds']} rounds. "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + ".",
        "",
    ]
    sections = {"Beside other implementations": [], "Memory and growth": []}
    for result in content["results"]:
        grown = result["case"]["group"] in ("growth", "memory")
        sections["Memory and growth" if grown else "Beside other implementations"].append(result)
    steps = content.get("roofline", {}).get("steps", {})
    for title, results in sections.items():
        if not results:
            continue
        lines += [
            f"**{title}**",
            "",
            "| Case | Implementation | ms per step | times tfmeta | first call, s | peak memory, MB | of matmul rate |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        lines += [row for result in results for row in _rows(result, steps.get(result["case"]["name"], {}))]
        lines.append("")
    rates = content.get("roofline", {}).get("matmul_per_s", {})
    if rates:
        lines.append(
            "float32 matrix products, all cores: "
            + ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in rates.items())
            + "; the fractions are of the fastest."
        )
    return "\n".join(lines).rstrip()


def _rows(result, steps):
    name_of_case = f"`{result['case']['name']}`"
    for name, found in result["implementations"].items():
        label = IMPLEMENTATIONS[name].label if name in IMPLEMENTATIONS else name
        if "error" in found:
            yield f"| {name_of_case} | {label} | failed | | | | |"
        else:
            ratio = f"{found['ratio']:.2f}" if "ratio" in found else ""
            fraction = f"{100 * steps[name]['fraction']:.0f} %" if name in steps else ""
            yield (
                f"| {name_of_case} | {label} | {1e3 * found['median_s']:.1f} | {ratio} "
                f"| {found['first_call_s']:.1f} | {found['peak_memory_mb']:.0f} | {fraction} |"
            )
        name_of_case = ""
    for name, slow in result.get("left_out", {}).items():
        yield f"| {name_of_case} | {IMPLEMENTATIONS[name].label} | not run: see `{slow}` | | | | |"
        name_of_case = ""


def replace_between(text, begin, end, content):
    """A page with the text between two markers replaced.

    Args:
        text: the page.
        begin: the marker before it.
        end: the marker after it.
        content: what to put there.

    Returns:
        The new page.

    Raises:
        ValueError: if the page does not have each marker once, in order.
    """
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(
            f"the page needs one {begin} and after it one {end}. "
            f"Received: text with {text.count(begin)} and {text.count(end)}"
        )
    return f"{text.split(begin)[0]}{begin}\n{content}\n{end}{text.split(end)[1]}"


def main():
    """Put the table of the results file into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results/benchmarks.json")
    parser.add_argument("--page", type=Path, default=ROOT / "benchmarks/README.md")
    args = parser.parse_args()
    table = make_table(json.loads(args.results.read_text(encoding="utf-8")))
    page = replace_between(args.page.read_text(encoding="utf-8"), BEGIN, END, table)
    temporary = args.page.with_name(f"{args.page.name}.tmp-{os.getpid()}")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, args.page)


if __name__ == "__main__":
    main()
