"""Scores and their confidence intervals."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta import evaluation, functional
from tfmeta.core.episode import Episode
from tfmeta.training import copies
from tfmeta.training.comparison import embed

pytestmark = pytest.mark.slow

TASKS = {"n_way": 3, "k_shot": 2, "n_query": 4}


def small_maml(seed=0, n_way=3, **options):
    keras.utils.set_random_seed(seed)
    network = tfmeta.networks.conv4(n_way, filters=4, input_shape=(16, 16, 1))
    return tfmeta.MAML(network, **({"inner_lr": 0.3, "inner_steps": 2} | options))


def small_prototypical(seed=0):
    keras.utils.set_random_seed(seed)
    return tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=4, input_shape=(16, 16, 1)))


def naive_accuracies(learner, data, episodes, batch, transductive, seed=0):
    """Equation 1 of MAML in eager loops: two inner steps, then each query in its batch; one episode after another."""
    found = []
    stream = tfmeta.episode_dataset(data, **TASKS, meta_batch_size=batch, seed=seed)
    for episodes_of_batch in stream.take(-(-episodes // batch)):
        for i in range(batch):
            one = Episode(*(tensor[i] for tensor in episodes_of_batch))
            fast = functional.values(learner.network.trainable_variables)
            for _ in range(2):
                with tf.GradientTape() as tape:
                    tape.watch(fast)
                    logits = functional.forward(learner.network, fast, one.support_x)
                    loss = functional.cross_entropy(one.support_y, logits)
                fast = [w - 0.3 * g for w, g in zip(fast, tape.gradient(loss, fast), strict=True)]
            if transductive:
                guesses = functional.forward(learner.network, fast, one.query_x).numpy().argmax(axis=1)
            else:
                batches = [tf.concat([one.support_x, query[None]], axis=0) for query in one.query_x]
                guesses = [functional.forward(learner.network, fast, b)[-1].numpy().argmax() for b in batches]
            found.append(np.mean(guesses == one.query_y.numpy()))
    return found[:episodes]


# -- the interval --------------------------------------------------------------------------------------------------
def test_interval_by_hand():
    # Deviations -1, 0, 1: variance 2 / 2, standard error 1 / sqrt(3).
    assert evaluation.confidence_interval([1.0, 2.0, 3.0]) == pytest.approx(1.959964 / math.sqrt(3.0), rel=1e-9)
    assert evaluation.confidence_interval([0.5, 0.5]) == 0.0
    rows = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 13.0]], np.float32)
    expected = [1.959964 / math.sqrt(3.0), 1.959964 * math.sqrt(3.0) / math.sqrt(3.0)]
    np.testing.assert_allclose(evaluation.confidence_interval(rows), expected, rtol=1e-9)


def test_interval_holds_the_mean_in_95_of_100_experiments():
    rng = np.random.default_rng(0)
    accuracies = rng.binomial(15, 0.8, (400, 3000)) / 15  # 3000 experiments of 400 episodes with 15 queries
    covered = np.abs(accuracies.mean(axis=0) - 0.8) <= evaluation.confidence_interval(accuracies)
    assert 0.938 < covered.mean() < 0.962  # three standard errors of a fraction over 3000


def test_one_value_has_no_interval_and_infinite_ones_do_not_warn():
    assert math.isnan(evaluation.confidence_interval([0.7]))
    assert np.isnan(evaluation.confidence_interval(np.ones((1, 4)))).tolist() == [True] * 4
    found = evaluation.confidence_interval(np.array([[1.0, 2.0, 1e300], [np.inf, 4.0, -1e300], [np.nan, 6.0, 0.0]]))
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(1.959964 * 2.0 / math.sqrt(3.0))
    assert not np.isfinite(found[2])


# -- the score -----------------------------------------------------------------------------------------------------
def test_the_line_holds_every_field():
    values = {
        "accuracy": 0.98765, "interval": 0.00321, "episodes": 601, "n_way": 7, "k_shot": 3, "n_query": 13,
        "data": "omniglot vinyals test", "method": "MAML", "settings": {"inner_steps": 17, "inner_lr": 0.25},
        "batch_norm": "statistics of all queries together", "seed": 42, "model": "single model",
        "loss": 0.123, "loss_interval": 0.004,
    }  # fmt: skip
    assert {*values, "details", "calibration"} == {field.name for field in dataclasses.fields(tfmeta.Score)}
    score = tfmeta.Score(**values)
    assert str(score) == (
        "accuracy 98.77 % +- 0.32 (7-way 3-shot, 95 % interval over 601 episodes, 13 queries a class, omniglot vinyals "
        "test, MAML, inner steps 17, inner lr 0.25, batch norm: statistics of all queries together, single model, "
        "seed 42)"
    )
    assert json.loads(json.dumps(score.to_dict())) == values
    with pytest.raises(dataclasses.FrozenInstanceError):
        score.accuracy = 1.0


def test_a_file_without_a_loss_is_still_a_score():
    """As written by versions that had none, and of methods that have none."""
    old = {"accuracy": 0.5, "interval": 0.1, "episodes": 2, "n_way": 2, "k_shot": 1, "n_query": 1, "data": "tiny",
           "method": "MAML", "settings": {}, "batch_norm": "none", "seed": 0, "model": "single model"}  # fmt: skip
    read = tfmeta.Score(**old)
    assert (read.loss, read.loss_interval) == (None, None)
    assert read.to_dict() == old


def naive_losses(learner, data, episodes, seed):
    """The learner's outputs on each task by itself, and cross-entropy in NumPy."""
    found = []
    for one in tfmeta.episode_dataset(data, **TASKS, meta_batch_size=1, seed=seed).take(episodes):
        one = Episode(*(tensor[0] for tensor in one))
        logits = learner.query_outputs(one).numpy().astype(np.float64)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        found.append(-np.mean(logs[np.arange(len(logs)), one.query_y.numpy()]))
    return found


