"""One colour per method, told apart by everybody, and the same in every notebook, page and figure."""

import re
from pathlib import Path

import matplotlib.colors
import numpy as np
import pytest

import tfmeta
from tfmeta.app import methods
from tfmeta.plotting import BEFORE, METHOD_COLOURS, method_style
from tfmeta.plotting.palette import METHOD_MARKERS, colours_of, method_named

FOLDER = Path(__file__).parents[2] / "tutorials"

# Machado, Oliveira, Fernandes (2009), table 1, severity 1.0: what somebody without red or green cones sees.
SIGHT = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def lab(colour, sight="all cones"):
    """CIE L*a*b* of a colour, as it is seen."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    f = np.where(f**3 > 0.008856, f, 7.787 * f**3 + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_no_two_methods_share_a_colour_or_a_marker():
    assert len(set(METHOD_COLOURS.values())) == len(METHOD_COLOURS) == len(set(METHOD_MARKERS.values()))
    assert BEFORE not in METHOD_COLOURS.values()


@pytest.mark.parametrize("sight", SIGHT)
def test_methods_that_meet_in_a_figure_are_told_apart(sight):
    meet = (
        ("MAML", "joint training"), ("MAML", "FOMAML", "Reptile"), ("MAML", "Meta-SGD", "ANIL", "BOIL"),
        ("MAML", "ProtoNet", "Proto-MAML"), ("matching", "ProtoNet"), ("MAML", "MAML++", "ProtoNet", "Reptile"),
        ("MAML", "ensemble", "ALPaCA", "PLATIPUS"), ("MAML", "LSTM meta-learner"), ("ProtoNet", "Ridge (R2-D2)"),
    )  # fmt: skip
    for group in meet:
        for i, one in enumerate(group):
            for other in group[:i]:
                distance = np.linalg.norm(lab(METHOD_COLOURS[one], sight) - lab(METHOD_COLOURS[other], sight))
                assert distance > 10, (one, other, sight, distance)


def test_every_method_is_seen_on_white():
    for name, colour in METHOD_COLOURS.items():
        assert lab(colour)[0] < 75, name


@pytest.mark.parametrize(
    "name",
    [
        "MAML++",
        "MAMLPlusPlus",
        "PrototypicalNetwork",
        "ProtoNet",
        "ProtoMAML",
        "meta-sgd",
        "Matching networks",
        "FOMAML",
    ],
)
def test_a_method_is_known_by_its_names(name):
    assert method_style(name)["color"] == METHOD_COLOURS[method_named(name)]


def test_every_learner_and_every_recipe_has_a_colour():
    for learner in ("ANIL", "BOIL", "MAML", "MAMLPlusPlus", "MetaSGD", "ProtoMAML", "PrototypicalNetwork", "Reptile",
                    "MatchingNetwork", "NearestNeighbour", "FineTunedClassifier", "RidgeClassifier",
                    "LSTMMetaLearner", "BayesianLinearRegressor", "MAMLEnsemble", "PLATIPUS"):  # fmt: skip
        assert hasattr(tfmeta, learner)
        assert method_named(learner), learner
    for name in methods.RECIPES:
        assert method_named(name), name


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match=r"name must be one of MAML, .*Received: name='SVM'"):
        method_style("SVM")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_take_a_method_s_colour_from_the_palette(path):
    """`COLOURS` is for classes; next to a method's name it would be that method's second colour."""
    text = path.read_text(encoding="utf-8")
    names = "|".join(re.escape(name) for name in METHOD_COLOURS)
    assert not re.findall(rf'\\"(?:{names})\\": COLOURS\[', text)
    assert not re.findall(r"#[0-9A-F]{6}\b", "".join(re.findall(r'"source": \[.*?\]', text, re.DOTALL)))


def test_lines_of_one_picture_have_colours_of_their_own():
    found = colours_of(["MAML", "mine", "ProtoNet", "MAML", "yours"])
    assert found[0] == METHOD_COLOURS["MAML"]
    assert found[2] == METHOD_COLOURS["ProtoNet"]
    assert len(set(found)) == 5
    assert len(colours_of([f"method {i}" for i in range(40)])) == 40
    assert colours_of([]) == []


def test_lines_without_a_colour_of_their_own_get_different_ones():
    found = colours_of([f"line {i}" for i in range(12)])
    assert len(set(found)) == 12
