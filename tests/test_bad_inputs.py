"""A table of bad inputs of every public function: each is refused at once, in words that say what was expected.

Those of the learners are in tests/test_bad_inputs_of_learners.py.
"""

import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

import tfmeta
from tests.spoilt import ids, refused, right_things
from tfmeta import augmentation, checks, datasets, functional, networks
from tfmeta.app.cli import app
from tfmeta.datasets import from_arrays, from_directory, labelled_batches, load_glyphs, load_omniglot, split_classes

NAN, INF, V, T = float("nan"), float("inf"), ValueError, TypeError
FLAG, SIZE, STEPS = "must be True or False", "number of at least 1", "number of at least 0"


@pytest.fixture(scope="module")
def s(tmp_path_factory):
    """The right things."""
    return right_things(tmp_path_factory.mktemp("bad"))


def spoil(function, name, values, words, error=(V, T)):
    """A row for each value of an argument."""
    return [
        (f"{name}={value!r}", lambda s, value=value: function(s)(**{name: value}), error, f"{words}.*Received: ")
        for value in values
    ]


def rows(title, *groups):
    return [(f"{title} {row[0]}", *row[1:]) for group in groups for row in group]


def sampled(s):
    return lambda **more: tfmeta.sample_episode(**{"data": s.classes, "seed": 0} | s.sizes | more)


