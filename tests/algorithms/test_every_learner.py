"""What holds for every learner, metric methods and baselines included."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same
from tests.algorithms.methods import METHODS, SIZES, make, network
from tests.algorithms.pieces import task
from tfmeta.core.episode import Episode

OTHERS = {
    "PrototypicalNetwork": tfmeta.PrototypicalNetwork,
    "MatchingNetwork": tfmeta.MatchingNetwork,
    "full context": lambda encoder: tfmeta.MatchingNetwork(encoder, full_context=True, processing_steps=2),
    "FineTunedClassifier": lambda encoder: tfmeta.FineTunedClassifier(encoder, 12, inner_lr=0.5, eval_inner_steps=5),
    "NearestNeighbour": tfmeta.NearestNeighbour,
}
every_other = pytest.mark.parametrize("name", OTHERS)
every = pytest.mark.parametrize("name", [*METHODS, *OTHERS])
every_metric = pytest.mark.parametrize("name", ["PrototypicalNetwork", "MatchingNetwork", "full context"])


def learner_of(name, **compiled):
    if name in METHODS:
        return make(name, **compiled)
    keras.utils.set_random_seed(0)
    learner = OTHERS[name](network(head=False))
    learner.compile(**({"optimizer": keras.optimizers.SGD(0.5)} | compiled))
    return learner


@pytest.fixture(scope="module")
def episodes(tiny):
    return next(iter(tfmeta.episode_dataset(tiny, **SIZES, seed=0)))


@every_other
def test_permuting_tasks_permutes_results(name, episodes):
    order, learner = [2, 0, 3, 1], learner_of(name)
    shuffled = Episode(*(tf.gather(tensor, order) for tensor in episodes))
    found, again = learner.measure(episodes), learner.measure(shuffled)
    for key, value in found.items():
        np.testing.assert_allclose(tf.gather(value, order), again[key], rtol=1e-5, atol=1e-6)
    spread = found.get("query_loss_after", found.get("loss", found["accuracy"]))
    assert np.ptp(spread) > 0, "all tasks alike show nothing"


@every_metric
def test_permuted_tasks_train_alike(name, episodes):
    ends = []
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        learner = learner_of(name)
        learner.train_on_batch(Episode(*(tf.gather(tensor, order) for tensor in episodes)))
        ends.append([v.numpy() for v in learner.variables if "seed" not in v.path])
    assert_same(*ends, rtol=1e-4, atol=1e-5)


@every_other
def test_eager_and_graph_agree(name, episodes):
    data, scores = tf.data.Dataset.from_tensors(episodes), []
    for eager in (False, True):
        learner = learner_of(name, run_eagerly=eager)
        if name != "FineTunedClassifier":  # which is not trained on episodes
            learner.fit(data, verbose=0)
        scores.append(learner.evaluate(data, return_dict=True, verbose=0))
    assert scores[0] == pytest.approx(scores[1], rel=1e-3, abs=1e-5)


@every
def test_classes_may_have_different_numbers_of_shots(name, episodes):
    """Everyone can take them: losses are means over examples, prototypes means over a class."""
    one, learner = task(episodes), learner_of(name)
    keep = [int(np.flatnonzero(one.support_y == 0)[0]), *np.flatnonzero(one.support_y != 0)]
    unequal = one._replace(support_x=tf.gather(one.support_x, keep), support_y=tf.gather(one.support_y, keep))
    assert np.bincount(unequal.support_y).tolist() == [1, 2, 2]
    outputs = learner.query_outputs(unequal).numpy()
    assert outputs.shape == (12, 3)
    assert np.isfinite(outputs).all()
    assert np.abs(outputs - learner.query_outputs(one).numpy()).max() > 1e-6
    adapted = learner.adapt(unequal.support_x, unequal.support_y)
    assert np.isfinite(adapted.predict(one.query_x, verbose=0)).all()
    if name != "FineTunedClassifier":
        losses = learner.train_on_batch(Episode(*(tensor[None] for tensor in unequal)), return_dict=True)
        assert all(np.isfinite(value) for value in losses.values())


@every
def test_a_class_that_wrong_labels_have_emptied_leaves_every_number_finite(name, episodes):
    """Label noise at one shot: the support set has no example of class 2, which queries have."""
    one, learner = task(episodes), learner_of(name)
    one = one._replace(support_y=tf.where(one.support_y == 2, 0, one.support_y))
    found = learner.measure(Episode(*(tensor[None] for tensor in one)))
    assert all(np.isfinite(value).all() and np.abs(value).max() < 1e4 for value in found.values())
    if name != "FineTunedClassifier":
        losses = learner.train_on_batch(Episode(*(tensor[None] for tensor in one)), return_dict=True)
        assert all(np.isfinite(value) for value in losses.values())
    assert all(np.isfinite(v.numpy()).all() for v in learner.variables)


def double_network():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.Dense(3)]
    for layer in layers:
        layer.dtype_policy = keras.DTypePolicy("float64")
    return keras.Sequential([keras.Input((6,), dtype="float64"), *layers])


@pytest.mark.parametrize("transductive", [True, False])
def test_a_learner_in_float64_is_judged_on_float32_inputs(random_episodes, transductive):
    """Datasets hold float32; one query at a time the outputs keep the learner's own type."""
    one = task(random_episodes(dtype=np.float32))
    learner = tfmeta.MAML(double_network(), inner_lr=0.1)
    outputs = learner.query_outputs(one, transductive=transductive)
    assert (outputs.dtype, outputs.shape) == (tf.float64, (15, 3))