@pytest.mark.parametrize("make", [small_maml, small_prototypical])
def test_the_loss_is_the_mean_over_episodes(tiny, make):
    learner = make()
    score = tfmeta.evaluate(learner, tiny, **TASKS, episodes=7, seed=3)
    found = naive_losses(learner, tiny, 7, 3)
    assert score.loss == pytest.approx(np.mean(found), rel=1e-3, abs=1e-6)
    assert score.loss_interval == pytest.approx(1.959964 * np.std(found, ddof=1) / math.sqrt(7), rel=1e-2, abs=1e-6)
    again = tfmeta.Score(**json.loads(json.dumps(score.to_dict())))
    assert (again.loss, again.loss_interval) == (score.loss, score.loss_interval)


def test_a_loss_of_ones_own_is_the_loss_that_is_reported(tiny):
    smooth = lambda y, logits: functional.cross_entropy(y, logits) + 5.0  # noqa: E731
    own, plain = (
        tfmeta.evaluate(small_maml(loss=loss, inner_steps=0), tiny, **TASKS, episodes=4) for loss in (smooth, None)
    )
    assert own.loss == pytest.approx(plain.loss + 5.0, rel=1e-5)
    assert own.loss_interval == pytest.approx(plain.loss_interval, rel=1e-3)


def test_what_has_no_loss_says_none(tiny):
    """Similarities are no probabilities, and of a foreign model nobody knows whether it gives logits."""
    learner = small_maml()

    class Foreign:
        def adapt(self, support_x, support_y):
            return learner.adapt(support_x, support_y)

    for judged in (tfmeta.NearestNeighbour(), Foreign()):
        score = tfmeta.evaluate(judged, tiny, **TASKS, episodes=2)
        assert (score.loss, score.loss_interval) == (None, None)
        assert not {"loss", "loss_interval"} & set(score.to_dict())


def test_the_graph_that_judges_is_traced_once(tiny, monkeypatch):
    learner, traced = small_maml(), []
    outputs = type(learner).query_outputs
    monkeypatch.setattr(
        type(learner), "query_outputs", lambda self, *a, **k: (traced.append(1), outputs(self, *a, **k))[1]
    )
    for seed in (0, 1):
        tfmeta.evaluate(learner, tiny, **TASKS, episodes=60, seed=seed)
    assert len(traced) == 1