DATA = [
    *rows(
        "episode_dataset",
        spoil(lambda s: s.stream, "n_way", (0, -1, "2", True, 1.5, NAN, None, (3, 2), (1, 2, 3), ()), "n_way must be"),
        spoil(lambda s: s.stream, "n_way", (9,), "at most the number of classes, and 'tiny' has 4"),
        spoil(lambda s: s.stream, "k_shot", (0, "1", 99), r"k_shot"),
        spoil(lambda s: s.stream, "meta_batch_size", (0, None, (1, 2)), f"meta_batch_size must be a whole {SIZE}"),
        spoil(lambda s: s.stream, "seed", (-1, None, 1.5, 2**64), "seed must be a whole number from 0"),
        spoil(lambda s: s.stream, "start", (-1, "1", True), f"start must be a whole {STEPS}"),
        spoil(lambda s: s.stream, "with_ids", ("yes",), FLAG),
    ),
    *rows(
        "sample_episode",
        spoil(sampled, "data", (None, "omniglot", np.zeros(3)), "data must be an ImageClasses", T),
        spoil(sampled, "seed", (None, True), "seed must be"),
    ),
    *rows(
        "sinusoid_episodes",
        spoil(lambda s: s.waves, "amplitudes", (None, 3, (1,), (2, 1), (0, INF), "ab"), r"\(lowest, highest\), finite"),
        spoil(lambda s: s.waves, "k_shot", (0, "1"), f"k_shot must be a whole {SIZE}"),
        spoil(lambda s: s.waves, "start", (True,), "start must be"),
    ),
    ("augment None", lambda s: augmentation.augment(None, augmentation.shift, seed=0), T, "Received: NoneType"),
    ("augment nothing", lambda s: augmentation.augment(s.stream(), seed=0), V, r"Received: transforms=\(\)"),
    (
        "augment word",
        lambda s: augmentation.augment(s.stream(), "turn", seed=0),
        T,
        r"Received: transforms\[0\]='turn'",
    ),
    ("augment start", lambda s: augmentation.augment(s.stream(), print, seed=0, start=-1), V, "Received: start=-1"),
    ("augment gone", lambda s: augmentation.augment(s.stream(), lambda e, k: None, seed=0), T, "Received: None"),
    ("augment waves", lambda s: augmentation.augment(s.waves(), augmentation.shift, seed=0), V, "images must be"),
    *[
        (f"{name} {what}", lambda s, name=name, given=given: getattr(augmentation, name)(*given(s)), (V, T), words)
        for name in ("rotate_classes", "shift", "elastic", "label_noise")
        for what, given, words in (
            ("None", lambda s: (None, s.key), "must be an Episode. Received: episode of type NoneType"),
            ("key None", lambda s: (s.images, None), r"integers \[2\]. Received: key=None"),
            ("key of 3", lambda s: (s.images, [1, 2, 3]), r"integers \[2\]. Received: key=\[1, 2, 3\]"),
        )
    ],
    ("shift vectors", lambda s: augmentation.shift(s.batch, s.key), V, "Received: support_x with shape"),
    ("shift pixels", lambda s: augmentation.shift(s.images, s.key, pixels=1.5), V, "Received: pixels=1.5"),
    ("elastic", lambda s: augmentation.elastic(s.images, s.key, strength="1"), V, "Received: strength='1'"),
    ("label_noise", lambda s: augmentation.label_noise(s.images, s.key, fraction=NAN), V, "Received: fraction=nan"),
    ("label_noise 2", lambda s: augmentation.label_noise(s.images, s.key, fraction=2), V, "Received: fraction=2"),
    ("label_noise waves", lambda s: augmentation.label_noise(next(iter(s.waves())), s.key), V, "Received: support_y"),
    *[
        (f"from_arrays {what}", lambda s, given=given: from_arrays(*given(s)), (V, T), words)
        for what, given, words in (
            ("None", lambda s: (None, s.labels), "Received: images=None"),
            ("no labels", lambda s: (s.pixels, None), r"Received: labels.shape=\(\)"),
            ("lengths", lambda s: (s.pixels, [0, 1]), r"one per image \(4\). Received: labels.shape=\(2,\)"),
            ("empty", lambda s: (s.pixels[:0], []), r"at least one image. Received: images.shape=\(0, 4"),
            ("one-hot", lambda s: (s.pixels, np.eye(4)), "one-hot rows.*Received: labels.shape"),
            ("half labels", lambda s: (s.pixels, [0, 0.5, 1, 1]), r"Received: labels\[1\]=0.5"),
            ("missing label", lambda s: (s.pixels, [0, None, 1, 1]), r"Received: labels\[1\]=None"),
            ("0 to 255", lambda s: (s.pixels + 200.0, s.labels), "Received: images"),
            ("NaN", lambda s: (s.pixels * NAN, s.labels), "images must be finite.*Received: 64"),
            ("names", lambda s: (s.pixels, s.labels, ["a", "a"]), "distinct names.*Received: class_names"),
            ("a number of names", lambda s: (s.pixels, s.labels, 5), "Received: class_names=5"),
            ("name", lambda s: (s.pixels, s.labels, None, 3), "must be a string. Received: name=3"),
        )
    ],
    ("from_directory None", lambda s: from_directory(None), T, "string or a path. Received: path=None"),
    ("from_directory nowhere", lambda s: from_directory(s.tmp / "no"), FileNotFoundError, "Received: path="),
    ("from_directory file", lambda s: from_directory(s.file), FileNotFoundError, "Received: path="),
    ("from_directory True", lambda s: from_directory(s.folder, image_size=True), V, "Received: image_size=True"),
    ("from_directory grey", lambda s: from_directory(s.folder, grayscale="no"), V, "Received: grayscale='no'"),
    ("split_classes None", lambda s: split_classes(None), T, "Received: classes of type NoneType"),
    ("split_classes words", lambda s: split_classes(s.classes, "abc"), V, "Received: fractions=abc"),
    ("split_classes 1.5", lambda s: split_classes(s.classes, (0.5, 0.5, 0.5)), V, "Received: fractions="),
    ("split_classes flag", lambda s: split_classes(s.classes, by_alphabet="no"), V, "Received: by_alphabet='no'"),
    ("select 9", lambda s: s.classes.select([9]), V, "Received: "),
    ("select word", lambda s: s.classes.select(["x"]), V, "Received: "),
    ("select none", lambda s: s.classes.select([]), V, "Received: "),
    ("ImageClasses", lambda s: datasets.ImageClasses(None, None, (), ()), T, "Received: images of type NoneType"),
    ("load_omniglot split", lambda s: load_omniglot("test"), V, "'vinyals' or 'lake'. Received: split='test'"),
    ("load_omniglot flag", lambda s: load_omniglot(rotations="no"), V, "Received: rotations='no'"),
    ("load_omniglot folder", lambda s: load_omniglot(data_dir=3), T, "Received: data_dir=3"),
    ("load_omniglot file", lambda s: load_omniglot(data_dir=s.file), OSError, "Received: data_dir="),
    ("load_glyphs", lambda s: load_glyphs(n_alphabets="3"), V, "Received: n_alphabets='3'"),
    ("load_glyphs seed", lambda s: load_glyphs(True), V, "Received: seed=True"),
    ("labelled_batches", lambda s: labelled_batches(None, batch_size=2, seed=0), T, "Received: data of type NoneType"),
    ("labelled_batches 99", lambda s: labelled_batches(s.classes, batch_size=99, seed=0), V, "Received: batch_size=99"),
    *rows(
        "conv4",
        spoil(lambda s: networks.conv4, "n_way", (0, "5", True), f"n_way must be a whole {SIZE}"),
        spoil(lambda s: networks.conv4, "input_shape", (None, 28, (28, 28), (8, 8, 1), "28x28"), "input_shape must be"),
        spoil(lambda s: networks.conv4, "downsample", ("avg", None), "'stride' or 'pool'"),
    ),
    *rows(
        "mlp",
        spoil(lambda s: networks.mlp, "hidden", (40, None, (0,), ("a",)), "hidden.* must be"),
        spoil(lambda s: networks.mlp, "input_shape", (3, None, (None,), (0,)), "input_shape.* must be"),
        spoil(lambda s: networks.mlp, "activation", ("reluu", 3), "activation must be the Keras name"),
    ),
]

