"""`fit`, its validation and `evaluate` take a meta-batch, or a list of episodes, as the dataset of it that it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.pieces import once, task, weights
from tfmeta.core.episode import Episode

VECTORS, ONES = (5,), (1,)


def maml(width=3, shape=VECTORS, **options):
    keras.utils.set_random_seed(0)
    learner = tfmeta.MAML(tfmeta.networks.mlp(width, hidden=(8,), input_shape=shape), inner_lr=0.1, **options)
    learner.compile(keras.optimizers.SGD(0.1))
    return learner


def reptile():
    keras.utils.set_random_seed(0)
    learner = tfmeta.Reptile(tfmeta.networks.mlp(3, hidden=(8,), input_shape=VECTORS), inner_lr=0.1, inner_steps=2)
    learner.compile(keras.optimizers.SGD(1.0))
    return learner


def prototypical():
    keras.utils.set_random_seed(0)
    learner = tfmeta.PrototypicalNetwork(tfmeta.networks.mlp(4, hidden=(8,), input_shape=VECTORS))
    learner.compile(keras.optimizers.SGD(0.1))
    return learner


def meta_batch(n=4, seed=0):
    """Four tasks of three classes, NumPy throughout: float64 inputs and int64 labels."""
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(3), (n, 2))
    return Episode(rng.normal(size=(n, 6, 5)), y, rng.normal(size=(n, 6, 5)), y)


def waves(n=4):
    """Points of curves `[n, 10, 1]`: nothing but the network says which axis is which."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-3, 3, (n, 10, 1)).astype(np.float32)
    return Episode(x[:, :5], np.sin(x[:, :5]), x[:, 5:], np.sin(x[:, 5:]))


def trained(make, data, epochs=3):
    learner = make()
    history = learner.fit(data, epochs=epochs, verbose=0).history
    return weights(learner), history, learner


def assert_alike(found, wanted):
    assert found[1] == wanted[1]
    for a, b in zip(found[0], wanted[0], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [maml, reptile, prototypical])
def test_a_meta_batch_is_trained_on_once_an_epoch(make):
    arrays = tf.nest.map_structure(lambda a: a.astype(np.float32) if a.dtype.kind == "f" else a, meta_batch())
    wanted = trained(make, once(arrays))
    for data in (arrays, tf.nest.map_structure(tf.constant, arrays), [task(arrays, i) for i in range(4)]):
        found = trained(make, data)
        assert_alike(found, wanted)
        assert found[2].optimizer.iterations.numpy() == 3


def test_numbers_of_other_types_are_cast_as_those_of_a_dataset_are():
    assert_alike(trained(maml, meta_batch()), trained(maml, once(meta_batch())))


def test_curves_are_told_from_meta_batches_by_the_network():
    make = lambda: maml(1, ONES)  # noqa: E731
    wanted = trained(make, once(waves()))
    assert_alike(trained(make, waves()), wanted)
    assert_alike(trained(make, [task(waves(), i) for i in range(4)]), wanted)
    with pytest.raises(ValueError, match=r"a list, \[episode\].*Received: support_x with shape=\(5, 1\)"):
        make().fit(task(waves()))


def test_the_way_out_that_the_message_names_is_one():
    one = task(meta_batch())
    with pytest.raises(ValueError, match="meta-batch axis") as caught:
        maml().fit(one)
    way = str(caught.value).split("gets the axis by ")[1].split(". Received")[0]
    assert_alike(trained(maml, eval(way, {"tf": tf, "episode": one})), trained(maml, [one]))


@pytest.mark.parametrize("make", [maml, reptile, prototypical])
def test_validation_and_evaluation_take_them_too(make):
    learner = make()
    train, test = meta_batch(), meta_batch(2, seed=1)
    one_by_one = [task(test, i) for i in range(2)]
    found = [learner.evaluate(data, verbose=0, return_dict=True) for data in (once(test), test, one_by_one)]
    assert found[0] == found[1]
    assert found[2] == pytest.approx(found[0], rel=1e-5)
    history = learner.fit(train, validation_data=test, epochs=2, verbose=0).history
    last = learner.evaluate(test, verbose=0, return_dict=True)
    assert {name: values[-1] for name, values in history.items() if name.startswith("val_")} == pytest.approx(
        {f"val_{name}": value for name, value in last.items()}, rel=1e-6
    )


def test_a_fine_tuned_classifier_is_validated_on_them():
    learner = tfmeta.FineTunedClassifier(
        tfmeta.networks.mlp(4, hidden=(8,), input_shape=VECTORS), n_classes=2, eval_inner_steps=1
    )
    learner.compile("sgd")
    batches = tf.data.Dataset.from_tensors((np.ones((4, 5), np.float32), np.array([0, 1, 0, 1])))
    history = learner.fit(batches, validation_data=meta_batch(), verbose=0).history
    assert "val_accuracy" in history


def test_streams_are_read_on_before_and_after():
    """A meta-batch in between leaves alone how far a stream was read."""

    def stream(start=0):
        return tfmeta.datasets.sinusoid_episodes(k_shot=5, n_query=5, meta_batch_size=2, seed=0, start=start)

    learner, other = maml(1, ONES), maml(1, ONES)
    for _ in range(2):
        learner.fit(stream(), steps_per_epoch=2, verbose=0)
        learner.fit(waves(), verbose=0)
    for start in (0, 2):
        other.fit(stream(start).take(2), verbose=0)
        other.fit(waves(), verbose=0)
    for a, b in zip(weights(learner), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_of_ones_own_keeps_the_columns_of_its_labels():
    """With a loss of the user's labels `[n, 1]` are not squeezed, in lists as little as in datasets."""
    made = meta_batch()
    x, y = made.support_x.astype(np.float32), made.support_y[..., None] % 2
    columns = Episode(x, y, x, y)
    make = lambda: maml(1, loss=keras.losses.BinaryCrossentropy(from_logits=True))  # noqa: E731
    wanted = trained(make, once(columns))
    assert_alike(trained(make, columns), wanted)
    assert_alike(trained(make, [task(columns, i) for i in range(4)]), wanted)