def test_layers_may_compute_in_different_types(random_episodes):
    def mixed():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4, dtype="float64"), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
        return keras.Sequential([keras.Input((6,)), *layers])

    episodes = random_episodes(dtype=np.float32)
    for learner in (tfmeta.MAML(mixed(), inner_lr=0.1), tfmeta.MetaSGD(mixed(), initial_rates=0.1)):
        learner.compile(optimizer=keras.optimizers.SGD(0.1))
        assert np.isfinite(learner.train_on_batch(episodes, return_dict=True)["loss"])
        assert learner.query_outputs(task(episodes), transductive=False).dtype == tf.float32


def test_weight_decay_spares_what_is_no_weight(random_episodes):
    """With gradients of 0 only decay moves anything: weights shrink, rates and the scale stay."""
    keras.utils.set_random_seed(0)
    head = [keras.Input((6,)), keras.layers.Dense(3)]
    encoder = [keras.Input((6,)), keras.layers.Dense(4)]
    for learner, own in (
        (tfmeta.MetaSGD(keras.Sequential(head), initial_rates=0.1), lambda m: m.rates),
        (tfmeta.MAMLPlusPlus(keras.Sequential(head), inner_lr=0.1, inner_steps=2), lambda m: m.rates),
        (tfmeta.MatchingNetwork(keras.Sequential(encoder)), lambda m: [m.log_scale]),
    ):
        learner.compile(optimizer=keras.optimizers.SGD(0.1, weight_decay=0.5))
        variables = learner.trainable_variables
        before = {v.path: v.numpy() for v in variables}
        learner.optimizer.apply([tf.zeros(v.shape) for v in variables], variables)
        kept = {v.path for v in own(learner)}
        assert kept
        for variable in variables:
            factor = 1.0 if variable.path in kept else 0.95
            np.testing.assert_allclose(variable, factor * before[variable.path], rtol=1e-6)


@pytest.mark.parametrize("how", ["var_list", "var_names", "built", "scaled"])
def test_what_the_user_exempts_from_decay_stays_exempt_beside_the_rates(how):
    network_ = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, bias_initializer="ones")])
    learner = tfmeta.MetaSGD(network_, initial_rates=0.1)
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
    named = {"var_names": ["bias"]} if how == "var_names" else {"var_list": [network_.layers[-1].bias]}
    optimizer.exclude_from_weight_decay(**named)
    if how == "built":
        optimizer.build(learner.trainable_variables)
    if how == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    learner.compile(optimizer=optimizer)
    optimizer.apply([tf.zeros(v.shape) for v in learner.trainable_variables], learner.trainable_variables)
    np.testing.assert_array_equal(network_.layers[-1].bias, np.ones(3))
    np.testing.assert_array_equal(learner.rates[0], np.full((6, 3), 0.1, np.float32))
    assert network_.layers[-1].kernel.path not in {
        v.path for g in learner.method.undecayed for v in learner.parameter_groups()[g]
    }


def test_frozen_encoders_are_taken_where_nothing_of_them_is_learned(episodes):
    encoder = network(head=False)
    encoder.trainable = False
    one = task(episodes)
    for learner in (tfmeta.NearestNeighbour(encoder), tfmeta.FineTunedClassifier(encoder, 12, eval_inner_steps=3)):
        assert learner.adapt(one.support_x, one.support_y).predict(one.query_x, verbose=0).shape == (12, 3)
    with pytest.raises(ValueError, match="encoder must have trainable variables"):
        tfmeta.FineTunedClassifier(encoder, 12, adapt_encoder=True)
    with pytest.raises(ValueError, match="learner must have trainable variables"):
        tfmeta.MAML(encoder)


def test_a_softmax_at_the_end_of_a_nested_model_is_refused():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    nested = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), inner])
    with pytest.raises(ValueError, match="which ends in a softmax"):
        tfmeta.ProtoMAML(nested)