LABELS = tf.constant([0, 1, 2])
FUNCTIONS = [
    *rows(
        "functional.adapt",
        spoil(lambda s: s.adapt, "inner_lr", (NAN, -math.inf, ".1", None, True), "rate must be a finite number"),
        spoil(lambda s: s.adapt, "inner_lr", ([0.1],), "one rate for each of the 2"),
        spoil(lambda s: s.adapt, "inner_steps", (-1, 1.5, True, "1"), "inner_steps must be"),
        spoil(lambda s: s.adapt, "loss", (None, 3), "loss must be a function", T),
        spoil(lambda s: s.adapt, "loss", ("mse", "mae"), "targets must have the shape of the outputs"),
        spoil(lambda s: s.adapt, "loss", ("nonsense",), "loss must be a function"),
        spoil(lambda s: s.adapt, "adapted", ([9], [-1], 0, "0"), "must be"),
    ),
    ("adapt None", lambda s: functional.adapt(None, s.params, s.x, LABELS, **s.given), T, "Received: network=None"),
    ("adapt params", lambda s: functional.adapt(s.net, s.params[:1], s.x, LABELS, **s.given), V, "Received: params of"),
    (
        "adapt floats",
        lambda s: functional.adapt(s.net, s.params, s.x, s.x[:, 0], **s.given),
        V,
        "Received: targets of shape",
    ),
    ("meta_gradient", lambda s: functional.meta_gradient(s.net, s.params, None, **s.given), T, "Received: episode of"),
    ("forward order", lambda s: functional.forward(s.net, s.params[::-1], s.x), V, "Received: params of shapes"),
    (
        "query_loss",
        lambda s: functional.query_loss(s.net, s.params, (s.x, LABELS)),
        T,
        "Received: episode of type tuple",
    ),
    ("cross_entropy None", lambda s: functional.cross_entropy(None, None), V, "Received: labels=None"),
    ("accuracy lengths", lambda s: functional.accuracy(LABELS[:2], s.x), V, "Received: labels with shape"),
    ("values", lambda s: functional.values(None), T, "Received: variables=None"),
    ("per_weight", lambda s: functional.per_weight(0.1), T, "Received: rates=0.1"),
    ("per_step", lambda s: functional.per_step(None), T, "Received: rates=None"),
    ("sgd", lambda s: functional.sgd(INF), V, "Received: rate=inf"),
    ("adam", lambda s: functional.adam("fast"), V, "Received: rate='fast'"),
    ("clipped", lambda s: functional.clipped(functional.sgd(0.1), 0), V, "Received: norm=0"),
    ("clip_gradients", lambda s: functional.clip_gradients(s.params, -1.0), V, "Received: norm=-1.0"),
    ("only", lambda s: functional.only(functional.sgd(0.1), [0.5]), V, r"Received: positions\[0\]=0.5"),
    ("inner_rates", lambda s: functional.inner_rates(None, s.params), T, "Received: inner_lr=None"),
    ("squared_euclidean", lambda s: tfmeta.squared_euclidean(s.x, s.x[:, :4]), V, "Received: a with shape"),
    (
        "prototypes None",
        lambda s: tfmeta.compute_prototypes(None, LABELS, 3),
        V,
        "Received: embeddings with shape=None",
    ),
    ("prototypes n_way", lambda s: tfmeta.compute_prototypes(s.x, LABELS, "3"), V, "Received: n_way='3'"),
    ("prototypes labels", lambda s: tfmeta.compute_prototypes(s.x, LABELS[:2], 3), V, "Received: labels with shape"),
    ("logits", lambda s: tfmeta.prototypical_logits(s.x, [0.0, 1.0, 2.0], s.x, 3), V, "Received: labels with shape"),
    ("attention", lambda s: tfmeta.cosine_attention(s.x, LABELS, s.x[:, :4], 3), V, "Received: query with shape"),
    ("attention scale", lambda s: tfmeta.cosine_attention(s.x, LABELS, s.x, 3, NAN), V, "Received: scale=nan"),
    (
        "reptile_update",
        lambda s: tfmeta.reptile_update(s.params, s.params[:1], 0.1),
        V,
        "Received: fast_weights with 1",
    ),
    ("plot curve None", lambda s: tfmeta.plot_adaptation_curve(None), T, "Received: curve of type NoneType"),
    ("plot no curve", lambda s: tfmeta.plot_adaptation_curve([]), V, "Received: an empty sequence"),
    ("plot confusion", lambda s: tfmeta.plot_confusion(s.score), V, "Received: score.details=None"),
    ("plot episode", lambda s: tfmeta.plot_episode(s.classes), T, "Received: episode of type ImageClasses"),
    ("plot meta-batch", lambda s: tfmeta.plot_episode(s.images), V, "Received: support_x with shape"),
    ("plot embeddings", lambda s: tfmeta.plot_embeddings(s.x, [0, 1], s.x, LABELS), V, "Received: support_y with"),
    ("plot axes", lambda s: tfmeta.plot_embeddings(s.x, LABELS, s.x + 1, LABELS, ax=3), T, "Received: ax of type int"),
    ("load_pretrained", lambda s: tfmeta.load_pretrained("maml-quickstar"), V, "Did you mean 'maml-quickstart'"),
    ("load_pretrained None", lambda s: tfmeta.load_pretrained(None), V, "Received: name=None"),
    ("load_model", lambda s: keras.models.load_model(s.file), V, "file.txt"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", DATA + FUNCTIONS, ids=ids(DATA + FUNCTIONS))
def test_functions_refuse(s, row):
    refused(row[1], s, *row[2:])


WORDS = [
    ("train --method protonet", "method must be one of .*Received: method='protonet'"),
    ("train --preset nope", "Received: preset='nope'"),
    ("train --dataset nope", "existing folder of images. Received: dataset='nope'"),
    ("train --n-way 0", "Received: n_way=0"),
    ("train --n-way five", "Invalid value"),
    ("train --epochs 0", "Received: epochs=0"),
    ("train --learning-rate nan", "Received: learning_rate=nan"),
    ("train --inner-steps=-1", "Received: inner_steps=-1"),
    ("train --schedule steps", "Received: schedule='steps'"),
    ("train --seed 99999999999", r"below 2\*\*32. Received: seed=99999999999"),
    ("train --set nonsense", "must be name=value.*Received"),
    ("train --set depth=3", "options of maml are .*Received: depth='3'"),
    ("train --run-dir FOLDER", "exists and is not overwritten"),
    ("train --resume FOLDER", "a run folder has a settings.json. Received: "),
    ("train --resume FOLDER --epochs 3", "a run folder has a settings.json. Received: "),
    ("train --resume FOLDER --seed 3", "without other options than --epochs. Received: seed"),
    ("train --distribute all", "Received: distribute='all'"),
    ("presets nope", "Received: preset='nope'"),
    ("evaluate nowhere", "a folder with a settings.json, or a pretrained .* Received: nowhere"),
    ("evaluate maml-quickstart --split alls", "Did you mean .all.. Received: split=.alls."),
    ("plot FOLDER", "a run folder has a settings.json. Received: "),
    ("quickstart --out FOLDER", "exists and is not overwritten"),
    ("quickstart --minutes inf", "Received: minutes=inf"),
    ("doctor --data-dir FILE", "WRONG.*Received: data_dir="),
    ("nonsense", "No such command"),
]


@pytest.mark.parametrize(("line", "words"), WORDS, ids=[line for line, _ in WORDS])
def test_the_command_line_refuses(s, line, words):
    given = [{"FOLDER": str(s.folder), "FILE": str(s.file)}.get(word, word) for word in line.split()]
    result = CliRunner().invoke(app, given)
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert re.search(rf"(?s){words}", result.output), result.output


def test_exercises_answer_in_words_whatever_they_are_given(capsys):
    for name in sorted(set(checks.__all__) - {"Result", "predict", "progress", "quiz"}):  # these examine no function
        for answer in (None, 3, "a", [1], NAN, lambda *a, **k: "x", lambda: 1, lambda *a, **k: 1 / 0):
            assert not getattr(checks, name)(answer).passed, (name, answer)
    capsys.readouterr()


def test_numpy_scalars_are_numbers_and_whole_numbers(s):
    learner = tfmeta.MAML(s.net, inner_lr=np.float32(0.1), inner_steps=np.int64(1))
    assert learner.adapt(s.x, s.y, inner_steps=np.int32(2)).predict_on_batch(s.x).shape == (3, 3)
    sizes = {name: np.int64(size) for name, size in s.sizes.items()}
    assert tfmeta.sample_episode(s.classes, **sizes, seed=np.uint32(3)).support_x.shape == (2, 4, 4, 1)
