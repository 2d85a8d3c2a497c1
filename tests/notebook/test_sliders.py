"""Sliders: labels in full, every decimal of a step, and one line where none can run."""

import ipywidgets
import pytest

from tfmeta.notebook import sliders
from tfmeta.notebook.sliders import MISSING


@pytest.fixture
def made(monkeypatch):
    controls = {}
    monkeypatch.delenv("TFMETA_STATIC", raising=False)
    monkeypatch.setattr(ipywidgets, "interact", lambda draw, **found: controls.update(found))
    return controls


def draw(task_number=3, inner_lr=0.01, mode="batch"):
    raise AssertionError("drawn by nobody here")


def test_each_argument_has_a_slider_that_begins_at_its_default(made):
    sliders(draw, task_number=(0, 39), inner_lr=(0.0, 0.03, 0.001), mode=["batch", "one query"])
    number, rate, mode = (made[name] for name in ("task_number", "inner_lr", "mode"))
    assert (number.value, number.min, number.max) == (3, 0, 39)
    assert (rate.value, rate.step, rate.readout_format) == (0.01, 0.001, ".3f")
    assert mode.value == "batch"
    for control, label in ((number, "task number"), (rate, "inner lr"), (mode, "mode")):
        assert control.description == label
        assert control.style.description_width == "initial"


def test_without_a_default_a_slider_begins_in_the_middle(made):
    sliders(lambda a, b: None, a=(0, 10), b=(0.0, 1.0, 0.25))
    assert (made["a"].value, made["b"].value, made["b"].readout_format) == (5, 0.5, ".2f")


@pytest.mark.parametrize("missing", ["static", "no widgets"])
def test_where_no_sliders_can_run_one_line_says_so(made, monkeypatch, capsys, missing):
    if missing == "static":
        monkeypatch.setenv("TFMETA_STATIC", "1")
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    sliders(draw, task_number=(0, 39))
    assert capsys.readouterr().out == f"{MISSING}\n"
    assert not made


@pytest.mark.parametrize(
    ("limits", "kind", "words"),
    [
        ((3,), TypeError, r"Received: \(3,\)"),
        ("0..3", TypeError, r"Received: '0..3'"),
        ((True, False), TypeError, r"Received: \(True, False\)"),
        ((3, 1), ValueError, r"task_number=\(3, 1\)"),
        ((0, 1, 0), ValueError, r"steps above 0"),
        ([], ValueError, r"at least one choice"),
    ],
)
def test_bad_ranges_are_named(limits, kind, words):
    with pytest.raises(kind, match=words):
        sliders(draw, task_number=limits)


def test_something_that_does_not_draw_is_refused():
    with pytest.raises(TypeError, match="draw of type int"):
        sliders(3, a=(0, 1))
