"""`fit` reads on where it stopped, and says before it starts what it cannot do."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.datasets import labelled_batches, sinusoid_episodes
from tfmeta.tasks import augmentation

pytestmark = pytest.mark.slow


def learner(first_order=True):
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    made = tfmeta.MAML(network, inner_lr=0.1, first_order=first_order)
    made.compile(keras.optimizers.SGD(0.1, momentum=0.5))
    return made


def stream(classes, start=0, seed=0):
    return tfmeta.episode_dataset(
        classes, n_way=3, k_shot=1, n_query=2, meta_batch_size=2, seed=seed, start=start
    )  # fmt: skip


def assert_equal(found, wanted):
    for a, b in zip(found.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def in_one(tiny):
    made = learner()
    made.fit(stream(tiny), steps_per_epoch=6, verbose=0)
    return made


def turned(classes):
    return augmentation.augment(stream(classes), functools.partial(augmentation.shift, pixels=1), seed=1)


MAKERS = {
    "the same object": lambda classes: functools.cache(lambda: stream(classes)),
    "made anew, as by a cell run twice": lambda classes: lambda: stream(classes),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_three_short_calls_are_one_long_one(tiny, in_one, make):
    data, made = make(tiny), learner()
    for _ in range(3):
        made.fit(data(), steps_per_epoch=2, verbose=0)
    assert_equal(made, in_one)


def test_an_augmented_stream_and_any_other_endless_dataset_are_read_on(tiny):
    plain = [e for e in stream(tiny).take(4)]
    cycle = tf.data.Dataset.from_tensor_slices(tfmeta.Episode(*map(tf.stack, zip(*plain, strict=True)))).repeat()
    cast = cycle.map(lambda e: e._replace(support_y=tf.cast(e.support_y, tf.int64)))
    for make in (lambda: turned(tiny), functools.cache(lambda: cycle), functools.cache(lambda: cast)):
        long, short = learner(), learner()
        long.fit(make(), steps_per_epoch=4, verbose=0)
        for _ in range(2):
            short.fit(make(), steps_per_epoch=2, verbose=0)
        assert_equal(short, long)


def test_a_start_of_ones_own_is_kept_so_resuming_stays_exact(tiny, in_one):
    made = learner()
    made.fit(stream(tiny), steps_per_epoch=4, verbose=0)
    made.fit(stream(tiny, start=4), steps_per_epoch=2, verbose=0)
    assert_equal(made, in_one)


def test_other_streams_begin_at_their_beginning(tiny, in_one):
    made = learner()
    made.fit(stream(tiny, seed=5), steps_per_epoch=1, verbose=0)
    made.set_weights(learner().get_weights())
    made.compile(keras.optimizers.SGD(0.1, momentum=0.5))
    made.fit(stream(tiny), steps_per_epoch=6, verbose=0)
    assert_equal(made, in_one)


def test_a_loaded_learner_goes_on(tiny, in_one, tmp_path):
    made = learner()
    made.fit(stream(tiny), steps_per_epoch=4, verbose=0)
    made.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    loaded.fit(stream(tiny), steps_per_epoch=2, verbose=0)
    assert_equal(loaded, in_one)


def test_an_interrupted_call_counts_the_steps_that_it_took(tiny, in_one):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    made = learner()
    with pytest.raises(KeyboardInterrupt):
        made.fit(stream(tiny), steps_per_epoch=6, verbose=0, callbacks=[Stop()])
    made.fit(stream(tiny), steps_per_epoch=4, verbose=0)
    assert_equal(made, in_one)


def test_streams_of_each_kind_start_later(tiny):
    waves = sinusoid_episodes(k_shot=2, n_query=1, meta_batch_size=2, seed=0)
    for data in (stream(tiny), turned(tiny), waves, labelled_batches(tiny, batch_size=4, seed=0)):
        from tfmeta.core.streams import stream_of

        later, skipped = stream_of(data).later(3), data.skip(3)
        for a, b in zip(tf.nest.flatten(next(iter(later))), tf.nest.flatten(next(iter(skipped))), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_setting_changed_by_a_callback_takes_effect_in_the_middle_of_fit(tiny):
    class Anneal(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.inner_lr = 0.1 if epoch == 0 else 0.0

    made, data = learner(), stream(tiny).take(1)
    made.compile(keras.optimizers.SGD(0.0))
    found = made.fit(data, epochs=2, validation_data=data, callbacks=[Anneal()], verbose=0).history
    assert found["val_query_loss_before"][0] != found["val_query_loss_after"][0]
    assert found["val_query_loss_before"][1] == found["val_query_loss_after"][1]
    assert found["loss"][0] != found["loss"][1] == pytest.approx(found["val_query_loss_before"][1])


def test_accumulated_gradients_are_one_step_on_all_tasks(tiny):
    parts = [e for e in stream(tiny).take(4)]
    whole = tfmeta.Episode(*(tf.concat(tensors, 0) for tensors in zip(*parts, strict=True)))
    made, wanted = learner(), learner()
    made.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4))
    made.fit(stream(tiny), steps_per_epoch=4, verbose=0)
    wanted.compile(keras.optimizers.SGD(0.1))
    wanted.fit(tf.data.Dataset.from_tensors(whole), verbose=0)
    for a, b in zip(made.network.get_weights(), wanted.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda m, s: m.fit(s), r"x is an endless stream: say steps_per_epoch.*Received: steps_per_epoch=None"),
        (lambda m, s: m.evaluate(s), r"x is an endless stream: say steps, or give x.take\(n\)"),
        (lambda m, s: m.fit(s, steps_per_epoch=1, validation_data=s), r"validation_data.*say validation_steps"),
        (lambda m, s: m.fit(s, steps_per_epoch=1, class_weight={0: 1.0}), r"no class_weight.*Received: class_weight="),
        (lambda m, s: m.fit(s, steps_per_epoch=1, validation_split=0.5), r"no validation_split"),
        (lambda m, s: m.fit(s, [1], steps_per_epoch=1), r"no y: an Episode holds its labels"),
        (lambda m, s: m.compile("sgd", loss="mse"), r"compile takes no loss.*Received: loss='mse'"),
        (lambda m, s: m.compile("sgd", metrics=["mae"]), r"compile takes no metrics"),
        (
            lambda m, s: m.fit(s, steps_per_epoch=1, callbacks=[keras.callbacks.EarlyStopping("val_acuracy")]),
            r"watch what is reported: loss, accuracy.*monitor='val_acuracy'",
        ),
    ],
)
def test_what_cannot_work_is_said_before_work_starts(tiny, in_one, work, message):
    steps = int(in_one.optimizer.iterations)
    with pytest.raises(ValueError, match=message):
        work(in_one, stream(tiny))
    assert int(in_one.optimizer.iterations) == steps


def test_early_stopping_knows_that_more_accuracy_is_better(tiny):
    made, stop = learner(), keras.callbacks.EarlyStopping("val_accuracy", patience=100)
    options = {"steps_per_epoch": 1, "validation_data": stream(tiny).take(1), "verbose": 0}
    made.fit(stream(tiny), epochs=2, callbacks=[stop], **options)
    assert stop.mode == "max"
    assert stop.best == max(made.history.history["val_accuracy"])
    lower = keras.callbacks.EarlyStopping("val_query_loss_after", patience=100)
    made.fit(stream(tiny), callbacks=[lower], **options)
    assert lower.mode == "min"
