import dataclasses
import inspect
import json
import signal
import subprocess

import PIL.Image
import pytest
import typer
from typer.testing import CliRunner

from tests.helpers import (
    COMMAND,
    ROOT,
    assert_shows_something,
    contents,
    draw_folder,
    environment,
    log_rows,
    tiny_splits,
)
from tfmeta.app import building, cli, presets, quickstart, runs
from tfmeta.app.commands import train as training
from tfmeta.app.methods import RECIPES
from tfmeta.app.presets import PRESETS
from tfmeta.app.settings import TrainSettings
from tfmeta.app.task_kinds import TASK_PRESETS
from tfmeta.version import __version__

SMALL = ["--n-way", "3", "--filters", "4", "--steps-per-epoch", "2", "--meta-batch-size", "2", "--test-episodes", "10"]
SMALL += ["--eval-inner-steps", "1"]


def tfmeta(*arguments):
    """The command in this process: its status, and what it printed on both screens."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def train(images, folder, *options, epochs=2):
    return tfmeta("train", "--dataset", images, "--run-dir", folder, "--epochs", epochs, *SMALL, *options)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("images") / "own")


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    """Per method: run folder and result of `tfmeta train`; made when first asked for."""
    made = {}

    def run(method):
        if method not in made:
            folder = tmp_path_factory.mktemp(method) / "run"
            made[method] = folder, train(images, folder, "--method", method, "--seed", 3)
        return made[method]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("method", ["maml", "prototypical"])
def test_train_evaluate_and_plot_from_end_to_end(trained, images, tmp_path, method):
    folder, result = trained(method)
    assert (result.exit_code, result.stderr) == (0, "")
    score = runs.load_score(folder)
    shown, note, last = result.stdout.splitlines()[-3:]
    assert (shown, last) == (str(score), f"run folder: {folder}")
    assert note.startswith("note: this rests on 3 classes and 18 distinct query images, asked 8 times each")
    assert [line[:9] for line in result.stdout.splitlines()[:2]] == ["epoch 1/2", "epoch 2/2"]
    expected = dataclasses.replace(
        presets.defaults(method), dataset=str(images), n_way=3, filters=4, epochs=2, steps_per_epoch=2,
        meta_batch_size=2, test_episodes=10, seed=3, eval_inner_steps=1,
    )  # fmt: skip
    assert runs.read_settings(folder) == expected
    assert (len(log_rows(folder)), score.n_query, score.data) == (2, 5, "own test")

    judged = tfmeta("evaluate", folder, "--episodes", 10)  # with the 5 queries that the smallest class leaves
    assert (judged.exit_code, judged.stdout) == (0, f"{score}\n{note}\n")
    before = contents(folder)
    drawn = tfmeta("plot", folder, "--out", tmp_path / "pictures")
    names = ["log.png", "episode.png", "adaptation.png" if method == "maml" else "embedding.png"]
    assert (drawn.exit_code, drawn.stderr) == (0, "")
    assert drawn.stdout.splitlines() == [str(tmp_path / "pictures" / name) for name in names]
    for name in names:
        assert_shows_something(tmp_path / "pictures" / name)
    assert contents(folder) == before


def test_evaluate_on_other_images_than_those_of_training(trained, images, tmp_path):
    """Transfer: the same weights and episodes, judged on the data that is named."""
    folder, _ = trained("prototypical")
    blank = draw_folder(tmp_path / "blank")
    for path in blank.rglob("*.png"):
        PIL.Image.new("L", (16, 16), 255).save(path)
    options = ["--n-way", 3, "--n-query", 3, "--episodes", 20, "--seed", 5]
    own, other = (tfmeta("evaluate", folder, "--dataset", data, *options).stdout for data in (images, blank))
    assert "own test" in own
    assert "blank test" in other
    # Images that are all alike: every class is as near as the others, and the first is chosen.
    assert "accuracy 33.33 % +- 0.00" in other
    assert "33.33 %" not in own


def test_evaluate_on_other_episodes(trained, images):
    folder, _ = trained("prototypical")
    options = ["--split", "validation", "--n-way", 2, "--k-shot", 2, "--n-query", 3, "--episodes", 7, "--seed", 5]
    result = tfmeta("evaluate", folder, "--dataset", images, *options, "--no-transductive")
    assert result.exit_code == 0
    assert "2-way 2-shot" in result.stdout
    assert "over 7 episodes, 3 queries a class, own validation" in result.stdout
    assert result.stdout.splitlines()[0].endswith("seed 5)")


@pytest.mark.slow
def test_pictures_are_replaced_only_when_forced(trained, tmp_path):
    folder, out = trained("prototypical")[0], tmp_path / "out"
    out.mkdir()
    (out / "episode.png").write_text("mine")
    refused = tfmeta("plot", folder, "--out", out)
    assert refused.exit_code == 2
    assert refused.stderr == f"tfmeta: {out}/episode.png exists and is not overwritten; say --force to replace it\n"
    assert contents(out) == {"episode.png": b"mine"}
    assert tfmeta("plot", folder, "--out", out, "--force").exit_code == 0
    assert_shows_something(out / "episode.png")
    first = contents(out)
    assert tfmeta("plot", folder, "--out", out, "--force", "--seed", 8).exit_code == 0
    assert contents(out)["episode.png"] != first["episode.png"]


@pytest.mark.parametrize(("option", "received"), [("--n-way", "n_way=0"), ("--k-shot", "k_shot=0")])
def test_zero_is_not_taken_for_not_given(trained, option, received):
    result = tfmeta("evaluate", trained("prototypical")[0], option, 0, "--n-query", 5)
    assert result.exit_code == 2
    name = received.removesuffix("=0")
    assert result.stderr == f"tfmeta: {name} must be a whole number of at least 1. Received: {received}\n"


def test_a_folder_that_exists_is_refused_before_data_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "load_data", lambda *_, **__: pytest.fail("data was loaded"))
    (tmp_path / "note.txt").write_text("mine")
    result = tfmeta("train", "--run-dir", tmp_path)
    assert result.exit_code == 2
    assert f"run folder {tmp_path} exists and is not overwritten" in result.stderr
    assert f"tfmeta train --resume {tmp_path}" in result.stderr
    result = tfmeta("quickstart", "--out", tmp_path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert f"{tmp_path} exists and is not overwritten; choose another folder with --out" in result.stderr
    assert contents(tmp_path) == {"note.txt": b"mine"}


def test_a_run_that_has_not_ended_says_how_to_end_it(trained, tmp_path):
    (tmp_path / "settings.json").write_text((trained("prototypical")[0] / "settings.json").read_text())
    for command in ("evaluate", "plot"):
        result = tfmeta(command, tmp_path)
        assert result.exit_code == 2
        assert f"finish it with tfmeta train --resume {tmp_path}" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_presets_are_listed_and_described():
    result = tfmeta("presets")
    assert result.stdout.split() == [*PRESETS, *TASK_PRESETS]
    result = tfmeta("presets", "reptile-omniglot-5w1s")
    assert (result.exit_code, "97.68" in result.stdout, "1803.02999" in result.stdout) == (0, True, True)
    for option in RECIPES["reptile"].options:
        assert f"  --set:      {option}\n" in result.stdout
    result = tfmeta("presets", "reptil-omniglot-5w1s")
    assert (result.exit_code, "'reptile-omniglot-5w1s'?" in result.stderr) == (2, True)


def test_options_go_over_a_preset_and_every_setting_is_an_option(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(runs, "load_data", lambda *_, **__: tiny_splits())
    monkeypatch.setattr("tfmeta.app.breadth.note", lambda *_: "")
    monkeypatch.setattr(runs, "train", lambda *given, **_: (asked.append(given), (None, "score"))[1])
    monkeypatch.chdir(tmp_path)
    result = tfmeta("train", "--preset", "maml-quickstart", "--seed", 4)
    assert (result.exit_code, asked[0][0].to_dict()) == (0, PRESETS["maml-quickstart"].settings.to_dict() | {"seed": 4})
    assert str(asked[0][1]).startswith("runs/maml-5w1s-")
    fields = TrainSettings().to_dict()
    assert set(fields) <= set(inspect.signature(training.train).parameters)
    other = {name: value + 1 if isinstance(value, int) else 0.5 for name, value in fields.items()}
    other |= {"method": "fomaml", "dataset": "glyphs", "schedule": "cosine", "downsample": "pool", "optimizer": "sgd"}
    other |= {"dataset": str(tmp_path), "image_size": "60x80", "fractions": "0.5,0.5"}
    other |= {"train_way": 9, "train_shot": 8, "inner_batch_size": 7, "eval_inner_batch_size": 6}
    result = tfmeta("train", *(part for k, v in other.items() for part in (f"--{k.replace('_', '-')}", v)))
    other |= {"image_size": [60, 80], "fractions": [0.5, 0.5]}
    assert (result.exit_code, asked[1][0].to_dict()) == (0, other), result.stderr
    result = tfmeta("train", "--method", "maml++", "--set", "learn_rates=false", "--set", "first_order_steps=7")
    assert result.exit_code == 0
    assert asked[2][0].options == {"learn_rates": False, "first_order_steps": 7}


def test_ctrl_c_before_there_is_a_run_gives_no_advice_that_cannot_work(monkeypatch, tmp_path):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    for module, place in ((runs, "load_data"), (building, "build_learner")):
        with monkeypatch.context() as patch:
            patch.setattr(runs, "load_data", lambda *_, **__: tiny_splits())
            patch.setattr(module, place, stop)
            result = tfmeta("train", "--run-dir", tmp_path / "run")
        assert (result.exit_code, result.stderr) == (130, "")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_says_how_to_go_on_and_resume_finishes(images, tmp_path):
    """The installed command; enough epochs that it cannot end before the signal comes."""
    folder = tmp_path / "run"
    options = ["--method", "prototypical", "--dataset", images, "--run-dir", folder, "--epochs", "12", *SMALL]
    process = subprocess.Popen(
        [COMMAND, "train", *options], cwd=ROOT, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Tests that were started in the background ignore Ctrl-C, and what they start would, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch  2/12"):
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == f"\nstopped. Go on from the last epoch with: tfmeta train --resume {folder}\n"
    done = len(log_rows(folder))
    assert 2 <= done < 12
    assert not (folder / "model.keras").exists()
    result = tfmeta("train", "--resume", folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"epoch {done:2}/12" not in result.stdout
    assert f"epoch {done + 1:2}/12" in result.stdout
    assert [int(row["epoch"]) for row in log_rows(folder)] == list(range(12))
    assert json.loads((folder / "score.json").read_text())["episodes"] == 10


def test_quickstart_passes_its_options_on(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(quickstart, "run", lambda *arguments: asked.append(arguments))
    assert tfmeta("quickstart").exit_code == 0
    result = tfmeta(
        "quickstart", "--out", tmp_path / "o", "--dataset", "glyphs", "--minutes", 2, "--data-dir", tmp_path
    )
    assert (result.exit_code, asked[1]) == (0, (tmp_path / "o", "glyphs", 2.0, tmp_path, {}))
    assert asked[0][0].parent.name == "runs"
    assert asked[0][1:] == ("omniglot", 4.7, None, {})
    options = ["--image-size", "40", "--grayscale", "--fractions", "0.5,0.5"]
    assert tfmeta("quickstart", "--dataset", tmp_path, "--out", tmp_path / "o", *options).exit_code == 0
    assert asked[2][4] == {"image_size": 40, "grayscale": True, "fractions": (0.5, 0.5)}


def test_help_names_every_command_and_explains_every_option():
    commands = typer.main.get_command(cli.app).commands
    assert {"quickstart", "train", "presets", "evaluate", "plot", "predict", "doctor"} <= set(commands)
    assert set(commands) <= set(tfmeta("--help").stdout.split())
    for name, command in commands.items():
        assert len(command.params) >= 1
        for parameter in command.params:
            assert parameter.help, f"{name} {parameter.name}"
        assert tfmeta(name, "--help").exit_code == 0


def test_every_option_of_training_is_a_setting_with_the_settings_help_and_type():
    options = {option.name: option for option in typer.main.get_command(cli.app).commands["train"].params}
    for field in dataclasses.fields(TrainSettings):
        if field.name != "options":
            assert options[field.name].help == field.metadata["help"]
            assert options[field.name].opts == [f"--{field.name.replace('_', '-')}"]
            # None is "not given": the preset's own value then counts.
            assert options[field.name].default is None
            assert options[field.name].show_default or field.name == "grayscale"


def test_defaults_are_in_the_help():
    words = " ".join(tfmeta("train", "--help").stdout.split())
    for shown in ("(maml)", "(omniglot)", "(28)", "(by the method; maml 1.0)", "(by the method; maml cosine)", "(10)"):
        assert f"[default: {shown}]" in words
    assert "[default: (15, or what the smallest class leaves)]" in " ".join(tfmeta("evaluate", "--help").stdout.split())


def test_the_version():
    assert tfmeta("--version").stdout == f"tfmeta {__version__}\n"