@pytest.mark.parametrize("transductive", [True, False])
def test_maml_score_agrees_with_a_naive_loop_in_both_batch_norm_modes(tiny, transductive):
    learner = small_maml()
    score = tfmeta.evaluate(learner, tiny, **TASKS, episodes=5, seed=3, transductive=transductive)
    found = naive_accuracies(learner, tiny, 5, 5, transductive, seed=3)
    assert score.accuracy == pytest.approx(np.mean(found), abs=1e-6)
    assert score.interval == pytest.approx(1.959964 * np.std(found, ddof=1) / math.sqrt(5), rel=1e-4)
    words = "statistics of all queries together" if transductive else "statistics of the support set and one query"
    assert score == dataclasses.replace(
        score, **TASKS, episodes=5, seed=3, data="tiny", method="MAML", batch_norm=words
    )
    assert score.settings == {"inner_steps": 2, "inner_lr": 0.3}


def test_the_batch_norm_mode_changes_the_score(tiny):
    """Else the argument would be a word only."""
    learner = small_maml()
    together, alone = (tfmeta.evaluate(learner, tiny, **TASKS, transductive=t, episodes=20) for t in (True, False))
    assert together.accuracy != alone.accuracy
    plain = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    learner = tfmeta.MAML(plain, inner_lr=0.1)
    together, alone = (tfmeta.evaluate(learner, tiny, **TASKS, transductive=t, episodes=20) for t in (True, False))
    assert together == alone
    assert alone.batch_norm == "none in the network"


def test_prototypical_score_agrees_with_naive_nearest_prototypes(tiny):
    learner = small_prototypical()
    copies.set_batch_norm_statistics(learner.encoder, tiny.images[::3].astype(np.float32) / 255.0)
    score = tfmeta.evaluate(learner, tiny, **TASKS, episodes=6, seed=1)
    found = []
    for episodes in tfmeta.episode_dataset(tiny, **TASKS, meta_batch_size=6, seed=1).take(1):
        for i in range(6):
            support_x, support_y, query_x, query_y = (tensor[i] for tensor in episodes)
            support, query = embed(learner.encoder, support_x).numpy(), embed(learner.encoder, query_x).numpy()
            means = np.stack([support[support_y.numpy() == k].mean(axis=0) for k in range(3)])
            distances = np.linalg.norm(query[:, None] - means[None], axis=-1)
            found.append(np.mean(distances.argmin(axis=1) == query_y.numpy()))
    assert score.accuracy == pytest.approx(np.mean(found), abs=1e-6)
    assert (score.batch_norm, score.settings) == ("moving averages of training", {})
    assert "batch norm: moving averages of training" in str(score)
    vectors = tfmeta.PrototypicalNetwork(tfmeta.networks.mlp(2, input_shape=(16, 16, 1)))
    assert tfmeta.evaluate(vectors, tiny, **TASKS, episodes=2).batch_norm == "none in the network"


def test_same_seed_same_score_other_seed_other_episodes(tiny):
    learner = small_prototypical()
    copies.set_batch_norm_statistics(learner.encoder, tiny.images[:60].astype(np.float32) / 255.0)
    scores = [tfmeta.evaluate(learner, tiny, **TASKS, episodes=25, seed=s) for s in (0, 0, 1)]
    assert scores[0] == scores[1]
    assert scores[0].accuracy != scores[2].accuracy
    assert (scores[0].seed, scores[2].seed) == (0, 1)


def test_a_number_of_episodes_that_is_no_multiple_of_the_batch(tiny):
    """23 episodes are those of the first batch of 20 and three of the second, not 40."""
    learner = small_maml()
    score = tfmeta.evaluate(learner, tiny, **TASKS, episodes=23)
    found = naive_accuracies(learner, tiny, 23, 20, True)
    assert len(found) == score.episodes == 23
    assert score.accuracy == pytest.approx(np.mean(found), abs=1e-6)
    single = tfmeta.evaluate(learner, tiny, **TASKS, episodes=1)
    assert math.isnan(single.interval)
    assert "over 1 episode," in str(single)


