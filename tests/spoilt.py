"""Small things that are right, of which each row of the tables of bad inputs spoils one."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.conftest import make_classes
from tests.helpers import draw_folder
from tfmeta import datasets, functional

Dense = keras.layers.Dense


def dense(*layers):
    return keras.Sequential([keras.Input((5,)), *layers], name="net")


def right_things(folder):
    """Small things that are right, of which each row spoils one."""
    s = types.SimpleNamespace(tmp=folder, net=dense(Dense(3)), enc=dense(Dense(4)))
    s.maml, s.proto = tfmeta.MAML(s.net, inner_lr=0.1), tfmeta.PrototypicalNetwork(s.enc)
    s.fine = tfmeta.FineTunedClassifier(s.enc, n_classes=4, eval_inner_steps=1)
    for learner in (s.maml, s.proto, s.fine):
        learner.compile("sgd")
    s.x, s.y = np.ones((3, 5), np.float32), [0, 1, 2]
    s.task = tfmeta.Episode(*map(tf.constant, (s.x, np.array(s.y, np.int32)) * 2))
    s.halved = lambda: s.task._replace(query_x=s.task.query_x[:2], query_y=s.task.query_y[:2])
    s.batch = tfmeta.Episode(*(tensor[None] for tensor in s.task))
    s.data = tf.data.Dataset.from_tensors(s.batch)
    s.spoilt = lambda **parts: tf.data.Dataset.from_tensors(s.batch._replace(**parts))
    s.classes = make_classes([6] * 4, size=4)
    s.sizes = {"n_way": 2, "k_shot": 1, "n_query": 1}
    s.stream = lambda **more: tfmeta.episode_dataset(s.classes, **s.sizes | {"meta_batch_size": 2, "seed": 0} | more)
    s.waves = lambda **more: datasets.sinusoid_episodes(
        **{"k_shot": 2, "n_query": 1, "meta_batch_size": 1, "seed": 0} | more
    )
    images = tf.zeros((2, 2, 4, 4, 1)), tf.constant([[0, 1]] * 2)
    s.images, s.key, s.params = tfmeta.Episode(*images * 2), tf.constant([0, 1]), functional.values(s.net.variables)
    s.pixels, s.labels = np.zeros((4, 4, 4, 1), np.uint8), np.array([0, 0, 1, 1])
    s.folder, s.file = draw_folder(s.tmp / "photos", n_classes=2, per_class=2), s.tmp / "file.txt"
    s.file.write_text("no weights")
    s.given = {"inner_lr": 0.1, "inner_steps": 1}
    s.adapt = lambda **more: functional.adapt(s.net, s.params, s.x, tf.constant(s.y), **s.given | more)
    s.score = tfmeta.Score(0.5, 0.1, 2, 2, 1, 1, "tiny", "MAML", {}, "none", 0)
    return s


def refused(call, s, error, words):
    """The call stops with the error and its words, and it is tfmeta that says so."""
    with pytest.raises(error, match=rf"(?s){words}") as caught:
        call(s)
    return caught


def ids(rows):
    return [row[0] for row in rows]
