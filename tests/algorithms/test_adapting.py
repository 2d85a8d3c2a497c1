"""The contract of every learner with an inner loop: training, saving, symmetries."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, largest_difference
from tests.algorithms.methods import SIZES, every, everything, make, values
from tests.algorithms.pieces import task
from tfmeta.core.episode import Episode


@pytest.fixture(scope="module")
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **SIZES, seed=0)


@pytest.fixture(scope="module")
def episodes(stream):
    return next(iter(stream))


# -- training ------------------------------------------------------------------------------------------------------
@every
def test_fit_lowers_the_loss_and_adaptation_helps_afterwards(name, stream, tiny):
    learner = make(name)
    other = tfmeta.episode_dataset(tiny, **SIZES, seed=1).take(10)
    before = learner.evaluate(other, return_dict=True, verbose=0)
    history = learner.fit(stream, steps_per_epoch=25, epochs=2, validation_data=other, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < 0.8 * before["loss"]
    assert history["val_query_loss_after"][-1] < history["val_query_loss_before"][-1]
    assert history["val_accuracy"] == history["val_query_accuracy_after"]
    assert set(before) == {"loss", "accuracy"} | {
        f"{part}_{what}_{moment}"
        for part in ("support", "query") for what in ("loss", "accuracy") for moment in ("before", "after")
    }  # fmt: skip
    assert all(np.isfinite(v).all() for v in values(learner))


@every
def test_save_and_load_are_exact_and_training_goes_on_equally(name, stream, episodes, tmp_path):
    learner, one = make(name), task(episodes)
    learner.fit(stream, steps_per_epoch=2, verbose=0)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert type(loaded) is type(learner)
    settings = {key: value for key, value in learner.get_config().items() if key != "learner"}
    assert {key: value for key, value in loaded.get_config().items() if key != "learner"} == settings
    assert loaded.evaluation_settings() == learner.evaluation_settings()
    assert_same(everything(loaded), everything(learner), rtol=0)
    np.testing.assert_array_equal(loaded.query_outputs(one), learner.query_outputs(one))
    start = values(learner)
    for model in (learner, loaded):
        model.fit(stream, steps_per_epoch=2, verbose=0)
    assert_same(everything(loaded), everything(learner), rtol=0)
    assert largest_difference(values(learner), start) > 1e-4
    learner.save_weights(tmp_path / "learner.weights.h5")
    fresh = make(name)
    fresh.load_weights(tmp_path / "learner.weights.h5")
    assert_same(values(fresh), values(learner), rtol=0)


@every
def test_one_trace_per_shape(name, tiny, stream):
    learner, traces = make(name), []
    original = type(learner).train_step
    learner.train_step = lambda data: (traces.append(1), original(learner, data))[1]
    learner.fit(stream, steps_per_epoch=2, epochs=2, verbose=0)
    learner.fit(tfmeta.episode_dataset(tiny, **SIZES, seed=5), steps_per_epoch=2, verbose=0)
    assert len(traces) == 1
    for seed, n_query in enumerate((5, 7, 5, 6)):
        other = tfmeta.episode_dataset(tiny, **(SIZES | {"n_query": n_query}), seed=seed)
        learner.fit(other, steps_per_epoch=1, verbose=0)
    assert len(traces) <= 3  # Keras relaxes the shape once, then keeps it


@every
def test_eager_and_graph_agree(name, episodes):
    data, ends, scores = tf.data.Dataset.from_tensors(episodes), [], []
    for eager in (False, True):
        learner = make(name, optimizer=keras.optimizers.SGD(0.5), run_eagerly=eager)
        start = values(learner)
        learner.fit(data, verbose=0)
        ends.append(values(learner))
        scores.append(learner.evaluate(data, return_dict=True, verbose=0))
    assert_same(*ends, rtol=1e-3, atol=1e-4)
    assert largest_difference(ends[0], start) > 1e-3
    assert scores[0] == pytest.approx(scores[1], rel=1e-3)


# -- symmetries ----------------------------------------------------------------------------------------------------
@every
def test_order_of_support_items_does_not_matter(name, episodes):
    learner, one = make(name), task(episodes)
    order = np.random.default_rng(0).permutation(6)
    shuffled = one._replace(support_x=tf.gather(one.support_x, order), support_y=tf.gather(one.support_y, order))
    np.testing.assert_allclose(learner.query_outputs(shuffled), learner.query_outputs(one), rtol=1e-3, atol=1e-4)
    relabelled = one._replace(query_y=(one.query_y + 1) % 3)
    np.testing.assert_array_equal(learner.query_outputs(relabelled), learner.query_outputs(one))


@every
def test_permuting_classes_permutes_outputs(name, episodes):
    learner, one = make(name), task(episodes)
    new_label = np.array([1, 2, 0], np.int32)  # old label k becomes new_label[k]
    inverse = np.argsort(new_label)
    outputs = learner.query_outputs(one).numpy()
    renamed = one._replace(support_y=tf.gather(new_label, one.support_y))
    for variable in learner.meta_variables:  # what belongs to a class, Meta-SGD's rates included, goes with it
        if "head" in variable.path and variable.shape[-1] == 3:
            variable.assign(variable.numpy()[..., inverse])
    np.testing.assert_allclose(learner.query_outputs(renamed), outputs[:, inverse], rtol=1e-3, atol=1e-4)
    assert np.abs(outputs[:, inverse] - outputs).max() > 1e-3


@every
def test_permuting_tasks_permutes_results_and_trains_alike(name, episodes):
    order = [2, 0, 3, 1]
    shuffled = Episode(*(tf.gather(tensor, order) for tensor in episodes))
    learner = make(name)
    found, again = learner.measure(episodes), learner.measure(shuffled)
    for key, value in found.items():
        np.testing.assert_allclose(tf.gather(value, order), again[key], rtol=1e-5, atol=1e-6)
    assert len(set(found["query_loss_after"].numpy().tolist())) == 4
    ends = []
    for data in (episodes, shuffled):
        learner = make(name, optimizer=keras.optimizers.SGD(0.5))
        learner.train_on_batch(data)
        ends.append(values(learner))
    assert_same(*ends, rtol=1e-4, atol=1e-5)
