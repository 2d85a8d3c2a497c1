"""What an adapted model carries: the range of its images, refused when they are others, and its classes' names."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.training.finishing import class_names_of, labels_and_names
from tfmeta.training.scale import Scale

METHODS = {
    "PrototypicalNetwork": lambda: tfmeta.PrototypicalNetwork(
        tfmeta.networks.conv4(filters=2, input_shape=(16, 16, 1))
    ),
    "MAML": lambda: tfmeta.MAML(tfmeta.networks.conv4(3, filters=2, input_shape=(16, 16, 1))),
    "MatchingNetwork": lambda: tfmeta.MatchingNetwork(tfmeta.networks.conv4(filters=2, input_shape=(16, 16, 1))),
}


@pytest.fixture(params=METHODS)
def learner(request):
    keras.utils.set_random_seed(0)
    made = METHODS[request.param]()
    made.input_scale = Scale(0.0, 1.0, 0.2)  # as training leaves it
    return made


def images(seed=0, n=6):
    return np.random.default_rng(seed).random((n, 16, 16, 1), np.float32)


def test_raw_images_are_refused_and_the_models_answers_are_as_before(learner, tmp_path):
    labels = np.arange(6) % 3
    adapted = learner.adapt(images(), labels)
    learner.input_scale = None
    bare = learner.adapt(images(), labels)
    np.testing.assert_array_equal(adapted.predict(images(1), verbose=0), bare.predict(images(1), verbose=0))
    adapted.save(tmp_path / "adapted.keras")
    for model in (adapted, keras.models.load_model(tmp_path / "adapted.keras")):
        for call in (model, lambda x, model=model: model.predict(x, verbose=0)):
            with pytest.raises(tf.errors.InvalidArgumentError, match="images must be scaled as in training"):
                call(255 * images(1))
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"Received: images from"):
                call(2 * images(1) - 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="scaled as in training"):
        adapted.predict((255 * images(1)).astype(np.uint8), verbose=0)


def test_a_prototypical_head_stays_the_last_layer():
    learner = METHODS["PrototypicalNetwork"]()
    learner.input_scale = Scale(0.0, 1.0, 0.2)
    adapted = learner.adapt(images(), np.arange(6) % 3)
    assert [layer.name for layer in adapted.layers] == ["input_range", learner.encoder.name, "prototypes"]
    assert adapted.layers[-1].kernel.shape[-1] == 3


def test_names_of_labels_come_back_by_name_also_from_a_file(learner, tmp_path):
    words = ["owl", "cat", "dog"] * 2
    adapted = learner.adapt(images(), words)
    numbered = learner.adapt(images(), [2, 0, 1] * 2, class_names=["cat", "dog", "owl"])
    adapted.save(tmp_path / "adapted.keras")
    logits = learner.adapt(images(), [2, 0, 1] * 2).predict(images(1), verbose=0)
    for model in (adapted, numbered, keras.models.load_model(tmp_path / "adapted.keras")):
        assert class_names_of(model) == ("cat", "dog", "owl")
        found = tfmeta.predict_classes(model, images(1))
        np.testing.assert_array_equal(found.labels, logits.argmax(axis=1))
        assert found.names == [("cat", "dog", "owl")[k] for k in found.labels]
        np.testing.assert_allclose(found.probabilities, tf.nn.softmax(logits), atol=1e-5)


def test_without_names_classes_have_numbers_and_the_model_is_as_it_was(learner):
    learner.input_scale = None
    adapted = learner.adapt(images(), np.arange(6) % 3)
    assert class_names_of(adapted) is None
    assert set(tfmeta.predict_classes(adapted, images(1)).names) <= {"class 0", "class 1", "class 2"}


def test_probabilities_are_taken_as_they_are():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
    found = tfmeta.predict_classes(model, np.log([[0.1, 0.9], [0.5, 0.5]]).astype(np.float32))
    np.testing.assert_allclose(found.probabilities, [[0.1, 0.9], [0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1], ["a"], "Received: 1 class_names, labels up to 1"),
        ([0, 1], ["a", "b", "c"], "Received: 3 class_names, labels up to 1"),
        ([0, 1], ["a", "a"], "different texts"),
        ([0, 1], "ab", "different texts"),
        ([0, 1], ["a", 3], "different texts"),
        ([0.5, 1.5], ["a", "b"], "targets that are no labels"),
        (["x", "a"], ["a", "b"], "among class_names, a, b. Received: 'x'"),
    ],
)
def test_names_that_do_not_fit_are_named(labels, names, message):
    with pytest.raises(ValueError, match=message):
        labels_and_names(labels, names)


def test_what_cannot_predict_classes_is_named():
    with pytest.raises(TypeError, match="Received: model of type int"):
        tfmeta.predict_classes(3, images())
    one = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"Received: outputs of shape \(4, 1\)"):
        tfmeta.predict_classes(one, np.zeros((4, 2)))


def test_an_episodes_own_names(tiny):
    episode, ids = tfmeta.sample_episode(tiny, n_way=3, k_shot=1, n_query=1, seed=0, with_ids=True)
    names = ids.names(tiny)
    for label, image in zip(episode.support_y.numpy(), episode.support_x.numpy(), strict=True):
        name = names[label]
        rows = tiny.images[tiny.labels == tiny.class_names.index(name)] / 255
        assert np.abs(rows - image).max(axis=(1, 2, 3)).min() < 1e-6
    ax = tfmeta.plot_episode(episode, class_names=names)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names
    with pytest.raises(ValueError, match="class_names must be 3"):
        tfmeta.plot_episode(episode, class_names=names[:2])


@pytest.fixture
def said():
    """What TensorFlow's logger says, whatever level and handlers a program has given it."""
    logger, records = tf.get_logger(), []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    level, disabled = logger.level, logger.disabled
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.disabled = False
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.disabled = disabled


def test_a_loop_over_learners_and_tasks_is_no_reason_for_advice(said):
    """TensorFlow warns from the fifth trace of one line of code on, whosever graph it is."""
    waves = tfmeta.datasets.sinusoid_episodes(k_shot=2, n_query=2, meta_batch_size=1, seed=0)
    one = next(iter(waves))
    for _ in range(7):
        learner = tfmeta.MAML(tfmeta.networks.mlp(hidden=(2,)))
        learner.compile("adam")
        learner.fit(waves, steps_per_epoch=1, epochs=1, verbose=0)
        learner.evaluate(waves.take(1), verbose=0)
        tfmeta.evaluate(learner, waves.take(1))
        learner.adapt(one.support_x[0], one.support_y[0]).predict(one.query_x[0], verbose=0)
    assert [line for line in said if "retracing" in line] == []
    for _ in range(7):  # of anybody else's it is still said
        tf.function(lambda x: x + 1)(tf.constant(1.0))
    assert [line for line in said if "retracing" in line] != []
