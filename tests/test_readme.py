"""What the README shows must run, and what it links must be there."""

import functools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import tfmeta
from tfmeta.datasets import Splits
from tfmeta.training.episodic import EpisodicLearner

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_runs(monkeypatch, classes_of):
    """As printed, on small classes in Omniglot's format, with few filters, for two steps and on few test episodes."""
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    parts = [classes_of([20] * 6, size=28, seed=seed) for seed in range(3)]
    monkeypatch.setattr(tfmeta.datasets, "load_omniglot", lambda: Splits(*parts))
    monkeypatch.setattr(tfmeta.networks, "conv4", functools.partial(tfmeta.networks.conv4, filters=4))
    monkeypatch.setattr(tfmeta, "evaluate", functools.partial(tfmeta.evaluate, episodes=40))
    quick = re.sub(r"steps_per_epoch=\d+, epochs=\d+", "steps_per_epoch=1, epochs=2, verbose=0", code)
    assert quick != code
    names = {}
    exec(compile(quick, "README.md", "exec"), names)
    assert names["predictions"].shape == (75, 5)
    assert names["learner"].optimizer.iterations.numpy() == 2
    plt.close("all")


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "data/README.md",
        "benchmarks/README.md",
        "results/README.md",
        "tutorials/README.md",
        "tutorials/several_machines.md",
    ],
)
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not ((ROOT / page).parent / link).exists()]
    assert not missing


def test_the_words_are_those_of_the_code():
    for name in ("support_x", "n_way", "k_shot", "n_query", "meta_batch_size", "inner_lr", "inner_steps", "prototypes"):
        assert f"`{name}`" in README
    assert set(tfmeta.Episode._fields) == {"support_x", "support_y", "query_x", "query_y"}


def test_the_algorithm_table_names_every_learner():
    public = {name: getattr(tfmeta, name) for name in tfmeta.__all__}
    learners = [
        name for name, value in public.items() if isinstance(value, type) and issubclass(value, EpisodicLearner)
    ]
    assert learners
    assert [name for name in learners if not re.search(rf"^\| `{name}`", README, flags=re.M)] == []
