"""Mistakes on the command line, and what is said of them."""

import pytest
from typer.testing import CliRunner

from tfmeta.app import cli


def tfmeta(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


MISTAKES = {
    "unknown option": (["train", "--shots", "5"], ["No such option: --shots"]),
    "not a number": (["train", "--n-way", "five"], ["--n-way", "integer"]),
    "unknown command": (["trian"], ["No such command 'trian'"]),
    "unknown preset": (["train", "--preset", "maml-quikstart"], ["'maml-quickstart'?", "preset='maml-quikstart'"]),
    "unknown method": (
        ["train", "--method", "mmal"],
        ["maml, fomaml, reptile", "Did you mean 'maml'?", "method='mmal'"],
    ),
    "a preset's name of a method": (["train", "--method", "protonet"], ["Did you mean 'prototypical'?"]),
    "a preset with the method's name": (
        ["train", "--preset", "prototypical-omniglot-5w1s"],
        ["Did you mean 'protonet-omniglot-5w1s'?"],
    ),
    "a pretrained learner with the method's name": (
        ["evaluate", "prototypical-omniglot-5w1s"],
        ["Did you mean 'protonet-omniglot-5w1s'?"],
    ),
    "a method's words in a comparison": (["compare", "maml", "matching-networks"], ["Did you mean 'matching'?"]),
    "unknown option of a method": (
        ["train", "--method", "maml++", "--set", "colour=red"],
        ["options of maml++ are multi_step_loss (int), ", "Received: colour='red'"],
    ),
    "a mistyped option of a method": (
        ["train", "--method", "maml++", "--set", "learn_rate=true"],
        ["Did you mean 'learn_rates'?", "Received: learn_rate='true'"],
    ),
    "a mistyped pretrained learner": (["evaluate", "maml-quikstart"], ["Did you mean 'maml-quickstart'?"]),
    "a pretrained learner without a folder": (["plot", "maml-quickstart"], ["with --out", "Received: maml-quickstart"]),
    "a bad size": (["train", "--image-size", "big"], ["60x80", "Received: image_size='big'"]),
    "bad fractions": (["evaluate", "maml-quickstart", "--fractions", "1,2"], ["add up to 1", "fractions='1,2'"]),
    "a size of no folder": (["train", "--dataset", "glyphs", "--image-size", "40"], ["folder of images alone"]),
    "a size of no folder, quickstart": (["quickstart", "--grayscale"], ["folder of images alone", "grayscale=True"]),
    "no support": (
        ["predict", "maml-quickstart", "--support", "nowhere", "--images", "nowhere"],
        ["support must be a folder", "Received: nowhere"],
    ),
    "an option's type": (["train", "--set", "inner_clip_norm=long"], ["(float)", "Received: inner_clip_norm='long'"]),
    "an option without a value": (["train", "--set", "distance"], ["name=value", "Received: distance"]),
    "an option of another method": (
        ["train", "--preset", "reptile-omniglot-5w1s", "--set", "distance=cosine"],
        ["options of reptile", "Received: distance='cosine'"],
    ),
    "unknown data set": (
        ["train", "--dataset", "omniglott"],
        ["glyphs or", "Did you mean 'omniglot'?", "dataset='omniglott'"],
    ),
    "no data set": (["train", "--dataset", ""], ["or a folder", "dataset=''"]),
    "zero ways": (["train", "--n-way", "0"], ["at least 1", "n_way=0"]),
    "a rate of zero": (["train", "--learning-rate", "0"], ["positive number", "learning_rate=0.0"]),
    "no minutes": (["quickstart", "--minutes", "0"], ["--minutes", "0.01"]),
    "quickstart's data set": (["quickstart", "--dataset", "nowhere"], ["dataset='nowhere'"]),
    "nothing to resume": (["train", "--resume", "nowhere"], ["settings.json", "nowhere"]),
    "resume and settings": (
        [
            "train",
            "--resume",
            "nowhere",
            "--epochs",
            "9",
            "--seed",
            "1",
            "--preset",
            "x",
            "--run-dir",
            "y",
            "--set",
            "z=1",
        ],
        ["its own settings", "Received: seed, set, preset, run_dir"],
    ),
    "no run to judge": (["evaluate", "nowhere"], ["settings.json", "nowhere, which is neither"]),
    "no run to draw": (["plot", "nowhere"], ["settings.json", "nowhere"]),
    "unknown split": (
        ["evaluate", "nowhere", "--split", "tset"],
        ["test or all", "Did you mean 'test'?", "split='tset'"],
    ),
}


@pytest.mark.parametrize(("arguments", "parts"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_what_was_expected_and_writes_nothing(arguments, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = tfmeta(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    for part in parts:
        assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())
