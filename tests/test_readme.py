"""What the README shows must run, and what it links must be there."""

import functools
import re
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import pytest

import tfmeta
from tests.helpers import tiny_settings
from tfmeta.app.methods import RECIPES
from tfmeta.datasets import Splits
from tfmeta.training.episodic import EpisodicLearner

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
RUN = [name for name in ("README.md", *PAGES) if "```python" in (ROOT / name).read_text(encoding="utf-8")]
QUICK = (
    (r"steps_per_epoch=\d+, epochs=\d+", "steps_per_epoch=1, epochs=2, verbose=0"),
    (r"^strategy = .*", "import contextlib, keras, tensorflow as tf; strategy = contextlib.nullcontext()"),
    (r"strategy\.scope\(\)", "strategy"),
    (r"^keras\.mixed_precision\.set_global_policy\([^)]*\).*", ""),
    (r", jit_compile=True", ""),
)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg")
def test_the_code_of_a_page_runs(page, monkeypatch, classes_of, tmp_path):
    """As printed, one block after the other, on small classes, with few filters, few steps and few episodes."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S))
    parts = Splits(*(classes_of([20] * 30, size=28, seed=seed) for seed in range(3)))
    monkeypatch.setattr(tfmeta.datasets, "load_omniglot", lambda: parts)
    monkeypatch.setattr(tfmeta.datasets, "load_glyphs", lambda: parts)
    monkeypatch.setattr(tfmeta.datasets, "from_directory", lambda *_, **__: parts.train)
    monkeypatch.setattr(tfmeta.networks, "conv4", functools.partial(tfmeta.networks.conv4, filters=4))
    judge = tfmeta.evaluate
    monkeypatch.setattr(tfmeta, "evaluate", lambda *a, **k: judge(*a, **{**k, "episodes": 20}))
    for pattern, quick in QUICK:
        code = re.sub(pattern, quick, code, flags=re.M)
    names = {"tfmeta": tfmeta}
    if page == "docs/devices.md":
        names["train"] = tfmeta.episode_dataset(parts.train, n_way=5, k_shot=1, n_query=2, meta_batch_size=2, seed=0)
    exec(compile(code, page, "exec"), names)
    assert keras.mixed_precision.global_policy().name == "float32", "a page must not change other tests"
    if page == "README.md":
        assert names["logits"].shape == (25, 5)
        assert names["learner"].optimizer.iterations.numpy() == 2
    plt.close("all")


def test_the_readme_is_short():
    assert len(README) <= 7000
    assert "not run yet" not in README
    prose = re.sub(r"```.*?```", "", README, flags=re.S)
    assert [p for p in prose.split("\n\n") if not p.startswith("|") and p.count("`") > 12] == []
    assert not re.search(r"\d %", README), "a line may break before the sign: put it into the header"


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    assert [name for name in PAGES if name != "docs/README.md" and f"]({name[5:]})" not in index] == []


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "data/README.md",
        "benchmarks/README.md",
        "results/README.md",
        "tutorials/README.md",
        *PAGES,
    ],
)
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not ((ROOT / page).parent / link).exists()]
    assert not missing


def test_the_words_are_those_of_the_code():
    for name in ("support_x", "n_way", "k_shot", "n_query", "meta_batch_size", "inner_lr", "inner_steps", "prototypes"):
        assert f"`{name}`" in (ROOT / "docs/words.md").read_text(encoding="utf-8")
    assert set(tfmeta.Episode._fields) == {"support_x", "support_y", "query_x", "query_y"}


def test_the_algorithm_table_names_every_learner():
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    public = {name: getattr(tfmeta, name) for name in tfmeta.__all__}
    learners = [
        name for name, value in public.items() if isinstance(value, type) and issubclass(value, EpisodicLearner)
    ]
    assert learners
    assert [name for name in learners if not re.search(rf"^\| `{name}`", page, flags=re.M)] == []


# What a row calls the class: how one writes it, and without arguments the name that tfmeta has it by.
CLASSES = {
    "maml": "MAML", "fomaml": "MAML(first_order=True)", "meta-sgd": "MetaSGD", "maml++": "MAMLPlusPlus", "anil": "ANIL",
    "boil": "BOIL", "reptile": "Reptile", "proto-maml": "ProtoMAML", "prototypical": "PrototypicalNetwork",
    "matching": "MatchingNetwork", "fine-tuning": "FineTunedClassifier", "nearest-neighbour": "NearestNeighbour",
    "ridge": "RidgeClassifier", "lstm": "LSTMMetaLearner",
}  # fmt: skip


def test_the_table_of_names_has_a_row_for_every_recipe(classes_of):
    """Words, class, `--method` and the presets' name of one method stand in one row; the class is what it builds."""
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    part = page.split("## One method, four names")[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
    ]
    rows = {row[2].strip("`"): row for row in rows[1:] if not row[0].startswith("---")}
    assert set(rows) == set(RECIPES) == set(CLASSES)
    for method, recipe in RECIPES.items():
        words, name, _, presets = rows[method]
        assert words.split(",")[0] == recipe.label.split(",")[0]
        assert name == f"`{CLASSES[method]}`"
        learner = recipe.build(tiny_settings(method), classes_of([4] * 6))
        assert type(learner) is getattr(tfmeta, CLASSES[method].split("(")[0])
        assert getattr(learner, "first_order", False) is (method == "fomaml")
        wanted = [f"{recipe.preset or method}-"]
        if recipe.quickstart and recipe.preset:
            wanted.append(f"{method}-quickstart")
        assert [text.strip("` ") for text in presets.split(";")] == wanted
