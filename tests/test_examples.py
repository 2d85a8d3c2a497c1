"""Every script of examples/, as printed, in quick form: it ends well, and what it promises is there."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmeta
from tests.algorithms.pieces import task
from tfmeta import functional
from tfmeta.datasets import sinusoid_episodes

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(command, folder):
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "TFMETA": f"{sys.executable} -m tfmeta",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def python(name, folder, *arguments):
    return run([sys.executable, EXAMPLES / name, *arguments], folder)


def test_every_script_is_short_and_is_run_here():
    scripts = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh"))
    assert {name: n for name in scripts if (n := (EXAMPLES / name).read_text().count("\n")) > 40} == {}
    assert len(scripts) == 8
    text = Path(__file__).read_text()
    assert [name for name in scripts if f'"{name}"' not in text and name[:-3] not in text] == []


def test_a_homework_grades_itself(tmp_path):
    rows = [line.split(" | ") for line in python("homework.py", tmp_path).splitlines()]
    assert [(row[0].strip(), row[1]) for row in rows] == [("reptile_update", "1"), ("accuracy", "0")]


def test_methods_are_compared(tmp_path):
    out = python("compare_methods.py", tmp_path, 2)
    assert out.count("mean of 3 trainings") == 6
    assert [out.count(f", {name}, ") for name in ("MAML", "FOMAML", "PrototypicalNetwork")] == [2, 2, 2]
    assert all((tmp_path / name).stat().st_size > 5000 for name in ("scores.png", "adaptation.png"))


def test_photos_are_classified_by_name(tmp_path):
    rng = np.random.default_rng(0)
    for c, name in enumerate(("cat", "dog", "hen", "owl")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            pixels = np.clip(rng.normal(50 + 40 * c, 30, (40 + 3 * i, 50, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    lines = python("photos.py", tmp_path, tmp_path / "photos", 2).splitlines()
    found = [line for line in lines if line.endswith(" %)")]
    known = {line.split("/")[0] for line in found}
    assert len(found) == 6
    assert len(known) == 2
    assert {line.split(": ")[1].split(" (")[0] for line in found} <= known
    assert (tmp_path / "photos.keras").is_file()


def test_curves_are_learned_and_drawn(tmp_path):
    assert "mean squared error" in python("own_curves.py", tmp_path, 3)
    assert (tmp_path / "own_curves.png").stat().st_size > 5000


def test_text_is_classified_by_name(tmp_path):
    out = python("text.py", tmp_path, 3)
    assert "3-way 2-shot, 95 % interval over 200 episodes" in out
    assert set(eval(out.splitlines()[-1])) <= {"music", "travel", "garden"}


def test_the_set_up_is_checked(tmp_path):
    assert python("check_setup.py", tmp_path, 20).splitlines()[-1] == "set up"


def test_the_command_line_does_it_without_python(tmp_path):
    out = run(["bash", EXAMPLES / "command_line.sh", tmp_path / "run", "--epochs 1 --steps-per-epoch 2"], tmp_path)
    assert out.count("accuracy ") >= 3
    assert (tmp_path / "run" / "episode.png").is_file()


@pytest.fixture(scope="module")
def own():
    names = {}
    exec(compile((EXAMPLES / "own_methods.py").read_text(), "own_methods.py", "exec"), names)
    return names


def mlp():
    keras.utils.set_random_seed(0)
    return tfmeta.networks.mlp(hidden=(8,))


@keras.saving.register_keras_serializable("tests")
class Context(keras.layers.Layer):
    def build(self, input_shape):
        self.context = self.add_weight(shape=(2,), initializer="zeros", name="context")

    def call(self, x):
        return tf.concat([x, tf.repeat(self.context[None], tf.shape(x)[0], axis=0)], axis=1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 2)


def contextual():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((1,)), Context(), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])


OWN = {
    "MomentumMAML": lambda own: own["MomentumMAML"](mlp()),
    "BOIL": lambda own: own["BOIL"](mlp(), inner_steps=2),
    "CAVIA": lambda own: own["CAVIA"](contextual(), inner_steps=2),
}


@pytest.mark.parametrize("name", OWN)
def test_methods_of_ones_own_train_save_and_adapt(own, name, tmp_path):
    waves = sinusoid_episodes(k_shot=4, n_query=4, meta_batch_size=2, seed=0)
    learner = OWN[name](own)
    learner.compile("adam")
    history = learner.fit(waves, steps_per_epoch=3, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    learner.save(tmp_path / "own.keras")
    loaded = keras.models.load_model(tmp_path / "own.keras")
    one = task(next(iter(waves)))
    for x in (learner, loaded):
        assert x.label == name
        adapted = x.adapt(one.support_x, one.support_y)
        np.testing.assert_allclose(adapted(one.query_x), x.query_outputs(one), atol=1e-5)
    np.testing.assert_allclose(loaded.query_outputs(one), learner.query_outputs(one), atol=1e-6)


def test_momentum_without_decay_is_maml_and_boil_is_the_packages(own):
    one = task(next(iter(sinusoid_episodes(k_shot=4, n_query=4, meta_batch_size=1, seed=0))))
    momentum = OWN["MomentumMAML"](own)
    momentum.decay.assign(0.0)
    maml = tfmeta.MAML(mlp(), inner_lr=0.01, inner_steps=3)
    np.testing.assert_allclose(momentum.query_outputs(one), maml.query_outputs(one), atol=1e-6)
    boil = tfmeta.BOIL(mlp(), inner_lr=0.1, inner_steps=2)
    np.testing.assert_allclose(OWN["BOIL"](own).query_outputs(one), boil.query_outputs(one), atol=1e-6)


def test_the_context_starts_at_zero_in_every_task_and_alone_moves(own):
    one = task(next(iter(sinusoid_episodes(k_shot=4, n_query=4, meta_batch_size=1, seed=0))))
    learner = OWN["CAVIA"](own)
    before = functional.values(learner.network.trainable_variables)
    learner.network.trainable_variables[0].assign([5.0, -3.0])
    start = learner.fast_weights(one, inner_steps=0)
    np.testing.assert_array_equal(start[0], [0.0, 0.0])
    moved = learner.fast_weights(one)
    assert np.abs(moved[0]).max() > 0
    for a, b in zip(moved[1:], before[1:], strict=True):
        np.testing.assert_array_equal(a, b)
