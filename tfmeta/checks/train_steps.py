"""Check of tutorial 04: a prototypical network as a Keras model."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import tensorflow as tf

from tfmeta.checks.problems import not_from_logits, small_classification, weights_of
from tfmeta.checks.report import SECONDS, Result, StoppedError, UnfilledError, judge, require
from tfmeta.checks.train_known import (
    N_WAY,
    RATE,
    TWICE,
    after,
    gradient_of,
    loss_of,
    moved,
    wrong_losses,
)
from tfmeta.checks.values import as_array, distance
from tfmeta.core.episode import Episode

DIM, K_SHOT, N_QUERY = 4, 3, 2
HINTS = (
    ("positional argument", "(The check builds YourClass(encoder, n_way) and calls train_step(episode).)"),
    ("unexpected keyword", "(The check builds YourClass(encoder, n_way) and calls train_step(episode).)"),
    ("object has no attribute '_", "(Does your __init__ call super().__init__() before it sets an attribute?)"),
    ("__init__", "(Does your __init__ call super().__init__() before it sets an attribute?)"),
    ("NoneType", "(A gradient is None: the loss must be computed from the encoder, inside the tape, with TensorFlow "
                 "operations only.)"),
    ("None values not supported", "(A gradient is None: the loss must be computed from the encoder, inside the tape.)"),
    ("No gradients provided", "(Every gradient is None: the loss must be computed from the encoder, inside the tape, "
                              "with TensorFlow operations only.)"),
    ("has no attribute 'numpy'", "(fit compiles train_step into a graph, in which tensors have no numbers yet: stay "
                                 "with TensorFlow operations.)"),
)  # fmt: skip


def prototypical_train_step(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check a prototypical network written as a Keras model, so that `compile` and `fit` do the rest.

    Args:
        answer: a subclass of `keras.Model` with `__init__(self, encoder, n_way)`, where the encoder is a built Keras
            model `[batch, ...]` to `[batch, dim]`, and `train_step(self, episode)` with one `Episode` (no axis of
            tasks), which takes one step of `self.optimizer` down the mean cross-entropy of the queries and returns a
            dictionary with `"loss"`, that loss. It is compiled with `keras.optimizers.SGD` and
            `SparseCategoricalCrossentropy(from_logits=True)`, which it may use or not, and trained by
            `fit(tf.data.Dataset.from_tensors(episode), shuffle=False)`.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: no step taken, prototypes or queries that are stopped or turned
        into NumPy, a softmax before a loss of logits, unsquared distances, a sign that is missing in the logits or in
        the step, labels taken to be sorted, the loss of the support set, its sum, the mean over dimensions, sums as
        prototypes, inner products, a constant rate in place of the optimizer, a step taken twice, something else than a
        dictionary with the loss, code that cannot be compiled into a graph.

    References:
        Snell et al. (2017), algorithm 1. https://arxiv.org/abs/1703.05175
    """
    return judge("prototypical_train_step", answer, _examine, HINTS, quiet=quiet, seconds=seconds)


def _encoder() -> keras.Model:
    rng = np.random.default_rng(7)
    encoder = keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(4)])
    for variable in encoder.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return encoder


def _examine(call) -> str:
    require(
        inspect.isclass(call.answer) or not isinstance(call.answer, keras.Model),
        "give the check your class itself, not one of its objects: it builds its own, YourClass(encoder, n_way).",
    )
    episode = small_classification(4, N_WAY, K_SHOT, N_QUERY, DIM)
    encoder, model = _built(call)
    start = weights_of(encoder)
    logs = call.run(model.train_step, episode)  # by hand first: an error in a graph is hard to read
    require(
        isinstance(logs, dict) and "loss" in logs,
        'train_step must return a dictionary with the loss, {"loss": loss}: fit prints it and keeps it.',
    )
    if logs["loss"] is ... or logs["loss"] is None:
        raise UnfilledError
    loss = as_array(logs["loss"])
    require(loss.shape == (), f"the loss must be one number, the mean over queries; yours has shape {loss.shape}.")
    _examine_step(weights_of(encoder), float(loss), int(model.optimizer.iterations), start, episode)
    aside = _examine_fit(call, start, episode)
    return f"fit takes the exact step of the cross-entropy over squared distances to the prototypes.{aside}"


