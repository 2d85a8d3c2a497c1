"""Settings that are changed after the first graph, optimizers of groups, weight decay, number types."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import assert_same, contribution, largest_difference, smooth_network
from tests.algorithms.pieces import once, task


# -- a changed setting -------------------------------------------------------------------------------------------------
def doubled(targets, outputs):
    return 2.0 * keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


# What is changed, to what, and whether it is seen by fit and at test time.
CHANGES = [
    ("inner_lr", 3.0, True, True),
    ("inner_steps", 4, True, False),
    ("eval_inner_steps", 0, False, True),
    ("loss_function", doubled, True, True),
]


@pytest.mark.slow
def test_a_changed_setting_takes_effect_everywhere_and_the_old_one_is_not_traced_again(random_episodes):
    """Graphs are compared with eager code, which reads the settings anew."""
    episodes = random_episodes(batch=2, n_query=8, dtype=np.float32)
    learner = tfmeta.MAML(smooth_network(dtype="float32"), inner_lr=0.5, inner_steps=1, eval_inner_steps=2)
    learner.compile(optimizer=keras.optimizers.SGD(0.0))  # nothing moves
    calls, query_outputs = [], learner.query_outputs
    learner.query_outputs = lambda *args, **kwargs: (calls.append(1), query_outputs(*args, **kwargs))[1]

    def score():
        calls.clear()
        return tfmeta.evaluate(learner, episodes).accuracy, len(calls)

    def by_graph():
        accuracy, traced = score()
        assert traced
        return {
            "fit": learner.fit(once(episodes), verbose=0).history["loss"][0],
            "evaluate": learner.evaluate(once(episodes), return_dict=True, verbose=0),
            "score": accuracy,
            "curve": tfmeta.adaptation_curve(learner, episodes, 2).mean["query_loss"].tolist(),
        }

    def eagerly():
        tasks = [task(episodes, i) for i in range(2)]
        hits = [np.mean(np.argmax(query_outputs(one), axis=1) == one.query_y) for one in tasks]
        return {
            "fit": np.mean([contribution(learner, one).loss for one in tasks]),
            "evaluate": {name: np.mean(value) for name, value in learner.measure(episodes).items()},
            "score": np.mean(hits),
            "curve": np.mean([learner.adaptation_path(one, 2)["query_loss"] for one in tasks], axis=0).tolist(),
        }

    def assert_alike(found, expected):
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-4), name

    first = by_graph()
    assert_alike(first, eagerly())
    for setting, value, in_fit, at_test in CHANGES:
        before = getattr(learner, setting)
        setattr(learner, setting, value)
        found = by_graph()
        assert_alike(found, eagerly())
        assert (found["fit"] != pytest.approx(first["fit"], rel=1e-3)) == in_fit, setting
        assert (found["evaluate"]["loss"] != pytest.approx(first["evaluate"]["loss"], rel=1e-3)) == at_test, setting
        assert (found["curve"] != pytest.approx(first["curve"], rel=1e-3)) == (setting in ("inner_lr", "loss_function"))
        setattr(learner, setting, before)
        assert score() == (first["score"], 0), f"{setting} was set back: the score's first graph is still there"
    assert_alike({"fit": learner.fit(once(episodes), verbose=0).history["loss"][0]}, {"fit": first["fit"]})


# -- optimizers of groups ----------------------------------------------------------------------------------------------
def meta_sgd(**optimizers):
    learner = tfmeta.MetaSGD(smooth_network(), initial_rates=(0.1, 0.5))
    learner.compile(**optimizers)
    return learner


@pytest.mark.parametrize(("of_network", "of_rates"), [(0.0, 1.0), (1.0, 0.0), (0.5, 0.25)])
def test_each_group_moves_by_its_own_optimizer(random_episodes, of_network, of_rates):
    rates = keras.optimizers.SGD(of_rates)
    learner = meta_sgd(optimizer=keras.optimizers.SGD(of_network), group_optimizers={"rates": rates})
    episodes, start = random_episodes(), [v.numpy() for v in learner.meta_variables]
    each = [contribution(learner, task(episodes, i)).gradients for i in range(4)]
    learner.outer_step(episodes)
    n = len(learner.network.trainable_variables)
    for i, (old, new, *gradients) in enumerate(zip(start, learner.meta_variables, *each, strict=True)):
        rate = of_network if i < n else of_rates
        np.testing.assert_allclose(old - new.numpy(), rate * np.mean(gradients, axis=0), rtol=1e-9, atol=1e-13)
    assert (int(learner.optimizer.iterations), int(rates.iterations)) == (1, 1)


def test_optimizers_of_groups_are_saved_with_their_state(random_episodes, tmp_path):
    optimizers = {"network": keras.optimizers.Adam(0.01), "rates": keras.optimizers.SGD(0.1, momentum=0.9)}
    keras.utils.set_random_seed(0)
    learner = meta_sgd(optimizer="sgd", group_optimizers=optimizers)
    for seed in range(2):
        learner.outer_step(random_episodes(seed=seed))
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.get_compile_config() == learner.get_compile_config()
    for name, one in optimizers.items():
        other = loaded.group_optimizers[name]
        assert type(other) is type(one)
        assert_same([v.numpy() for v in other.variables], [v.numpy() for v in one.variables], rtol=0)
    for model in (learner, loaded):
        model.outer_step(random_episodes(seed=5))
    assert_same([v.numpy() for v in loaded.variables], [v.numpy() for v in learner.variables], rtol=0)


def test_an_unknown_group_is_refused_by_name():
    with pytest.raises(ValueError, match=r"groups of parameters, network, rates\. Received: .* with 'alpha', 'beta'"):
        meta_sgd(optimizer="sgd", group_optimizers={"beta": "sgd", "rates": "sgd", "alpha": "adam"})


# -- weight decay ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("grouped", [False, True])
def test_weight_decay_spares_what_is_no_weight(grouped):
    """With gradients of 0 only decay moves anything: weights shrink, rates and the scale stay."""
    keras.utils.set_random_seed(0)
    head = [keras.Input((6,)), keras.layers.Dense(3)]
    encoder = [keras.Input((6,)), keras.layers.Dense(4)]
    for learner, own, group in (
        (tfmeta.MetaSGD(keras.Sequential(head), initial_rates=0.1), lambda m: m.rates, "rates"),
        (tfmeta.MAMLPlusPlus(keras.Sequential(head), inner_lr=0.1, inner_steps=2), lambda m: m.rates, "rates"),
        (tfmeta.MatchingNetwork(keras.Sequential(encoder)), lambda m: [m.log_scale], "scale"),
    ):
        groups = {group: keras.optimizers.SGD(0.1, weight_decay=0.5)} if grouped else {}
        learner.compile(optimizer=keras.optimizers.SGD(0.1, weight_decay=0.5), group_optimizers=groups)
        before = {v.path: v.numpy() for v in learner.meta_variables}
        learner.apply({name: [tf.zeros(v.shape) for v in vs] for name, vs in learner.parameter_groups().items()})
        kept = {v.path for v in own(learner)}
        assert kept
        for variable in learner.meta_variables:
            factor = 1.0 if variable.path in kept else 0.95
            np.testing.assert_allclose(variable, factor * before[variable.path], rtol=1e-6)


@pytest.mark.parametrize("how", ["var_list", "var_names", "built", "scaled"])
def test_what_the_user_exempts_from_decay_stays_exempt_beside_the_rates(how):
    network = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, bias_initializer="ones")])
    learner = tfmeta.MetaSGD(network, initial_rates=0.1)
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
    named = {"var_names": ["bias"]} if how == "var_names" else {"var_list": [network.layers[-1].bias]}
    optimizer.exclude_from_weight_decay(**named)
    if how == "built":
        optimizer.build(learner.trainable_variables)
    if how == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    learner.compile(optimizer=optimizer)
    optimizer.apply([tf.zeros(v.shape) for v in learner.trainable_variables], learner.trainable_variables)
    np.testing.assert_array_equal(network.layers[-1].bias, np.ones(3))
    np.testing.assert_array_equal(learner.rates[0], np.full((6, 3), 0.1, np.float32))
    assert network.layers[-1].kernel.path not in {
        v.path for group in learner.method.undecayed for v in learner.parameter_groups()[group]
    }


# -- number types ------------------------------------------------------------------------------------------------------
def network_of(*dtypes):
    """A dense layer, batch norm and a head, each in its own type."""
    keras.utils.set_random_seed(0)
    first, norm, last = (keras.DTypePolicy(dtype) for dtype in dtypes)
    layers = [
        keras.layers.Dense(4, dtype=first), keras.layers.BatchNormalization(dtype=norm), keras.layers.ReLU(dtype=norm),
        keras.layers.Dense(3, dtype=last),
    ]  # fmt: skip
    return keras.Sequential([keras.Input((6,), dtype=dtypes[0]), *layers])


@pytest.mark.parametrize("transductive", [True, False])
def test_a_learner_in_float64_is_judged_on_float32_inputs(random_episodes, transductive):
    """Datasets hold float32; one query at a time the outputs keep the learner's own type."""
    one = task(random_episodes(dtype=np.float32))
    learner = tfmeta.MAML(network_of("float64", "float64", "float64"), inner_lr=0.1)
    outputs = learner.query_outputs(one, transductive=transductive)
    assert (outputs.dtype, outputs.shape) == (tf.float64, (15, 3))


@pytest.mark.slow
def test_layers_may_compute_in_different_types(random_episodes):
    episodes = random_episodes(dtype=np.float32)
    for make in (lambda n: tfmeta.MAML(n, inner_lr=0.1), lambda n: tfmeta.MetaSGD(n, initial_rates=0.1)):
        learner = make(network_of("float64", "float32", "float32"))
        learner.compile(optimizer=keras.optimizers.SGD(0.1))
        before = [v.numpy() for v in learner.meta_variables]
        assert np.isfinite(learner.fit(once(episodes), verbose=0).history["loss"]).all()
        assert largest_difference(before, [v.numpy() for v in learner.meta_variables]) > 1e-4
        assert learner.query_outputs(task(episodes), transductive=False).dtype == tf.float32
