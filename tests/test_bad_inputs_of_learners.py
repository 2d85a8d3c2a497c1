"""A table of bad inputs of every learner: each is refused at once, by name, in words that say what was expected.

What every method refuses besides is in tests/algorithms/test_contract_refusals.py.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.spoilt import Dense, dense, ids, refused, right_things

NAN, INF, V, T = float("nan"), float("inf"), ValueError, TypeError


@pytest.fixture(scope="module")
def s(tmp_path_factory):
    """The right things."""
    return right_things(tmp_path_factory.mktemp("bad"))


def frozen():
    network = dense(Dense(3))
    network.trainable = False
    return network


def two_outputs():
    x = keras.Input((5,))
    return keras.Model(x, [Dense(3)(x), Dense(2)(x)])


NETWORKS = [
    ("none", lambda s: None, T, r"must be a keras.Model. Received: \w+ of type NoneType"),
    ("a word", lambda s: "conv4", T, r"must be a keras.Model. Received: \w+ of type str"),
    ("a class", lambda s: keras.Sequential, T, r"must be a keras.Model. Received: \w+ of type"),
    ("not built", lambda s: keras.Sequential([Dense(3)]), V, "must be built.*Received: .*no variables yet"),
    ("several outputs", lambda s: two_outputs(), V, "must have one output.*Received: .* with 2"),
    ("frozen", lambda s: frozen(), V, "must have trainable variables. Received: .*'net' with none"),
]
LEARNERS = ("MAML", "ANIL", "BOIL", "MAMLPlusPlus", "MetaSGD", "Reptile", "ProtoMAML", "MatchingNetwork")
LEARNERS = (*LEARNERS, "PrototypicalNetwork", "FineTunedClassifier", "NearestNeighbour")
# Learners without weights to learn take a frozen encoder, and the nearest neighbour none at all.
TAKEN = {("FineTunedClassifier", "frozen"), ("NearestNeighbour", "frozen"), ("NearestNeighbour", "none")}


def of_learner(name, network):
    more = {"n_classes": 3} if name == "FineTunedClassifier" else {}
    return lambda s: getattr(tfmeta, name)(network(s), **more)


MADE = [
    (f"{name} of {what}", of_learner(name, network), error, words)
    for name in LEARNERS
    for what, network, error, words in NETWORKS
    if (name, what) not in TAKEN
]

RATE, FLAG, SIZE, STEPS = "number of at least 0", "must be True or False", "whole number of at least 1", "of at least 0"
OPTIONS = [
    (kind, name, value, words)
    for kind, name, values, words in (
        ("MAML", "inner_lr", (NAN, INF, -0.1, True, "0.1", None, []), RATE),
        ("MAML", "inner_steps", (-1, 1.5, True, "1", None), STEPS),
        ("MAML", "first_order", ("no", None, 1), FLAG),
        ("MAML", "gradient_mode", ("reverse", None), "'nested' or 'mixed'"),
        ("MAML", "inner_clip_norm", (0, NAN, "1"), "number above 0"),
        ("MAML", "adversarial_epsilon", (-1, None), RATE),
        ("MAML", "loss", ("mean", 3, []), r"function of \(targets, outputs\)"),
        ("MAML", "name", (3, "a/b"), "must be a string"),
        ("ANIL", "adapt_layers", ("head", [], 3), "adapt_layers must"),
        ("BOIL", "inner_lr", (NAN,), RATE),
        ("MAMLPlusPlus", "learn_rates", ("no",), FLAG),
        ("MAMLPlusPlus", "multi_step_loss", (-1, 0.5), STEPS),
        ("MetaSGD", "initial_rates", (NAN, -1, "fast", (2, 1), None), "initial_rates"),
        ("Reptile", "inner_optimizer", ("rms", None), "inner_optimizer must be"),
        ("Reptile", "inner_batch_size", (0, 1.5), "inner_batch_size must be"),
        ("Reptile", "carry_moments", ("no",), FLAG),
        ("ProtoMAML", "start_gradient", (0,), FLAG),
        ("MatchingNetwork", "distance", ("l1", None), "'cosine' or 'euclidean'"),
        ("MatchingNetwork", "scale", (0, NAN), "number above 0"),
        ("MatchingNetwork", "full_context", ("yes",), FLAG),
        ("NearestNeighbour", "distance", ("l1",), "'cosine' or 'euclidean'"),
        ("FineTunedClassifier", "n_classes", (0, "3", True), SIZE),
        ("FineTunedClassifier", "adapt_encoder", ("no",), FLAG),
    )
    for value in values
]


def with_option(kind, name, value):
    def made(s):
        more = {"n_classes": 3} if kind == "FineTunedClassifier" else {}
        network = s.net if kind in LEARNERS[:6] else s.enc
        return getattr(tfmeta, kind)(network, **more | {name: value})

    return made


MADE += [
    (f"{kind}({name}={value!r})", with_option(kind, name, value), (V, T), f"{words}.*Received: {name}=")
    for kind, name, value, words in OPTIONS
]

LEARNING = [
    ("compile loss", lambda s: s.maml.compile(loss="mse"), V, "takes no loss.*Received: loss='mse'"),
    ("compile metrics", lambda s: s.maml.compile(metrics=["accuracy"]), V, r"takes no metrics.*Received: metrics=\["),
    ("compile optimizer word", lambda s: s.maml.compile("adamm"), V, "Keras optimizer.*Received: optimizer='adamm'"),
    ("compile optimizer None", lambda s: s.maml.compile(None), V, "Received: optimizer=None"),
    ("compile groups word", lambda s: s.maml.compile(group_optimizers="sgd"), T, "dictionary. Received: group_opt"),
    (
        "compile group",
        lambda s: s.maml.compile(group_optimizers={"x": "sgd"}),
        V,
        "Received: group_optimizers with 'x'",
    ),
    ("compile jit word", lambda s: s.maml.compile(jit_compile="yes"), V, "Received: jit_compile='yes'"),
    ("compile steps 0", lambda s: s.maml.compile(steps_per_execution=0), V, "Received: steps_per_execution=0"),
    ("compile float16", lambda s: tfmeta.MAML(dense(Dense(3, dtype="float16"))).compile(), V, "Received: float16 in"),
    ("fit None", lambda s: s.maml.fit(None), T, "must be a tf.data.Dataset of Episode.*Received: x of type NoneType"),
    ("fit array", lambda s: s.maml.fit(s.x), T, "Received: x of type ndarray"),
    ("fit a task", lambda s: s.proto.fit(s.task), V, r"\[episode\].*Received: support_x with shape=\(3, 5\)"),
    ("fit a meta-batch of images", lambda s: s.fine.fit(s.batch), T, "integer labels.*Received: x of type Episode"),
    ("fit an empty list", lambda s: s.maml.fit([]), V, "x must hold at least one episode. Received: an empty list"),
    ("fit sizes", lambda s: s.maml.fit([s.task, s.halved()]), V, "shapes and types of the first.*Received: task 1"),
    ("fit meta-batches", lambda s: s.maml.fit([s.batch]), V, r"inputs of shape \(5,\). Received: support_x with \(3"),
    ("validate a task", lambda s: s.maml.fit(s.data, validation_data=s.task), V, r"validation_data must.*\[episode\]"),
    ("evaluate() a task", lambda s: s.maml.evaluate(s.task), V, r"x must have.*\[episode\].*Received: support_x"),
    ("fit pairs", lambda s: s.maml.fit(tf.data.Dataset.from_tensors((s.x, s.y))), T, "Received: x of type"),
    ("fit endless", lambda s: s.maml.fit(s.data.repeat()), V, "say steps_per_epoch.*Received: steps_per_epoch=None"),
    ("fit epochs 0", lambda s: s.maml.fit(s.data, epochs=0), V, "Received: epochs=0"),
    ("fit epochs word", lambda s: s.maml.fit(s.data, epochs="2"), V, "Received: epochs='2'"),
    ("fit epochs True", lambda s: s.maml.fit(s.data, epochs=True), V, "Received: epochs=True"),
    ("fit steps 1.5", lambda s: s.maml.fit(s.data, steps_per_epoch=1.5), V, "Received: steps_per_epoch=1.5"),
    ("fit labels", lambda s: s.maml.fit(s.data, y=s.y), V, "Received: y="),
    ("fit callback", lambda s: s.maml.fit(s.data, callbacks=[3]), T, "Keras callbacks. Received: 3"),
    (
        "fit validation",
        lambda s: s.maml.fit(s.data, validation_data=(s.x, s.y)),
        T,
        "Received: validation_data of type",
    ),
    ("fit gap", lambda s: s.maml.fit(s.spoilt(query_y=[[0, 1, 4]], support_y=[[0, 1, 4]])), V, "Received: labels"),
    ("fit float labels", lambda s: s.proto.fit(s.spoilt(support_y=[[0.0, 1, 2]])), V, "Received: support_y with dtype"),
    ("fit two types", lambda s: s.maml.fit(s.spoilt(query_y=[[0.0, 1, 2]])), V, "of one type.*dtype=float32"),
    ("fit NaN", lambda s: s.maml.fit(s.spoilt(support_x=s.x[None] * NAN)), V, "Received: support_x with 15 NaN"),
    (
        "fit lengths",
        lambda s: s.maml.fit(s.spoilt(query_x=s.x[None, :2])),
        V,
        r"Received: query_x with shape=\(1, 2, 5",
    ),
    ("fit query shape", lambda s: s.proto.fit(s.spoilt(query_x=s.x[None, :, :4])), V, r"alike.*shape=\(1, 3, 4\)"),
    (
        "fit no query",
        lambda s: s.maml.fit(s.spoilt(query_x=s.x[None, :0], query_y=np.zeros((1, 0), int))),
        V,
        "one. Rec",
    ),
    ("fit bytes", lambda s: s.maml.fit(s.spoilt(support_x=np.ones((1, 3, 5), np.uint8))), V, "Received: .*dtype=uint8"),
    ("evaluate array", lambda s: s.maml.evaluate(s.x), T, "Received: x of type ndarray"),
    ("train_on_batch", lambda s: s.maml.train_on_batch(s.x), T, "on an Episode. Received: "),
    ("load_weights of text", lambda s: s.maml.load_weights(str(s.tmp / "a.weights.h5")), OSError, "a.weights.h5"),
]

SUPPORT = [
    ("None", lambda s: (None, None), "Received: support_x with"),
    ("empty", lambda s: (s.x[:0], []), r"at least one. Received: support_x with shape=\(0, 5\)"),
    ("lengths", lambda s: (s.x, [0, 1]), "same number of examples.*Received: support_x with shape"),
    ("words", lambda s: (s.x, [b"a", b"b", b"c"]), "Received: support_y with"),
    ("float labels", lambda s: (s.x, [0.0, 1.0, 2.0]), "Received: support_y with"),
    ("gap", lambda s: (s.x, [0, 1, 3]), r"every class present. Received: labels \[0, 1, 3\] in task 0"),
    ("negative", lambda s: (s.x, [-1, 0, 1]), r"Received: labels \[-1, 0, 1\]"),
    ("beyond int32", lambda s: (s.x, [0, 1, 2**40]), r"below 2\*\*31. Received: support_y with 1099511627776"),
    ("NaN", lambda s: (s.x * NAN, s.y), "must be finite. Received: support_x with 15"),
    ("infinite", lambda s: (s.x * INF, s.y), "must be finite. Received: support_x with 15"),
    ("shape", lambda s: (s.x[:, :4], s.y), r"inputs of shape \(5,\). Received: support_x with \(4,\)"),
    ("one without axis", lambda s: (s.x[0], 0), "Received: support_x with"),
    ("ragged", lambda s: ([[1, 2], [3], [4]], s.y), "array of numbers. Received: support_x"),
    ("bytes", lambda s: (s.x.astype(np.uint8), s.y), "Received: support_x with dtype=uint8"),
    ("objects", lambda s: ([object()] * 3, s.y), "must be numbers. Received: support_x"),
    ("one-hot", lambda s: (s.x, np.eye(3, dtype=int)), "one whole number an example. Received: support_y"),
]
LEARNING += [
    (f"{name}.adapt {what}", lambda s, n=name, f=pair: getattr(s, n).adapt(*f(s)), V, words)
    for name in ("maml", "proto", "fine")
    for what, pair, words in SUPPORT
]
LEARNING += [
    ("one example", lambda s: s.maml.adapt(s.x[:1], [0]), V, "n_way=1 wide.*Received: network='net'"),
    ("adapt steps", lambda s: s.maml.adapt(s.x, s.y, inner_steps=-1), V, "Received: inner_steps=-1"),
    ("adapt steps of none", lambda s: s.proto.adapt(s.x, s.y, inner_steps=2), V, "no inner loop. Received: inner_st"),
    ("query_outputs None", lambda s: s.maml.query_outputs(None), T, "Received: episode of type NoneType"),
    ("query_outputs of two", lambda s: s.maml.query_outputs([s.x, s.y]), T, "four arrays. Received: episode of type"),
    ("query_outputs meta-batch", lambda s: s.maml.query_outputs(s.batch), V, r"\(5,\). Received: support_x with \(3"),
    ("query_outputs NaN", lambda s: s.proto.query_outputs(s.task._replace(support_x=s.x * NAN)), V, "15 NaN"),
    ("query_outputs word", lambda s: s.maml.query_outputs(s.task, transductive="no"), V, "Received: transductive='no'"),
    ("fast_weights steps", lambda s: s.maml.fast_weights(s.task, 1.5), V, "Received: inner_steps=1.5"),
    ("fast_weights gap", lambda s: s.maml.fast_weights(s.task._replace(support_y=[0, 1, 4])), V, "Received: labels"),
    ("adaptation_path", lambda s: s.maml.adaptation_path(s.task, -1), V, "Received: inner_steps=-1"),
    ("evaluate None", lambda s: tfmeta.evaluate(None, s.batch), T, "learner must.*Received: learner of type NoneType"),
    ("evaluate class", lambda s: tfmeta.evaluate(tfmeta.MAML, s.batch), T, "Received: learner of type"),
    ("evaluate data", lambda s: tfmeta.evaluate(s.maml, "test", n_way=2, k_shot=1), T, "Received: data of type str"),
    ("evaluate no sizes", lambda s: tfmeta.evaluate(s.maml, s.classes), T, "Received: n_way=None, k_shot=None"),
    ("evaluate 1-way", lambda s: tfmeta.evaluate(s.proto, s.classes, n_way=1, k_shot=1), V, "Received: n_way=1"),
    ("evaluate 0", lambda s: tfmeta.evaluate(s.maml, s.batch, episodes=0), V, "Received: episodes=0"),
    ("evaluate details", lambda s: tfmeta.evaluate(s.maml, s.batch, details="all"), V, "Received: details='all'"),
    ("evaluate an empty list", lambda s: tfmeta.evaluate(s.maml, []), V, "at least one episode.*an empty list"),
    ("evaluate a task", lambda s: tfmeta.evaluate(s.maml, s.task), V, r"\[episode\]. Received: support_x with shape"),
    ("evaluate empty", lambda s: tfmeta.evaluate(s.maml, s.data.take(0)), V, "Received: an empty dataset"),
    ("curve of metrics", lambda s: tfmeta.adaptation_curve(s.proto, s.batch), T, "Received: learner of type Proto"),
    ("curve of 0", lambda s: tfmeta.adaptation_curve(s.maml, s.batch, 0), V, "Received: inner_steps=0"),
    (
        "curve of a task",
        lambda s: tfmeta.adaptation_curve(s.maml, s.task),
        V,
        r"episodes must.*\[episode\].*Rec",
    ),
    ("curve of None", lambda s: tfmeta.adaptation_curve(s.maml, None), T, "Received: episodes of type NoneType"),
    ("Score of 95", lambda s: tfmeta.Score(95.0, *[0] * 10), V, "share from 0 to 1. Received: accuracy=95.0"),
    ("Score of None", lambda s: tfmeta.Score(*[None] * 11), V, "Received: accuracy=None"),
    ("interval", lambda s: tfmeta.evaluation.confidence_interval("high"), V, "numbers. Received: values='high'"),
]


@pytest.mark.parametrize("row", MADE, ids=ids(MADE))
def test_constructors_refuse(s, row):
    refused(*row[1:2], s, *row[2:])


@pytest.mark.parametrize("row", LEARNING, ids=ids(LEARNING))
def test_learners_refuse_and_stay_as_they_were(s, row):
    before = [variable.numpy() for learner in (s.maml, s.proto, s.fine) for variable in learner.variables]
    refused(*row[1:2], s, *row[2:])
    after = [variable.numpy() for learner in (s.maml, s.proto, s.fine) for variable in learner.variables]
    assert all(map(np.array_equal, before, after))
