"""What pages say of measurements is what the results files hold."""

import copy
import re

import pytest

from benchmarks import pages
from tests.helpers import ROOT


@pytest.fixture(scope="module")
def content():
    return [pages.read(name) for name in ("benchmarks", "time_to_accuracy", "quickstart")]


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_pages_have_the_figures_of_the_files(page):
    text = page.read_text(encoding="utf-8")
    assert pages.pages()[page] == text
    assert "<!-- measured:" in text


def test_every_figure_stands_on_a_page(content):
    text = "".join(page.read_text(encoding="utf-8") for page in pages.PAGES)
    assert set(re.findall(r"<!-- measured:(\w+) -->", text)) == set(pages.figures(*content))
    assert pages.quickstart_table(content[2]) in (ROOT / "docs/results.md").read_text(encoding="utf-8")


def test_figures_follow_the_files(content):
    """By hand, of changed files."""
    benchmarks, curves, quickstart = copy.deepcopy(content)
    case = next(result for result in benchmarks["results"] if result["case"]["name"] == pages.STEP)["implementations"]
    case["tfmeta"]["median_s"] = 0.1234
    case["torch_loop"]["ratio"] = 7.77
    curves["curves"]["maml"]["curve"][-1] |= {"accuracy": 0.5, "interval": 0.0123, "seconds": 181.0}
    quickstart["scores"]["maml"]["after"] |= {"accuracy": 0.25, "interval": 0.05}
    found = pages.figures(benchmarks, curves, quickstart)
    assert (found["step_ms"], found["torch_loop"]) == ("123", "7.8")
    assert (found["maml_accuracy"], found["maml_minutes"]) == ("50.0 ± 1.2", "3")
    table = pages.quickstart_table(quickstart)
    assert table.splitlines()[-1].endswith("| **25.0 ± 5.0** |")
    assert "| chance |" in table
    text = "a <!-- measured:step_ms -->58<!-- end --> b <!-- measured:torch_loop --><!-- end -->"
    assert re.sub("<!--.*?-->", "", pages.filled(text, found, table)) == "a 123 b 7.8"


def test_a_sentence_that_is_no_longer_true_is_not_written(content):
    benchmarks, curves, quickstart = copy.deepcopy(content)
    benchmarks["results"][0]["implementations"]["torch_loop"]["ratio"] = 0.9
    with pytest.raises(ValueError, match=r"no implementation was faster. Received: .*'torch_loop'"):
        pages.figures(benchmarks, curves, quickstart)