def _examine_fit(call, start, episode: Episode) -> str:
    """The same step once more, by `fit`, which compiles it; returns what to say about the loss that it reports."""
    encoder, model = _built(call)
    seen = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: seen.append(dict(logs)))
    dataset = tf.data.Dataset.from_tensors(episode)
    try:
        history = call.run(lambda: model.fit(dataset, verbose=0, shuffle=False, callbacks=[watch]))
    except StoppedError as stopped:
        require(
            False, f"right where it is called by hand, but in fit, which compiles train_step into a graph, {stopped}"
        )
    require(
        distance(weights_of(encoder), after(start, episode)) < 1e-4,
        "right where it is called by hand, but not in fit, which compiles train_step into a graph: what Python "
        "computes (NumPy, .numpy(), attributes of self) is done once, when the graph is made.",
    )
    exact = float(loss_of([tf.constant(w) for w in start], episode))
    found = seen[-1]["loss"]
    require(np.isclose(found, exact, rtol=1e-3), f"in fit the loss is {found:.4f}, not {exact:.4f}.")
    if np.isclose(history.history["loss"][-1], exact, rtol=1e-3):
        return ""
    return (
        " (fit's progress bar shows a loss of 0, though: Keras has a metric of its own called loss, which nobody "
        "updates, and prefers it where both have the same names. Return something else beside the loss, such as the "
        "accuracy, or "
        'keep the loss in a keras.metrics.Mean(name="loss") that the property `metrics` returns.)'
    )


def _built(call):
    encoder = _encoder()
    model = call(encoder, N_WAY)
    require(
        isinstance(model, keras.Model),
        f"your class must be a subclass of keras.Model; it builds a {type(model).__name__}.",
    )
    if type(model).train_step is keras.Model.train_step:
        raise UnfilledError
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    call.run(lambda: model.compile(optimizer=keras.optimizers.SGD(RATE), loss=loss, jit_compile=False) or model)
    return encoder, model


def _examine_step(found, loss: float, steps: int, start, episode: Episode) -> None:
    exact, value = gradient_of(start, episode)
    if distance(found, start) < 1e-6 and steps > 0:
        require(
            not np.isclose(loss, gradient_of(start, episode, criterion=not_from_logits)[1], rtol=1e-3),
            f"{TWICE} (Minus squared distances are below 0, so they are cut to 0 and get no gradient at all.)",
        )
        require(False, "the optimizer was applied, but every gradient was zero: does the loss depend on the encoder?")
    if distance(found, moved(start, exact)) > 1e-4:
        _refuse(found, loss, start, episode, exact)
    require(
        steps > 0,
        "the weights are right, but not by the optimizer: with Adam, say, your step would still be plain gradient "
        "descent. Use self.optimizer.apply(gradients, variables).",
    )
    n = len(episode.query_y)
    require(not np.isclose(loss, n * value, rtol=1e-3), "the loss that is returned is a sum over queries, not a mean.")
    require(
        np.isclose(loss, value, rtol=1e-3),
        f'the step is right, but the returned "loss" is {loss:.4f}; the loss before the step is {value:.4f}.',
    )


def _refuse(found, loss: float, start, episode: Episode, exact) -> None:
    """Stop with the words of the known wrong answer, or of the unknown one."""
    require(
        distance(found, start) > 1e-6,
        "the encoder's weights have not moved: no gradient was applied. After tape.gradient comes "
        "self.optimizer.apply(gradients, self.trainable_variables). (Is the encoder an attribute of self?)",
    )
    n = len(episode.query_y)
    fixed = (
        "was stopped (tf.stop_gradient), or turned into NumPy: the encoder learns from {} alone. Both sets go through "
    )
    fixed += "the same encoder, and the gradient flows through both."
    steps = (
        (moved(start, exact, -RATE), "this climbs: the loss goes up. The optimizer subtracts what it is given, so "
                                      "give "
                                      "it the gradients themselves."),
        (moved(start, exact, n * RATE), "the loss is the sum over queries. Take the mean."),
        (moved(start, exact, RATE / n), "the loss was divided by the number of queries twice."),
        (moved(start, exact, 1.0), "the step ignores the optimizer and its learning rate."),
        (moved(start, exact, 2 * RATE), "the optimizer was applied twice."),
        *((moved(start, [g if i in kept else 0 * g for i, g in enumerate(exact)]),
           "only a part of the encoder's weights has moved. Give the optimizer all trainable variables.")
          for kept in ((0,), (0, 1), (2,), (2, 3), (0, 2), (1, 3), (3,))),
    )  # fmt: skip
    for weights, message in steps:
        require(distance(found, weights) > 1e-4, message)
    for how, message in wrong_losses(episode):
        require(distance(found, after(start, how.pop("episode", episode), **how)) > 1e-4, message)
    for how, which, rest in (
        ({"of_prototypes": tf.stop_gradient}, "prototypes", "the queries"),
        ({"of_queries": tf.stop_gradient}, "queries", "the support set"),
    ):
        right_part = gradient_of(start, episode, **how)[0]
        require(
            distance(found, moved(start, right_part)) > 1e-4,
            f"the embedding of the {which} {fixed.format(rest)}",
        )
    require(
        False,
        f"the relative error of the encoder's new weights is {distance(found, moved(start, exact)):.1e}, the loss is "
        f"{loss:.4f} and must be {float(loss_of([tf.constant(w) for w in start], episode)):.4f}. Check, in this order: "
        "prototypes, squared distances, the sign, the cross-entropy of the queries.",
    )
