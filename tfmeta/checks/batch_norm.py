"""Check of tutorial 06: judging one query at a time."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.algorithms.maml import MAML
from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.core.episode import Episode

N_WAY, K_SHOT, N_QUERY, DIM = 3, 2, 12, 6
HINTS = (
    ("incompatible", "(A network takes a batch, [batch, ...]: make a batch of one query with query[None].)"),
    ("expected min_ndim", "(A network takes a batch, [batch, ...]: make a batch of one query with query[None].)"),
    ("must have the same rank", "(A query is one row of query_x: make a batch of it with query[None] first.)"),
    ("Shape mismatch", "(A query is one row of query_x: make a batch of it with query[None] first.)"),
    ("Ranks of all input", "(A query is one row of query_x: make a batch of it with query[None] first.)"),
)


def one_query_evaluation(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check predictions in which no query sees another.

    Args:
        answer: `answer(maml, episode)` with a `tfmeta.MAML` and one `Episode`; adapts to the support set with
            `maml.fast_weights(episode)`, then judges each query in a batch of its own with the support set. Returns
            predicted labels, integers `[n_way * n_query]`.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: all queries in one batch, a query all by itself, moving averages,
        no adaptation, adaptation on the query set, argmax over the wrong axis, a support image's prediction, hits or
        their share in place of labels, the true labels, logits, a column, weights that leak between tasks.

    References:
        Nichol, Achiam, Schulman (2018), section 6.1. https://arxiv.org/abs/1803.02999
    """
    return judge("one_query_evaluation", answer, _examine, HINTS, quiet=quiet, seconds=seconds)


def _examine(call) -> str:
    maml, episodes = _small_classification()
    start = [value.numpy().copy() for value in maml.network.variables]
    found = []
    for episode in (episodes[0], episodes[1], episodes[0]):
        found.append(np.asarray(call(maml, episode)))
        _examine_form(found[-1], episode)
        moved = any(not np.array_equal(v.numpy(), s) for v, s in zip(maml.network.variables, start, strict=True))
        for variable, value in zip(maml.network.variables, start, strict=True):
            variable.assign(value)
        require(
            not moved,
            "the learner has changed: its weights or its moving averages were written to, and leak into the next task. "
            "Use functional.forward (or stateless_call), which writes nothing.",
        )
    require(np.array_equal(found[0], found[2]), "one episode was judged in two ways: something leaks between tasks.")
    for episode, predicted in zip(episodes, found[:2], strict=True):
        _one_episode(maml, episode, predicted)
    return "every query is judged with the support set and without the other queries; the learner is as it was."


def _one_episode(maml: MAML, episode: Episode, predicted: np.ndarray) -> None:
    n = len(predicted)
    exact = maml.query_outputs(episode, transductive=False).numpy().argmax(axis=-1)
    if np.array_equal(predicted, exact):
        return
    truth = episode.query_y.numpy()
    hits = (
        "these are hits, 1 where a prediction is right and 0 where it is not. Return the predicted labels themselves; "
        "whoever calls you compares them with query_y."
    )
    require(not np.array_equal(predicted, exact == truth), hits)
    require(not np.array_equal(predicted, truth), "these are the true labels of the queries. Predict them.")
    require(np.all((predicted >= 0) & (predicted < N_WAY)), f"labels run from 0 to {N_WAY - 1}.")
    learner, fast = maml.network, maml.fast_weights(episode)
    theta = functional.values(learner.trainable_variables)
    swapped = Episode(episode.query_x, episode.query_y, episode.support_x, episode.support_y)

    def one_at_a_time(weights, with_support=True):
        rows = []
        for query in episode.query_x:
            batch = tf.concat([episode.support_x, query[None]], axis=0) if with_support else query[None]
            rows.append(functional.forward(learner, weights, batch)[-1])
        return tf.stack(rows)

    wrong = (
        (functional.forward(learner, fast, episode.query_x),
         "all queries went through the network in one batch, so batch norm let them see each other. That is the "
         "transductive evaluation; give each query a batch of its own with the support set."),
        (one_at_a_time(fast, with_support=False),
         "each query is alone in its batch: batch norm then subtracts the query from itself. Put the support set into "
         "the batch with it."),
        (functional.forward(learner, fast, episode.query_x, training=False),
         "batch norm used its moving averages (training=False), which MAML never trains."),
        (one_at_a_time(theta), "nothing was adapted: these are the predictions of theta. Use "
                               "maml.fast_weights(episode)."),
        (functional.forward(learner, theta, episode.query_x), "nothing was adapted, and all queries share a batch."),
        (one_at_a_time(maml.fast_weights(swapped)),
         "the weights were adapted on the query set. Adapt on the support set; the queries are there to judge."),
        (tf.convert_to_tensor(_first_rows(learner, fast, episode)),
         "you took the first row of each batch, a support image. The query is the last row."),
    )  # fmt: skip
    for value, message in wrong:
        labels = value.numpy().argmax(axis=-1)
        require(not np.array_equal(predicted, labels), message)
        require(not np.array_equal(predicted, labels == truth), f"{hits} And {message}")
    require(False, f"{np.sum(predicted != exact)} of {n} predictions differ from those of "
                   "maml.query_outputs(episode, transductive=False).")  # fmt: skip


