"""What the learners share: Keras's ways in and out, callbacks, saving, graphs that are kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.methods import THREE, borrow, network
from tests.algorithms.pieces import first
from tfmeta.training.parallel import map_tasks

pytestmark = pytest.mark.slow

SCORED = {"n_way": 3, "k_shot": 2, "n_query": 4, "episodes": 8}


def small_maml(seed=0):
    keras.utils.set_random_seed(seed)
    return tfmeta.MAML(network(), inner_lr=0.2)


def small_prototypical(seed=0):
    keras.utils.set_random_seed(seed)
    return tfmeta.PrototypicalNetwork(network(head=False))


both = pytest.mark.parametrize("make", [small_maml, small_prototypical])
# Whose graphs are there already: all that these tests ask is the shell's.
shared = pytest.mark.parametrize("name", ["MAML", "PrototypicalNetwork"])


def weights(learner):
    return [v.numpy() for v in learner.network.variables]


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **THREE, seed=0)


# -- one meta-batch ------------------------------------------------------------------------------------------------
@shared
def test_train_on_batch_is_a_step_of_fit_and_test_on_batch_a_step_of_evaluate(name, stream):
    episodes, learner = first(stream), borrow(name)
    data = tf.data.Dataset.from_tensors(episodes)
    history = learner.fit(data, verbose=0).history
    fitted = weights(learner)
    evaluated = learner.evaluate(data, return_dict=True, verbose=0)
    learner = borrow(name)
    report = learner.train_on_batch(episodes, return_dict=True)
    assert_equal(weights(learner), fitted)
    assert set(report) == {"loss", "accuracy"} == set(history)
    assert report["loss"] == pytest.approx(history["loss"][0], rel=1e-6)
    learner.reset_metrics()
    tested = learner.test_on_batch(episodes, return_dict=True)
    assert tested == pytest.approx(evaluated, rel=1e-6)
    assert_equal(weights(learner), fitted)


@shared
def test_every_epoch_starts_its_means_anew(name, stream):
    learner = borrow(name)
    data, other = (tf.data.Dataset.from_tensors(e) for e in stream.take(2))
    alone = [learner.evaluate(d, return_dict=True, verbose=0)["loss"] for d in (data, other)]
    together = learner.evaluate(data.concatenate(other), return_dict=True, verbose=0)["loss"]
    assert alone[0] != pytest.approx(alone[1], rel=1e-6)
    assert together == pytest.approx(np.mean(alone), rel=1e-5)


def test_map_tasks_agrees_with_a_loop_and_keeps_the_order(random_episodes):
    episodes = random_episodes(batch=5)
    signature = (tf.TensorSpec([], tf.float64), tf.TensorSpec([6], tf.float64))

    def function(episode):
        return tf.reduce_sum(episode.query_x), tf.reduce_mean(episode.support_x, axis=0)

    sums, means = map_tasks(function, episodes, signature)
    np.testing.assert_allclose(sums, episodes.query_x.numpy().sum(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(means, episodes.support_x.numpy().mean(axis=1), rtol=1e-12)


# -- graphs that are kept ------------------------------------------------------------------------------------------
def count_calls(learner, name):
    """Replace a method by one that counts its calls from Python: once or twice per trace, never per episode."""
    calls, original = [], getattr(learner, name)

    def counting(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    setattr(learner, name, counting)
    return calls


@both
def test_evaluate_traces_once_and_again_for_other_settings(make, tiny):
    learner = make()
    calls = count_calls(learner, "query_outputs")
    score = tfmeta.evaluate(learner, tiny, **SCORED)
    once = len(calls)
    assert 1 <= once <= 2
    again = tfmeta.evaluate(learner, tiny, **SCORED)
    tfmeta.evaluate(learner, tiny, **SCORED, seed=5)
    assert len(calls) == once
    assert again == score
    tfmeta.evaluate(learner, tiny, **SCORED, transductive=False)
    assert len(calls) == 2 * once


@both
def test_a_kept_graph_sees_the_present_weights(make, tiny):
    learner, other = make(), make(seed=1)
    old, expected = (tfmeta.evaluate(one, tiny, **SCORED) for one in (learner, other))
    assert old.accuracy != expected.accuracy
    learner.network.set_weights(other.network.get_weights())
    assert tfmeta.evaluate(learner, tiny, **SCORED).accuracy == expected.accuracy


def test_adaptation_curves_trace_once_per_number_of_steps(stream):
    learner = small_maml()
    calls = count_calls(learner, "adaptation_path")
    curves = [tfmeta.adaptation_curve(learner, stream.take(n), 3) for n in (1, 3, 1)]
    assert (once := len(calls)) <= 2
    assert [curve.episodes for curve in curves] == [3, 9, 3]
    np.testing.assert_array_equal(curves[0].mean["query_loss"], curves[2].mean["query_loss"])
    assert tfmeta.adaptation_curve(learner, stream.take(1), 5).inner_steps == 5
    assert len(calls) == 2 * once


# -- saving ----------------------------------------------------------------------------------------------------------
def test_compile_settings_and_the_schedule_are_saved(stream, tmp_path):
    learner = small_prototypical()
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 4)
    learner.compile(optimizer=keras.optimizers.SGD(rate, momentum=0.9), steps_per_execution=2, run_eagerly=False)
    learner.fit(stream, steps_per_epoch=2, verbose=0)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.get_compile_config() == learner.get_compile_config()
    assert (loaded.steps_per_execution, loaded.run_eagerly, loaded.jit_compile) == (2, False, False)
    assert loaded.optimizer.learning_rate.numpy() == learner.optimizer.learning_rate.numpy() == pytest.approx(5e-3)
    for model in (learner, loaded):
        model.fit(stream, steps_per_epoch=2, verbose=0)
    assert_equal(weights(loaded), weights(learner))


@both
def test_a_learner_that_was_not_compiled_is_saved(make, tmp_path):
    learner = make()
    learner.save(tmp_path / "learner.keras")
    assert_equal(weights(keras.models.load_model(tmp_path / "learner.keras")), weights(learner))


# -- callbacks -------------------------------------------------------------------------------------------------------
class PowerCut(keras.callbacks.Callback):
    """Stops a run in the middle of its third epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == 5:
            raise InterruptedError("power cut")


