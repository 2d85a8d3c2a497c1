"""What every method promises in training: it learns, is saved exactly, is traced once, and knows no order of tasks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, largest_difference
from tests.algorithms.methods import (
    METHODS,
    THREE,
    borrow,
    draws,
    every,
    every_regression,
    everything,
    has_inner_loop,
    learns,
    learns_from_episodes,
    make,
    shared,
    training_data,
    values,
    variables,
)  # fmt: skip
from tests.algorithms.pieces import once, task
from tfmeta.core.episode import Episode
from tfmeta.datasets import sinusoid_episodes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **THREE, seed=0)


@pytest.fixture(scope="module")
def episodes(stream):
    return next(iter(stream))


@pytest.fixture(scope="module")
def waves():
    return sinusoid_episodes(k_shot=5, n_query=8, meta_batch_size=4, seed=0, amplitudes=(2.0, 5.0), phases=(0.0, 1.5))


def settings(learner):
    return {name: value for name, value in learner.options().items() if not isinstance(value, keras.Model)}


def reported(learner, classification=True):
    """What `evaluate` names."""
    kinds = ("loss", "accuracy") if classification else ("loss",)
    names = {f"{part}_{kind}_{moment}" for part in ("support", "query") for kind in kinds
             for moment in ("before", "after")} if has_inner_loop(learner) else set()  # fmt: skip
    return names | set(kinds if learner.method.scores else kinds[1:])


@every
def test_fit_lowers_the_loss_and_adaptation_helps_afterwards(name, tiny):
    learner, start = borrow(name), everything(borrow(name))
    other = tfmeta.episode_dataset(tiny, **THREE, seed=1).take(5)
    before = learner.evaluate(other, return_dict=True, verbose=0)
    assert set(before) == reported(learner)
    assert_same(everything(learner), start, rtol=0)
    data = training_data(learner, tiny)
    history = learner.fit(data, steps_per_epoch=12, epochs=2, validation_data=other, verbose=0).history
    assert {key.removeprefix("val_") for key in history if key.startswith("val_")} == set(before)
    if not learns(learner):
        assert_same(values(learner), start[: len(learner.variables)], rtol=0)
        assert history["accuracy"][0] > 0.5
        return
    assert {key for key in history if not key.startswith("val_")} == {"loss", "accuracy"}
    # On the same episodes before and after; each epoch trains on episodes of its own.
    assert history["val_loss"][-1] < 0.8 * before["loss"]
    if has_inner_loop(learner):
        assert history["val_query_loss_after"][-1] < history["val_query_loss_before"][-1]
        assert history["val_accuracy"] == history["val_query_accuracy_after"]
    assert all(np.isfinite(v).all() for v in values(learner))


@every
def test_save_and_load_are_exact_and_training_goes_on_equally(name, episodes, tiny, tmp_path):
    learner, one = borrow(name), task(episodes)
    data = training_data(learner, tiny)
    learner.fit(data, steps_per_epoch=1, verbose=0)
    learner.save(tmp_path / "learner.keras")
    learner.save_weights(tmp_path / "learner.weights.h5")
    loaded, start = keras.models.load_model(tmp_path / "learner.keras"), values(learner)
    assert (type(loaded), loaded.name) == (type(learner), learner.name)
    assert settings(loaded) == settings(learner)
    assert loaded.get_compile_config() == learner.get_compile_config()
    assert loaded.evaluation_settings() == learner.evaluation_settings()
    assert_same(everything(loaded), everything(learner), rtol=0)
    np.testing.assert_array_equal(loaded.query_outputs(one), learner.query_outputs(one))
    np.testing.assert_array_equal(loaded(one.query_x), learner(one.query_x))  # before any adaptation
    (batch,) = data.take(1)
    for model in (learner, loaded):  # in Python, which test_eager_and_graph_agree compares with the graph
        model.outer_step(batch)
    assert_same(everything(loaded), everything(learner), rtol=0)
    assert (largest_difference(values(learner), start) > 1e-4) == learns(learner)
    loaded.load_weights(tmp_path / "learner.weights.h5")
    assert_same(values(loaded), start, rtol=0)


@every
def test_one_trace_per_shape_and_one_for_unknown_sizes(name, tiny):
    learner, _, traces = shared(name)
    learner.fit(training_data(learner, tiny), steps_per_epoch=1, epochs=2, verbose=0)
    before = len(traces)
    learner.fit(training_data(learner, tiny, seed=5), steps_per_epoch=2, verbose=0)
    assert len(traces) == before
    if learner.method.check_data is not None:
        return
    batches = [next(iter(training_data(learner, tiny, n_query=n_query))) for n_query in (4, 5, 6)]
    unknown = Episode(*(tf.TensorSpec([3, None, *tensor.shape[2:]], tensor.dtype) for tensor in batches[0]))
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=unknown)
    learner.fit(data.apply(tf.data.experimental.assert_cardinality(3)), verbose=0)
    assert len(traces) == before + 1
    assert all(np.isfinite(v).all() for v in values(learner))


@every
def test_eager_and_graph_agree_and_tasks_do_not_depend_on_each_other(name, episodes, tiny):
    learner = borrow(name)
    data = training_data(learner, tiny).take(1)
    (batch,) = data
    start = values(learner)
    scores = learner.evaluate(once(episodes), return_dict=True, verbose=0)
    measured = learner.measure(episodes)
    assert scores == pytest.approx({key: np.mean(value) for key, value in measured.items()}, rel=1e-3, abs=1e-5)
    part = learner.measure(Episode(*(tf.gather(tensor, [2, 0]) for tensor in episodes)))
    for key, value in measured.items():
        assert value.shape == (3,)
        np.testing.assert_allclose(part[key], tf.gather(value, [2, 0]), rtol=1e-5, atol=1e-6)
    spread = measured.get("query_loss_after", measured.get("loss", measured["accuracy"]))
    assert np.ptp(spread) > 0, "all tasks alike show nothing"
    graph = learner.fit(data, verbose=0).history
    after = values(learner)
    assert (largest_difference(after, start) > 1e-3) == learns(learner)
    eager = borrow(name).outer_step(batch)
    assert {key: value[0] for key, value in graph.items()} == pytest.approx(
        {key: np.mean(value) for key, value in eager.items()}, rel=1e-3
    )
    assert_same(values(learner), after, rtol=1e-3, atol=1e-4)
    if learns_from_episodes(learner) and not draws(learner):  # a place in the meta-batch has its own noise
        shuffled = Episode(*(tf.gather(tensor, [2, 0, 1]) for tensor in batch))
        borrow(name).fit(once(shuffled), verbose=0)
        assert_same(values(learner), after, rtol=1e-4, atol=1e-5)


# -- regression ----------------------------------------------------------------------------------------------------
@every_regression
def test_regression(name, waves):
    learner, one = borrow(name, "regress"), task(next(iter(waves)))
    before = learner.evaluate(waves.take(5), return_dict=True, verbose=0)
    history = learner.fit(waves, steps_per_epoch=30, epochs=5, validation_data=waves.take(5), verbose=0).history
    assert set(before) == reported(learner, classification=False)
    # On the same tasks before and after: each epoch trains on tasks of its own, and a hard one has a large loss.
    assert min(history["val_loss"]) < 0.8 * before["loss"]
    if has_inner_loop(learner):
        steps = zip(history["val_query_loss_before"], history["val_query_loss_after"], strict=True)
        assert any(after < before for before, after in steps), "adaptation helps; with five points not in every epoch"
    assert not any("accuracy" in key for key in history)
    adapted = learner.adapt(one.support_x, one.support_y)
    np.testing.assert_allclose(adapted(one.query_x), learner.query_outputs(one), rtol=1e-4, atol=1e-5)
    if has_inner_loop(learner):
        path = learner.adaptation_path(one, 1)
        assert set(path) == {"support_loss", "query_loss"}
        expected = tf.reduce_mean((learner.query_outputs(one) - one.query_y) ** 2)
        if learner.eval_inner_steps == 1:
            assert float(path["query_loss"][-1]) == pytest.approx(float(expected), rel=1e-4)
    with pytest.raises(ValueError, match=r"targets must have the shape of the outputs, \(1,\).*support_y with \(\)"):
        learner.adapt(one.support_x, one.support_y[:, 0])  # [5] against outputs [5, 1] would be a matrix


@every_regression
def test_a_loss_of_ones_own_is_used_in_both_loops(name, waves):
    """Another loss gives other fast weights and another step; a saved learner keeps it."""
    fast, steps = [], []
    built, episodes = borrow(name, "regress"), next(iter(waves))
    if "loss" not in built.get_config():
        return
    for loss in (None, "mse", keras.losses.LogCosh()):
        config = built.get_config() | {"loss": None if loss is None else keras.saving.serialize_keras_object(loss)}
        learner = type(built).from_config(config)
        learner.set_weights(built.get_weights())
        learner.compile(optimizer=keras.optimizers.SGD(0.1))
        fast.append(learner.fast_weights(task(episodes)))
        learner.outer_step(episodes)
        steps.append([v.numpy() for v in learner.meta_variables])
    for found in (fast, steps):
        assert_same(found[0], found[1], rtol=1e-5, atol=1e-6)
        assert largest_difference(found[0], found[2]) > 1e-5


# -- the table ---------------------------------------------------------------------------------------------------------
def test_every_exported_learner_has_a_row():
    kinds = {type(borrow(name, "classify" if row.classify else "regress")) for name, row in METHODS.items()}
    exported = {
        value for value in vars(tfmeta).values()
        if isinstance(value, type) and issubclass(value, tfmeta.training.episodic.EpisodicLearner)
    } - {tfmeta.training.episodic.EpisodicLearner}  # fmt: skip
    assert len(exported) >= 11
    assert exported <= kinds


def test_a_borrowed_learner_is_as_it_was_made(episodes):
    learner, start = borrow("MAML"), everything(borrow("MAML"))
    fresh = make("MAML")
    assert_same(start, everything(fresh), rtol=0)
    learner.fit(once(episodes), verbose=0)
    assert largest_difference(values(learner), start[: len(learner.variables)]) > 1e-4
    assert int(learner.optimizer.iterations) == 1
    assert borrow("MAML") is learner
    assert_same(everything(learner), start, rtol=0)
    assert len(variables(learner)) == len(start)