def _examine_form(predicted: np.ndarray, episode: Episode) -> None:
    """Refuse what cannot be labels, one for each query."""
    n = len(episode.query_y)
    require(
        predicted.shape != (),
        "this is one number, such as the share of hits. Return the predicted labels, one for each query.",
    )
    require(
        predicted.shape != (n, N_WAY),
        "these are logits or probabilities. Return the predicted labels: the argmax over the last axis, the classes.",
    )
    require(
        predicted.shape != (N_WAY,),
        f"there is one value per class where one per query is wanted: the argmax went over the queries (axis 0). Take "
        f"it over the classes, axis -1, to get {n} labels.",
    )
    require(
        predicted.shape != (n, 1),
        f"the labels stand in a column, shape {(n, 1)}. Compared with query_y, a row, every one would be compared with "
        "every other. Take the last row of each batch's logits, [-1], before the argmax.",
    )
    require(
        predicted.dtype != bool,
        "these are hits: True where a prediction is right. Return the predicted labels themselves; whoever calls you "
        "compares them with query_y.",
    )
    require(
        predicted.shape == (n,) and np.issubdtype(predicted.dtype, np.number) and np.all(predicted == predicted // 1),
        f"return {n} integer labels, one per query; yours have shape {predicted.shape} and type {predicted.dtype}.",
    )


def _first_rows(learner, fast, episode) -> np.ndarray:
    batches = (tf.concat([episode.support_x, query[None]], axis=0) for query in episode.query_x)
    return np.stack([functional.forward(learner, fast, batch)[0] for batch in batches])


def _small_classification() -> tuple[MAML, list[Episode]]:
    """A small network with batch norm, and two tasks on which every wrong way predicts otherwise."""
    rng = np.random.default_rng(9)  # of a dozen seeds the one that tells the wrong ways apart best
    inputs = keras.Input((DIM,))
    x = keras.layers.Dense(16, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    learner = keras.Model(inputs, keras.layers.Dense(N_WAY)(x))
    for variable in learner.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    for variable in learner.non_trainable_variables:
        variable.assign(rng.uniform(0.5, 1.5, size=variable.shape))
    episodes = []
    for _ in range(2):
        labels = [rng.permutation(np.repeat(np.arange(N_WAY), each)).astype(np.int32) for each in (K_SHOT, N_QUERY)]
        centres = rng.normal(size=(N_WAY, DIM))
        points = [(centres[y] + rng.normal(size=(len(y), DIM))).astype(np.float32) for y in labels]
        episodes.append(Episode(*(tf.constant(part) for pair in zip(points, labels, strict=True) for part in pair)))
    return MAML(learner, inner_lr=0.5, inner_steps=2), episodes