@pytest.mark.parametrize("make", [small_maml, small_prototypical])
def test_scoring_leaves_the_learner_as_it_is(tiny, make):
    learner = make()
    learner.compile(optimizer="adam")
    before = [v.numpy() for v in learner.variables]
    tfmeta.evaluate(learner, tiny, **TASKS, episodes=3)
    tfmeta.evaluate(learner, tiny, n_way=3, k_shot=1, n_query=2, episodes=3)  # another size
    for old, variable in zip(before, learner.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


# -- what is refused ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_way": 9}, r"'tiny' has 8. Received: n_way=9"),
        ({"n_way": 0}, r"Received: n_way=0"),
        ({"k_shot": 0}, r"Received: k_shot=0"),
        ({"n_query": 0}, r"Received: n_query=0"),
        ({"episodes": 0}, r"Received: episodes=0"),
        ({"episodes": 10.0}, r"Received: episodes=10.0"),
        ({"seed": -1}, r"Received: seed=-1"),
        ({"k_shot": 5}, r"class 'Tagalog/character00' has 7 images, but k_shot=5 \+ n_query=4 need 9 \(3 of 8 classes"),
        ({"n_way": 4}, r"must be n_way=4 wide.*Received: network='conv4' with outputs of shape \(3,\)"),
    ],
)
def test_bad_settings_are_named(unequal, options, message):
    with pytest.raises(ValueError, match=message):
        tfmeta.evaluate(small_maml(), unequal, **(TASKS | options))


def test_bad_learners_and_data_are_named(tiny):
    with pytest.raises(
        TypeError, match=r"cannot adapt to classes that it does not know.*Received: data of type ImageClasses"
    ):
        tfmeta.evaluate(tfmeta.networks.conv4(3), tiny, **TASKS)
    with pytest.raises(TypeError, match=r"data must be an ImageClasses.*Received: data of type ndarray"):
        tfmeta.evaluate(small_maml(), tiny.images, **TASKS)
    larger = tfmeta.MAML(tfmeta.networks.conv4(3))
    with pytest.raises(
        ValueError, match=r"takes inputs of shape \(28, 28, 1\). Received: support_x with \(16, 16, 1\)"
    ):
        tfmeta.evaluate(larger, tiny, **TASKS)


def maml_plus_plus(learner):
    return tfmeta.MAMLPlusPlus(learner, inner_lr=1.0, inner_steps=2, learn_rates=False)


def plain_cosine(learner):
    encoder = keras.Model(learner.inputs, learner.layers[-2].output)
    return tfmeta.MatchingNetwork(encoder, scale=5.0, learn_scale=False)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (lambda learner: tfmeta.MAML(learner, inner_lr=1.0, inner_clip_norm=10.0), "inner_clip_norm", 1e-9),
        (lambda learner: tfmeta.MAML(learner, inner_lr=1.0), "inner_lr", 1e-9),
        (maml_plus_plus, "inner_lr", 1e-9),
        (lambda learner: tfmeta.Reptile(learner, inner_lr=0.1, carry_moments=False), "inner_optimizer", "sgd"),
    ],
)
def test_a_changed_setting_changes_the_next_score(tiny, make, name, value):
    """Graphs are kept between scores: for as long as every setting that they depend on stays."""
    learner = make(small_maml(n_way=3).network)
    before = tfmeta.evaluate(learner, tiny, **TASKS, episodes=20)
    setattr(learner, name, value)
    after = tfmeta.evaluate(learner, tiny, **TASKS, episodes=20)
    fresh = type(learner).from_config(learner.get_config())
    fresh.set_weights(learner.get_weights())
    assert after == tfmeta.evaluate(fresh, tiny, **TASKS, episodes=20)
    assert after.accuracy != before.accuracy
    assert after.settings[name] == value


def test_a_score_says_the_scale_that_was_not_learned(tiny):
    learner = plain_cosine(small_maml().network)
    assert tfmeta.evaluate(learner, tiny, **TASKS, episodes=2).settings == {"distance": "cosine", "scale": 5.0}
