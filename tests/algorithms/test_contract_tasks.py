"""What every method promises of one new task: an ordinary model, scores, curves, symmetries, odd support sets."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, largest_difference, predict_with
from tests.algorithms.methods import (
    CLASSIFIERS,
    THREE,
    borrow,
    draws,
    every,
    everything,
    has_inner_loop,
    learns_from_episodes,
)
from tests.algorithms.pieces import once, task
from tfmeta.core.episode import Episode


@pytest.fixture(scope="module")
def stream(tiny):
    return tfmeta.episode_dataset(tiny, **THREE, seed=0)


@pytest.fixture(scope="module")
def episodes(stream):
    return next(iter(stream))


def predicted(learner, one, x):
    """Outputs for inputs that batch norm sees together, from the fast weights; the mean of several models."""
    found = [predict_with(learner, learner.fast_weights(one, key=key), x) for key in range(learner.method.samples)]
    return found[0] if len(found) == 1 else np.log(np.mean([tf.nn.softmax(outputs) for outputs in found], axis=0))


def batch_of(one):
    return Episode(*(tensor[None] for tensor in one))


# -- adaptation ----------------------------------------------------------------------------------------------------
@pytest.mark.slow
@every
def test_adapt_returns_an_ordinary_model_and_leaves_the_learner_alone(name, episodes, tmp_path):
    learner, one = borrow(name), task(episodes)
    before = everything(learner)
    adapted = learner.adapt(one.support_x, one.support_y)
    outputs = learner.query_outputs(one).numpy()
    learner.query_outputs(one, transductive=False)
    assert isinstance(adapted, keras.Model)
    assert "tfmeta" not in type(adapted).__module__
    together = adapted(one.query_x).numpy()
    if learner.method.inference:  # nothing depends on the batch: probabilities are the learner's own
        np.testing.assert_allclose(tf.nn.softmax(together), tf.nn.softmax(outputs), rtol=1e-3, atol=1e-5)
    else:  # batch norm holds the support set's statistics: there the model repeats the adapted network's outputs
        fast = [w for key in range(learner.method.samples) for w in learner.fast_weights(one, key=key)]
        assert_same([v.numpy() for v in adapted.trainable_variables], fast, rtol=0)
        np.testing.assert_allclose(adapted(one.support_x), predicted(learner, one, one.support_x), rtol=1e-3, atol=1e-4)
    # What a query gets does not depend on its company.
    np.testing.assert_allclose(adapted(one.query_x[:1]), together[:1], rtol=1e-4, atol=1e-5)
    adapted.save(tmp_path / "adapted.keras")
    loaded = keras.models.load_model(tmp_path / "adapted.keras")
    np.testing.assert_array_equal(
        loaded.predict(one.query_x, verbose=0), adapted.predict(one.query_x, verbose=0)
    )  # fmt: skip
    for variable in adapted.variables:  # nothing done to the copy reaches the learner
        variable.assign(tf.zeros_like(variable))
    assert_same(everything(learner), before, rtol=0)


@every
def test_inner_steps_are_followed_or_refused(name, episodes):
    learner, one = borrow(name), task(episodes)
    if not has_inner_loop(learner):
        with pytest.raises(ValueError, match=rf"{type(learner).__name__} has no inner loop. Received: inner_steps=0"):
            learner.adapt(one.support_x, one.support_y, inner_steps=0)
        with pytest.raises(TypeError, match="only a learner with an inner loop has an adaptation curve"):
            tfmeta.adaptation_curve(learner, episodes, 3)
        assert "inner_steps" not in learner.evaluation_settings()
        return
    fast, theta = learner.fast_weights(one), learner.fast_weights(one, inner_steps=0)
    assert largest_difference(fast, theta) > 1e-4
    assert_same(fast, learner.fast_weights(one, inner_steps=learner.eval_inner_steps), rtol=0)
    before = learner.adapt(one.support_x, one.support_y, inner_steps=0)
    first = slice(len(theta)) if learner.method.samples > 1 else slice(-len(theta), None)
    assert_same([v.numpy() for v in before.trainable_variables][first], theta, rtol=0)
    assert learner.evaluation_settings()["inner_steps"] == learner.eval_inner_steps


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in CLASSIFIERS if n not in ("PrototypicalNetwork", "MatchingNetwork")])
def test_the_ends_of_the_adaptation_curve_are_what_evaluate_reports(name, stream):
    learner = borrow(name)
    if not has_inner_loop(learner):
        return  # test_inner_steps_are_followed_or_refused
    steps = learner.eval_inner_steps
    curve = tfmeta.adaptation_curve(learner, stream.take(2), steps)
    reported = learner.evaluate(stream.take(2), return_dict=True, verbose=0)
    assert (curve.episodes, curve.inner_steps, curve.label) == (6, steps, learner.method_label)
    for key, mean in curve.mean.items():
        assert mean[0] == pytest.approx(reported[f"{key}_before"], rel=1e-4)
        assert mean[-1] == pytest.approx(reported[f"{key}_after"], rel=1e-4)
    assert curve.mean["support_loss"][-1] < curve.mean["support_loss"][0]
    assert reported["loss"] == pytest.approx(curve.mean["query_loss"][-1], rel=1e-4)


# -- what queries see of each other, and scores ------------------------------------------------------------------------
@pytest.mark.slow
@every
def test_both_batch_norm_modes_agree_with_a_naive_loop(name, episodes):
    learner, method = borrow(name), borrow(name).method
    hits = {True: [], False: []}
    for i in range(3):
        one = task(episodes, i)
        outputs = {mode: learner.query_outputs(one, transductive=mode).numpy() for mode in hits}
        for mode, found in outputs.items():
            hits[mode].append(np.mean(found.argmax(axis=1) == one.query_y.numpy()))
        if i:
            continue
        if method.inference:
            np.testing.assert_array_equal(outputs[True], outputs[False])
            single = [learner.query_outputs(one._replace(query_x=q[None]))[0] for q in one.query_x]
        elif method.alone is not None:  # MAML++ has moving averages for single queries; numbers in its own file
            single = [
                learner.query_outputs(one._replace(query_x=q[None]), transductive=False)[0] for q in one.query_x
            ]  # fmt: skip
        else:
            np.testing.assert_allclose(predicted(learner, one, one.query_x), outputs[True], rtol=1e-3, atol=1e-4)
            single = [predicted(learner, one, tf.concat([one.support_x, q[None]], 0))[-1] for q in one.query_x]
        np.testing.assert_allclose(outputs[False], single, rtol=1e-3, atol=1e-4)
        if not method.inference:
            assert np.abs(outputs[True] - outputs[False]).max() > 1e-3
    for mode, found in hits.items():
        score = tfmeta.evaluate(learner, episodes, transductive=mode)
        assert score.accuracy == pytest.approx(np.mean(found), abs=1e-6)
        assert score.batch_norm == learner.batch_norm_mode(transductive=mode)
        assert (score.method, score.settings) == (learner.method_label, learner.evaluation_settings())
        assert (score.n_way, score.k_shot, score.n_query, score.episodes) == (3, 2, 4, 3)


# -- symmetries ----------------------------------------------------------------------------------------------------
@every
def test_order_of_support_items_does_not_matter_nor_do_the_labels_of_queries(name, episodes):
    learner, one = borrow(name), task(episodes)
    outputs = learner.query_outputs(one).numpy()
    order = np.array([3, 0, 5, 1, 4, 2])
    shuffled = one._replace(support_x=tf.gather(one.support_x, order), support_y=tf.gather(one.support_y, order))
    found = learner.query_outputs(shuffled).numpy()
    if getattr(learner, "full_context", False):  # an LSTM reads the support set as a sequence
        assert np.abs(found - outputs).max() > 1e-6
    else:
        np.testing.assert_allclose(found, outputs, rtol=1e-3, atol=1e-4)
    relabelled = one._replace(query_y=(one.query_y + 1) % 3)
    np.testing.assert_array_equal(learner.query_outputs(relabelled), outputs)
    turned = learner.query_outputs(one._replace(query_x=one.query_x[::-1])).numpy()
    np.testing.assert_allclose(turned[::-1], outputs, rtol=1e-3, atol=1e-4)


@every
def test_permuting_classes_permutes_outputs(name, episodes):
    learner, one = borrow(name), task(episodes)
    for variable in learner.meta_variables if draws(learner) else ():  # noise is no class's, and cannot go with it
        if "log_variance" in variable.path:
            variable.assign(tf.fill(variable.shape, -40.0))
    new_label = np.array([1, 2, 0], np.int32)  # old label k becomes new_label[k]
    inverse = np.argsort(new_label)
    outputs = learner.query_outputs(one).numpy()
    renamed = one._replace(support_y=tf.gather(new_label, one.support_y))
    for variable in learner.meta_variables:  # what belongs to a class, Meta-SGD's rates included, goes with it
        if "head" in variable.path and variable.shape[-1] == 3:
            variable.assign(variable.numpy()[..., inverse])
    np.testing.assert_allclose(learner.query_outputs(renamed), outputs[:, inverse], rtol=1e-3, atol=1e-4)
    assert np.abs(outputs[:, inverse] - outputs).max() > 1e-3


# -- odd support sets --------------------------------------------------------------------------------------------------
def assert_trains_finitely(learner, one):
    if learns_from_episodes(learner):
        assert all(np.isfinite(value).all() for value in learner.outer_step(batch_of(one)).values())
    assert all(np.isfinite(v.numpy()).all() for v in learner.variables)


@every
def test_classes_may_have_different_numbers_of_shots(name, episodes):
    """Everyone can take them: losses are means over examples, prototypes means over a class."""
    one, learner = task(episodes), borrow(name)
    keep = [int(np.flatnonzero(one.support_y == 0)[0]), *np.flatnonzero(one.support_y != 0)]
    unequal = one._replace(support_x=tf.gather(one.support_x, keep), support_y=tf.gather(one.support_y, keep))
    assert np.bincount(unequal.support_y).tolist() == [1, 2, 2]
    outputs = learner.query_outputs(unequal).numpy()
    assert outputs.shape == (12, 3)
    assert np.isfinite(outputs).all()
    assert np.abs(outputs - learner.query_outputs(one).numpy()).max() > 1e-6
    adapted = learner.adapt(unequal.support_x, unequal.support_y)
    predicted = adapted(one.query_x)
    assert np.isfinite(predicted).all()
    if learner.method.inference:
        np.testing.assert_allclose(tf.nn.softmax(predicted), tf.nn.softmax(outputs), rtol=1e-3, atol=1e-5)
    assert_trains_finitely(learner, unequal)


@every
def test_a_class_that_wrong_labels_have_emptied_leaves_every_number_finite(name, episodes):
    """Label noise at one shot: the support set has no example of class 2, which queries have."""
    one, learner = task(episodes), borrow(name)
    one = one._replace(support_y=tf.where(one.support_y == 2, 0, one.support_y))
    found = learner.measure(batch_of(one))
    assert all(np.isfinite(value).all() and np.abs(value).max() < 1e4 for value in found.values())
    assert_trains_finitely(learner, one)


@every
def test_another_number_of_classes_is_taken_where_the_head_is_made_and_else_refused(name, tiny, stream):
    learner = borrow(name)
    four = next(iter(tfmeta.episode_dataset(tiny, **(THREE | {"n_way": 4}), seed=0)))
    if learner.method.makes_head:
        assert learner.adapt(four.support_x[0], four.support_y[0]).output_shape == (None, 4)
        assert learner.query_outputs(task(four)).shape == (16, 4)
        return
    with pytest.raises(ValueError, match=r"must be n_way=4 wide.*with outputs of shape \(3,\)"):
        learner.adapt(four.support_x[0], four.support_y[0])
    for call in (
        lambda: learner.fit(once(four), verbose=0),
        lambda: learner.evaluate(once(four), verbose=0),
        lambda: learner.fit(stream, steps_per_epoch=1, validation_data=once(four), verbose=0),
        lambda: tfmeta.evaluate(learner, four),
    ):
        with pytest.raises(ValueError, match=r"must be n_way=4 wide"):
            call()
