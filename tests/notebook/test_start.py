"""The first cells of a notebook: one line, one seed, and data wherever they come from."""

import random

import keras
import pytest

from tfmeta import notebook
from tfmeta.datasets import OmniglotUnavailableError
from tfmeta.notebook import start


def test_setup_says_one_line_and_seeds_everything(capsys):
    notebook.setup(seed=3)
    first = random.random(), keras.random.normal([2]).numpy().tolist()
    notebook.setup(seed=3)
    assert (random.random(), keras.random.normal([2]).numpy().tolist()) == first
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("tfmeta ")
    assert lines[0].endswith("seed 3")


def test_a_quick_run_says_so(capsys, monkeypatch):
    monkeypatch.setattr(start, "QUICK", True)
    notebook.setup()
    assert capsys.readouterr().out.endswith("seed 0, quick: the numbers mean nothing\n")


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be a whole number"):
        notebook.setup(seed=seed)


def test_characters_are_glyphs_where_omniglot_cannot_be_had(capsys, monkeypatch, tiny):
    def fails():
        raise OmniglotUnavailableError("no network")

    splits = type("Splits", (), {"_asdict": lambda self: {"train": tiny}})()
    monkeypatch.setattr(start, "load_omniglot", fails)
    monkeypatch.setattr(start, "load_glyphs", lambda: splits)
    assert notebook.load_characters() is splits
    printed = capsys.readouterr().out
    assert "generated glyphs" in printed
    assert "train:    12 classes,    240 images, (16, 16, 1)" in printed