def test_a_run_that_backup_and_restore_resumes_equals_the_uninterrupted_one(tiny, tmp_path):
    def run(start=0, callbacks=()):
        learner = small_prototypical()
        learner.compile(optimizer=keras.optimizers.Adam(1e-2))
        data = tfmeta.episode_dataset(tiny, **THREE, seed=0, start=start)
        learner.fit(data, steps_per_epoch=2, epochs=4, callbacks=list(callbacks), verbose=0)
        return learner

    backup = str(tmp_path / "backup")
    with pytest.raises(InterruptedError):
        run(callbacks=[keras.callbacks.BackupAndRestore(backup), PowerCut()])
    resumed = run(start=4, callbacks=[keras.callbacks.BackupAndRestore(backup)])
    assert int(resumed.optimizer.iterations.numpy()) == 8
    assert_equal(weights(resumed), weights(run()))


@shared
def test_early_stopping_restores_the_best_weights(name, stream):
    learner, ends = borrow(name), []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(weights(learner)))
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=1e6, patience=2, restore_best_weights=True)
    data = {"steps_per_epoch": 1, "epochs": 9, "validation_data": stream.take(1), "verbose": 0}
    history = learner.fit(stream, callbacks=[record, stop], **data).history
    assert len(history["val_loss"]) == 3  # the first is best, since none is better by a million
    assert_equal(weights(learner), ends[0])
    assert any(np.any(a != b) for a, b in zip(ends[0], ends[2], strict=True))


# -- what else a Keras model can -----------------------------------------------------------------------------------
@shared
def test_predict_and_call_are_the_network_before_adaptation(name, stream):
    learner, x = borrow(name), first(stream).query_x[0]
    expected = learner.network(x, training=False)
    np.testing.assert_allclose(learner(x), expected, rtol=1e-6)
    np.testing.assert_allclose(learner.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-7)
    assert learner.count_params() == learner.network.count_params()
    lines = []
    learner.summary(print_fn=lines.append)
    assert learner.network.name in "".join(lines)


@shared
def test_validation_data_of_another_kind_are_refused(name, stream):
    with pytest.raises(TypeError, match=r"validation_data must be a tf.data.Dataset of Episode"):
        borrow(name).fit(stream, steps_per_epoch=1, validation_data=(np.zeros(3), np.zeros(3)))


@both
def test_weight_decay_and_clipping_of_the_optimizer_reach_the_outer_loop(make, stream):
    """Both are Keras's own options; what is tested is that a learner's step goes through them."""

    def moved(**options):
        learner = make()
        learner.compile(optimizer=keras.optimizers.SGD(0.1, **options))
        before = [v.numpy() for v in learner.trainable_variables]
        learner.outer_step(first(stream))
        return before, [v.numpy() - b for v, b in zip(learner.trainable_variables, before, strict=True)]

    start, plain = moved()
    _, decayed = moved(weight_decay=0.5)
    for weight, a, b in zip(start, plain, decayed, strict=True):
        np.testing.assert_allclose(b - a, -0.1 * 0.5 * weight, atol=1e-6)
    _, clipped = moved(global_clipnorm=1e-3)
    assert np.sqrt(sum((c**2).sum() for c in clipped)) == pytest.approx(0.1 * 1e-3, rel=1e-3)
    assert np.sqrt(sum((p**2).sum() for p in plain)) > 2e-4
