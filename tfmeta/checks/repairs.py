"""Check of tutorial 02: the broken MAML step, repaired."""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf

from tfmeta.checks.problems import not_from_logits, small_classification, weights_of
from tfmeta.checks.repairs_known import (
    ALPHA,
    BETA,
    FAULT_1,
    FAULT_4,
    REBUILT,
    gradient_of,
    logits_of,
    loss_of,
    moved,
    on_queries,
    twice,
    wrong_steps,
    zeros_for_head,
)
from tfmeta.checks.report import SECONDS, Result, StoppedError, judge, require
from tfmeta.checks.stops import FORGOTTEN_WATCH
from tfmeta.checks.values import Remembered, as_array, distance, refuse_known
from tfmeta.core.episode import Episode
from tfmeta.core.losses import cross_entropy

N_WAY, DIM, HIDDEN = 3, 4, 5
HINTS = (
    ("NoneType", f"(A gradient is None. {FORGOTTEN_WATCH}; a variable that the query loss does not use has none.)"),
    ("None values not supported", f"(A gradient is None. {FORGOTTEN_WATCH}.)"),
    ("No gradients provided", "(Every gradient is None: the outer tape sees no path from the variables to the query "
                              "loss. Take theta from the variables *inside* the outer tape, or watch the tensors.)"),
)  # fmt: skip


def repaired_step(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check a MAML step of a body and a head for the five faults of the broken one.

    Args:
        answer: `answer(body, head, optimizer, episode, inner_lr)` with a built Keras model `[batch, dim]` to
            `[batch, hidden]`, a built layer from there to logits `[batch, n_way]`, a Keras optimizer, and one `Episode`
            of classification; takes one inner step on the cross-entropy of the support set, lets the optimizer move
            body and head by the exact gradient of the query loss, and returns that loss, a scalar.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: each of the five faults where it is left in (inner step on the
        query set, `set_weights` in the inner loop, a rebuilt head, a softmax before a loss of logits, an outer step for
        the body alone), the first-order gradient, an optimizer applied to theta', an outer step for the head alone, an
        inner step of the head or of the body alone, the unadapted head, no adaptation, the support loss in the outer
        loop, no outer step, an optimizer that is not used, ascent, the wrong loss returned.

    References:
        Finn et al. (2017), algorithm 2. https://arxiv.org/abs/1703.03400
    """
    return judge("repaired_step", answer, _examine, HINTS, quiet=quiet, seconds=seconds)


def _parts():
    """Body, head and optimizer, the same each time; a head rebuilt from its configuration has zeros for weights."""
    rng = np.random.default_rng(6)
    body = keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(HIDDEN, activation="tanh")])
    head = keras.layers.Dense(N_WAY, kernel_initializer="zeros")
    head.build((None, HIDDEN))
    variables = [*body.trainable_variables, *head.trainable_variables]
    for variable in variables:
        variable.assign(rng.normal(size=variable.shape))
    optimizer = keras.optimizers.SGD(BETA)
    optimizer.build(variables)  # so that an answer may apply it twice, or in a graph
    return body, head, optimizer


def _episode() -> Episode:
    return small_classification(1, N_WAY, k_shot=2, n_query=3, dim=DIM)


def _examine(call) -> str:
    episode = _episode()
    body, head, optimizer = _parts()
    start = weights_of(body, head)
    returned = as_array(call(body, head, optimizer, episode, ALPHA))
    found = weights_of(body, head)
    steps = int(optimizer.iterations)
    _examine_loss(returned, start, episode)
    exact = gradient_of(start, episode)
    if distance(found, moved(start, exact)) > 1e-5:
        _refuse(found, start, episode, exact)
    _examine_loss(returned, start, episode, last=True)
    require(
        steps > 0,
        "the weights are right, but the optimizer was not asked: with Adam, say, your step would still be plain "
        "gradient "
        "descent. Use optimizer.apply(gradients, variables).",
    )
    body, head, optimizer = _parts()  # the same once more, from another function call, and without an inner step
    try:
        call(body, head, optimizer, episode, 0.0)
    except StoppedError as stopped:
        require(False, f"right once, but with inner_lr=0 for another network {stopped}")
    require(
        distance(weights_of(body, head), moved(start, gradient_of(start, episode, alpha=0.0))) < 1e-5,
        "right once, but with inner_lr=0, for a network with the same weights, it is not joint training: does "
        "something "
        "stay from call to call, or is the rate written into your function?",
    )
    return (
        "all five faults are gone: adapted on the support set, theta' as tensors, the adapted head, logits, and an "
        "exact "
        "outer step for body and head."
    )


def _examine_loss(returned: np.ndarray, start, episode: Episode, last: bool = False) -> None:
    """Refuse a returned loss that gives a fault away whatever the weights are."""
    require(returned.shape == (), f"return the query loss, one number; yours has shape {returned.shape}.")
    value = float(returned)
    if np.isclose(value, loss_of(start, episode), rtol=1e-4):
        return
    theta = [tf.constant(w) for w in start]
    if not last:
        for wrong, message in (
            (loss_of(start, episode, head_of=zeros_for_head), REBUILT),
            (loss_of(start, on_queries(episode)), FAULT_1),
            (loss_of(start, episode, outer=twice), FAULT_4),
            (loss_of(start, episode, inner=twice, outer=twice), FAULT_4),
            (loss_of(start, episode, inner=twice), FAULT_4),
            (loss_of(start, episode, outer=not_from_logits), FAULT_4),
            (loss_of(start, episode, inner=not_from_logits, outer=not_from_logits), FAULT_4),
        ):
            require(not np.isclose(value, wrong, rtol=1e-4), message)
        return
    for wrong, message in (
        (cross_entropy(episode.support_y, logits_of(theta, episode.support_x)), "this is the support loss"),
        (cross_entropy(episode.query_y, logits_of(theta, episode.query_x)), "this is the query loss before adaptation"),
    ):
        require(
            not np.isclose(value, float(wrong), rtol=1e-4),
            f"the weights are right, but the wrong loss is returned: {message}. Return the query loss at theta'.",
        )
    require(False, f"the weights are right, but {value:.4f} is not the query loss at theta', "
                   f"{loss_of(start, episode):.4f}.")  # fmt: skip


@functools.cache
def _known() -> Remembered:
    start, episode = weights_of(*_parts()[:2]), _episode()
    return Remembered(wrong_steps(start, episode, gradient_of(start, episode)))


def _refuse(found, start, episode: Episode, exact) -> None:
    """Stop with the words of the known wrong answer, or of the unknown one."""
    refuse_known(found, _known(), tolerance=1e-5)
    require(
        False,
        f"the relative error of the new weights is {distance(found, moved(start, exact)):.1e}. Check, in this order: "
        "the inner step on the support set, theta' of body and head as tensors, the query loss at both, its gradient "
        "with respect to the variables of both.",
    )
