"""Check of tutorial 02: the broken MAML step, repaired."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfmeta.checks.problems import small_classification, weights_of
from tfmeta.checks.report import Result, StoppedError, judge, require
from tfmeta.checks.stops import FORGOTTEN_WATCH
from tfmeta.checks.values import Remembered, as_array, distance, refuse_known
from tfmeta.core.episode import Episode

N_WAY, DIM, HIDDEN = 3, 4, 5
ALPHA, BETA = 0.7, 0.5
ONLY_BODY = (
    "fault 5 is still there: only the body is updated by the outer step. The head's starting point is a part of theta, "
    "too: give the optimizer the gradients and variables of body *and* head."
)
REBUILT = (
    "fault 3 is still there: the head was rebuilt from its configuration, which holds shapes and names, no weights. "
    "The "
    "outer loss must use the *adapted* head: call the head that you have with theta', by stateless_call."
)
HINTS = (
    ("NoneType", f"(A gradient is None. {FORGOTTEN_WATCH}; a variable that the query loss does not use has none.)"),
    ("None values not supported", f"(A gradient is None. {FORGOTTEN_WATCH}.)"),
    ("No gradients provided", "(Every gradient is None: the outer tape sees no path from the variables to the query "
                              "loss. Take theta from the variables *inside* the outer tape, or watch the tensors.)"),
)  # fmt: skip


def repaired_step(answer) -> Result:
    """Check a MAML step of a body and a head for the five faults of the broken one.

    Args:
        answer: `answer(body, head, optimizer, episode, inner_lr)` with a built Keras model `[batch, dim]` to
            `[batch, hidden]`, a built layer from there to logits `[batch, n_way]`, a Keras optimizer, and one `Episode`
            of classification; takes one inner step on the cross-entropy of the support set, lets the optimizer move
            body and head by the exact gradient of the query loss, and returns that loss, a scalar.

    Returns:
        A `Result`. Rejected with words of their own: each of the five faults where it is left in (inner step on the
        query set, `set_weights` in the inner loop, a rebuilt head, a softmax before a loss of logits, an outer step for
        the body alone), the first-order gradient, an optimizer applied to theta', an outer step for the head alone, an
        inner step of the head or of the body alone, the unadapted head, no adaptation, the support loss in the outer
        loop, no outer step, an optimizer that is not used, ascent, the wrong loss returned.

    References:
        Finn et al. (2017), algorithm 2. https://arxiv.org/abs/1703.03400
    """
    return judge("repaired_step", answer, _examine, HINTS)


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
    exact = _gradient(start, episode)
    if distance(found, _moved(start, exact)) > 1e-5:
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
        distance(weights_of(body, head), _moved(start, _gradient(start, episode, alpha=0.0))) < 1e-5,
        "right once, but with inner_lr=0, for a network with the same weights, it is not joint training: does "
        "something "
        "stay from call to call, or is the rate written into your function?",
    )
    return (
        "all five faults are gone: adapted on the support set, theta' as tensors, the adapted head, logits, and an "
        "exact "
        "outer step for body and head."
    )


def _moved(start, gradients, rate=BETA):
    return [w - rate * np.asarray(g) for w, g in zip(start, gradients, strict=True)]


def _logits(params, x):
    kernel, bias, head, head_bias = params
    return tf.matmul(tf.tanh(tf.matmul(x, kernel) + bias), head) + head_bias


def _cross_entropy(labels, logits):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _twice(labels, logits):
    return _cross_entropy(labels, tf.nn.softmax(logits))


def _not_from_logits(labels, logits):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits))


def _task_loss(theta, episode: Episode, alpha=ALPHA, inner=_cross_entropy, outer=_cross_entropy, moves=(1, 1, 1, 1),
               first_order=False, head_of=None):  # fmt: skip
    with tf.GradientTape() as tape:
        tape.watch(theta)
        loss = inner(episode.support_y, _logits(theta, episode.support_x))
    gradients = tape.gradient(loss, theta)
    if first_order:
        gradients = [tf.stop_gradient(g) for g in gradients]
    fast = [w - alpha * on * g for w, g, on in zip(theta, gradients, moves, strict=True)]
    if head_of is not None:
        fast = [*fast[:2], *head_of(theta)]
    return fast, outer(episode.query_y, _logits(fast, episode.query_x))


def _gradient(start, episode: Episode, **how):
    theta = [tf.constant(w) for w in start]
    with tf.GradientTape() as tape:
        tape.watch(theta)
        _, loss = _task_loss(theta, episode, **how)
    return tape.gradient(loss, theta, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _loss(start, episode: Episode, **how) -> float:
    return float(_task_loss([tf.constant(w) for w in start], episode, **how)[1])


def _zeros(theta):
    return [tf.zeros_like(w) for w in theta[2:]]


def _own(theta):
    return theta[2:]


def _queries(episode: Episode) -> Episode:
    return Episode(*episode[2:], *episode[2:])


FAULT_1 = (
    "fault 1 is still there: the inner step is taken on the query set. The learner adapts to the very answers on which "
    "it is judged. Take it on support_x, support_y."
)
FAULT_4 = (
    "fault 4 is still there: the softmax is taken twice, or a loss of probabilities gets logits. The head gives "
    "logits: "
    "use a loss that says `logits` (from_logits=True), and no softmax of your own."
)
UNADAPTED_HEAD = (
    "the outer loss uses the head as it was before the inner step: only the body was adapted (that is BOIL). Adapt the "
    "head, too, and use the adapted one."
)


def _examine_loss(returned: np.ndarray, start, episode: Episode, last: bool = False) -> None:
    """Refuse a returned loss that gives a fault away whatever the weights are."""
    require(returned.shape == (), f"return the query loss, one number; yours has shape {returned.shape}.")
    value = float(returned)
    if np.isclose(value, _loss(start, episode), rtol=1e-4):
        return
    theta = [tf.constant(w) for w in start]
    if not last:
        for wrong, message in (
            (_loss(start, episode, head_of=_zeros), REBUILT),
            (_loss(start, _queries(episode)), FAULT_1),
            (_loss(start, episode, outer=_twice), FAULT_4),
            (_loss(start, episode, inner=_twice, outer=_twice), FAULT_4),
            (_loss(start, episode, inner=_twice), FAULT_4),
            (_loss(start, episode, outer=_not_from_logits), FAULT_4),
            (_loss(start, episode, inner=_not_from_logits, outer=_not_from_logits), FAULT_4),
        ):
            require(not np.isclose(value, wrong, rtol=1e-4), message)
        return
    for wrong, message in (
        (_cross_entropy(episode.support_y, _logits(theta, episode.support_x)), "this is the support loss"),
        (_cross_entropy(episode.query_y, _logits(theta, episode.query_x)), "this is the query loss before adaptation"),
    ):
        require(
            not np.isclose(value, float(wrong), rtol=1e-4),
            f"the weights are right, but the wrong loss is returned: {message}. Return the query loss at theta'.",
        )
    require(False, f"the weights are right, but {value:.4f} is not the query loss at theta', "
                   f"{_loss(start, episode):.4f}.")  # fmt: skip


@functools.cache
def _known() -> Remembered:
    start, episode = weights_of(*_parts()[:2]), _episode()
    return Remembered(_wrong(start, episode, _gradient(start, episode)))


def _refuse(found, start, episode: Episode, exact) -> None:
    """Stop with the words of the known wrong answer, or of the unknown one."""
    refuse_known(found, _known(), tolerance=1e-5)
    require(
        False,
        f"the relative error of the new weights is {distance(found, _moved(start, exact)):.1e}. Check, in this order: "
        "the inner step on the support set, theta' of body and head as tensors, the query loss at both, its gradient "
        "with respect to the variables of both.",
    )


def _wrong(start, episode: Episode, exact):
    def first(**how):
        return _gradient(start, episode, first_order=True, **how)

    first_order = first()
    fast = _task_loss([tf.constant(w) for w in start], episode)[0]
    body_only: Callable = lambda gradients: _moved(start, [*gradients[:2], *_zeros(gradients)])  # noqa: E731
    head_only: Callable = lambda gradients: _moved(start, [0 * g for g in gradients[:2]] + gradients[2:])  # noqa: E731
    yield start, "no outer step was taken: body and head are as they were. Let the optimizer apply the gradients."
    assigned = (
        "fault 2 is still there: theta' was written into the variables (set_weights, assign). The outer gradient is "
        "then "
        "first order, and the optimizer moves theta' instead of theta: the next task starts from this task's weights. "
        "Keep theta' as tensors."
    )
    written = (
        "the optimizer was applied to theta', or theta' was written into the variables. The outer step moves theta."
    )
    yield _moved(fast, first_order), assigned
    yield [w - BETA * (g if i < 2 else 0) for i, (w, g) in enumerate(zip(fast, first_order, strict=True))], assigned
    yield _moved(fast, exact), f"the gradient is exact, but {written}"
    yield fast, f"body and head hold theta': {written}"
    yield body_only(exact), ONLY_BODY
    yield body_only(first_order), f"{ONLY_BODY} And the gradient is first order."
    yield head_only(exact), "only the head is updated by the outer step. Theta is body *and* head."
    cut = (
        "this is the first-order step: from theta to theta' the path is cut (stop_gradient, .numpy(), set_weights and "
        "the old values put back, an inner step outside the outer tape, or the gradient with respect to theta'). The "
        "factor I - alpha H is lost."
    )
    yield _moved(start, first_order), cut
    yield _moved(start, exact, -BETA), "this climbs: give the optimizer the gradients, not minus the gradients."
    yield _moved(start, exact, 2 * BETA), "the optimizer was applied twice."
    for order in (False, True):
        for losses in ({"inner": _twice, "outer": _twice}, {"outer": _twice}, {"inner": _twice},
                       {"inner": _not_from_logits, "outer": _not_from_logits}, {"outer": _not_from_logits},
                       {"inner": _not_from_logits}):  # fmt: skip
            yield _moved(start, _gradient(start, episode, first_order=order, **losses)), FAULT_4
        yield _moved(start, _gradient(start, _queries(episode), first_order=order)), FAULT_1
        zeros, own = (_gradient(start, episode, first_order=order, head_of=head) for head in (_zeros, _own))
        yield _moved(start, zeros), REBUILT
        yield body_only(zeros), REBUILT
        yield _moved(start, own), UNADAPTED_HEAD
        support = Episode(*episode[:2], *episode[:2])
        yield (
            _moved(start, _gradient(start, support, first_order=order)),
            ("the outer loss was taken on the support set. Judge theta' on query_x, query_y."),
        )
        head_moves = _gradient(start, episode, first_order=order, moves=(0, 0, 1, 1))
        yield _moved(start, head_moves), "only the head took the inner step (that is ANIL). MAML adapts the body, too."
    yield _moved(start, _gradient(start, episode, alpha=0.0)), "nothing was adapted: this is joint training."
    yield _moved(start, _gradient(start, episode, alpha=-ALPHA)), "the inner step climbs: subtract its gradient."
    yield _moved(start, _gradient(start, episode, alpha=1.0)), "inner_lr is missing in the inner step."
    n, m = len(episode.support_y), len(episode.query_y)
    yield _moved(start, exact, m * BETA), "the query losses are added up. Take their mean."
    yield _moved(start, _gradient(start, episode, alpha=n * ALPHA)), "the support losses are added up. Take their mean."
    yield _moved(start, _gradient(start, episode, alpha=n * ALPHA), m * BETA), "losses are added up. Take their means."
