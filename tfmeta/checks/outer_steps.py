"""Check of tutorial 03: MAML's outer step, the whole of algorithm 1 for one meta-batch."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.checks.first_order import why_first_order
from tfmeta.checks.problems import put_back, small_forward, small_regression, squared_error
from tfmeta.checks.report import Result, judge, require
from tfmeta.checks.stops import WATCH_HINTS
from tfmeta.checks.values import (
    LEAK,
    Remembered,
    as_array,
    as_list,
    distance,
    in_either_precision,
    refuse_known,
    same_objects,
)
from tfmeta.core.episode import Episode

TASKS, ALPHA, BETA = 3, 0.2, 0.5
BATCH_HINTS = (
    *WATCH_HINTS,
    ("incompatible", "(Every tensor of `episodes` has a leading axis, the tasks. Take one task after the other: "
                     "episodes.support_x[i].)"),
    ("rank", "(Every tensor of `episodes` has a leading axis, the tasks. Take one task after the other: "
             "episodes.support_x[i].)"),
    ("Matrix size", "(Every tensor of `episodes` has a leading axis, the tasks. Take one task after the other: "
                    "episodes.support_x[i].)"),
)  # fmt: skip


def outer_step(answer) -> Result:
    """Check one outer step of MAML over a meta-batch of regression tasks.

    Args:
        answer: `answer(network, params, episodes, inner_lr, outer_lr)` with a built Keras model, theta as a list of
            tensors (not the model's own values), an `Episode` whose tensors have a leading axis `[meta_batch_size]`,
            and two numbers; for each task takes one inner step on the mean squared error of its support set, and
            returns the new theta, a list of tensors: theta minus `outer_lr` times the mean over tasks of the gradient
            of the query loss at theta' with respect to theta.

    Returns:
        A `Result`. Rejected with words of their own: first order passed off as second, a gradient with respect to
        theta', the sum over tasks, the support loss in the outer loss, inner steps on the queries, fast weights shared
        by tasks, one inner step for all tasks together, a step from theta', ascent in either loop, one task only, theta
        moved after every task, no inner step, the network's own weights, the network or the list changed, a rate left
        out or exchanged, sums of squared errors, gradients in place of theta, tasks mixed up.

    References:
        Finn et al. (2017), algorithm 1. https://arxiv.org/abs/1703.03400
    """
    return judge("outer_step", answer, in_either_precision(_examine), BATCH_HINTS)


def _problem(dtype: str):
    """A network, a meta-batch for it, its weights, and other weights, which are theta."""
    network, episodes = small_regression(seed=4, dtype=dtype, tasks=(TASKS,))
    rng = np.random.default_rng(5)
    start = [variable.numpy().copy() for variable in network.trainable_variables]
    return network, episodes, start, [tf.constant(rng.normal(size=value.shape), dtype) for value in start]


@functools.cache
def _known(dtype: str) -> Remembered:
    _, episodes, start, params = _problem(dtype)
    return Remembered(_wrong(params, start, episodes))


def _examine(call, dtype: str) -> str:
    network, episodes, start, params = _problem(dtype)

    def answer(batch):
        given = list(params)
        with tf.GradientTape() as tape:
            tape.watch(params)
            found = call(network, given, batch, ALPHA, BETA)
            require(same_objects(given, params), LEAK.format(what="the list `params`"))
            found = as_list(found, len(start), f"return the new theta, {len(start)} tensors like `params`, in a list.")
            require(
                all(part is not None for part in found),
                "a tensor of the new theta is None: a gradient was. The outer tape must watch `params` before the "
                "first "
                "inner step.",
            )
            total = tf.add_n([tf.reduce_sum(tf.cast(tf.convert_to_tensor(part), dtype)) for part in found])
        arrays = [as_array(part) for part in found]
        require(
            [part.shape for part in arrays] == [value.shape for value in start],
            "the new theta must have the shapes of `params`, in that order, without an axis of tasks.",
        )
        return arrays, tape.gradient(total, params)

    found, slope = answer(episodes)
    moved = put_back(network.trainable_variables, start)
    require(
        moved < 1e-12,
        f"the network's own weights have moved by up to {moved:.2g}: theta' or theta was written to its variables "
        "(assign, set_weights). That cuts the path from theta to theta' and leaks into the next task. Keep theta' as "
        "tensors and call the network with stateless_call.",
    )
    theta = [np.asarray(w) for w in params]
    exact = _stepped(theta, _mean_gradient(params, episodes))
    if distance(found, exact) > 1e-5:
        _refuse(params, episodes, found, slope)
    one = Episode(*(part[:1] for part in episodes))
    require(
        distance(answer(one)[0], _stepped(theta, _mean_gradient(params, one))) < 1e-5,
        f"right for {TASKS} tasks, not for a meta-batch of one: is the number of tasks written into your function?",
    )
    require(
        distance(answer(episodes)[0], found) < 1e-6,
        "the same meta-batch gave another theta the second time: something leaks from step to step.",
    )
    return (
        f"theta - beta * mean of the exact gradients of {TASKS} tasks, each adapted from theta; the network is as it "
        "was."
    )


def _stepped(theta, gradients, rate=BETA):
    return [w - rate * np.asarray(g) for w, g in zip(theta, gradients, strict=True)]


def _tasks(episodes: Episode) -> list[Episode]:
    return [Episode(*parts) for parts in zip(*episodes, strict=True)]


def _gradient(params, task: Episode, alpha=ALPHA, steps=1, first_order=False):
    return functional.meta_gradient(
        small_forward, params, task, inner_lr=alpha, inner_steps=steps, loss=squared_error, first_order=first_order
    ).gradients


def _mean_gradient(params, episodes, **how):
    each = [_gradient(params, task, **how) for task in _tasks(episodes)]
    return [np.mean(parts, axis=0) for parts in zip(*each, strict=True)]


def _fast(params, task: Episode):
    return functional.adapt(small_forward, params, *task[:2], inner_lr=ALPHA, inner_steps=1, loss=squared_error)


def _refuse(params, episodes: Episode, found, slope) -> None:
    """Stop with the words of the known wrong answer, or of the unknown one."""
    theta = [np.asarray(w) for w in params]
    first_order = _stepped(theta, _mean_gradient(params, episodes, first_order=True))
    if distance(found, first_order) < 1e-5:
        minus = [None if s is None else (1.0 - as_array(s)) / BETA for s in slope]  # of the gradient alone
        if all(s is None or np.allclose(s, 0, atol=1e-6) for s in minus):
            minus = [None for _ in minus]
        require(
            False,
            "this is the first-order step (FOMAML): the factor I - alpha H is lost. Somewhere between theta and theta' "
            f"the path is cut: {why_first_order(params, episodes, ALPHA, minus)}",
        )
    refuse_known(found, _known(params[0].dtype.name), tolerance=1e-5)
    exact = _stepped(theta, _mean_gradient(params, episodes))
    require(
        False,
        f"the relative error of the new theta is {distance(found, exact):.1e}. Check, in this order: the inner step "
        "(one task at a time), the query loss at theta', its gradient with respect to theta, the mean over tasks.",
    )


def _wrong(params, start, episodes: Episode):
    """Known wrong answers, one by one, so that those behind the first that fits are never computed."""
    theta = [np.asarray(w) for w in params]
    tasks = _tasks(episodes)
    each = [_gradient(params, task) for task in tasks]
    mean = [np.mean(parts, axis=0) for parts in zip(*each, strict=True)]
    yield params, "theta came back unchanged."
    yield (
        _stepped(theta, mean, TASKS * BETA),
        (
            "you added up the tasks' gradients. Take the mean, or outer_lr means something else for every meta-batch "
            "size."
        ),
    )
    yield _stepped(theta, mean, -BETA), "this climbs: subtract outer_lr times the gradient."
    yield _stepped(theta, mean, 1.0), "outer_lr is missing in the outer step."
    yield _stepped(theta, mean, TASKS), "outer_lr is missing in the outer step, and the gradients were added up."
    yield _stepped(theta, mean, ALPHA), "the outer step takes outer_lr; yours took inner_lr."
    yield _stepped(theta, mean, BETA / TASKS), "you divided by the number of tasks twice: once is the mean."
    yield mean, "these are gradients. Return the new theta."
    yield [-BETA * g for g in mean], "this is the change. Add it to theta."
    yield _stepped(theta, each[0]), "only the first task was used. Does your loop return early?"
    yield _stepped(theta, each[-1]), "only the last task was used: each task must *add* to the loss or the gradient."
    support = Episode(*episodes[:2], *episodes[:2])
    on_support = (
        "the outer loss was taken on the support set: theta' is judged on the examples that it has just learned. Judge "
        "it on query_x, query_y."
    )
    yield _stepped(theta, _mean_gradient(params, support)), on_support
    yield _stepped(theta, _mean_gradient(params, support, first_order=True)), on_support
    queries = Episode(*episodes[2:], *episodes[2:])
    on_query = "the inner step was taken on the queries. Adapt on the support set; the queries are there to judge."
    yield _stepped(theta, _mean_gradient(params, queries)), on_query
    yield _stepped(theta, _mean_gradient(params, queries, first_order=True)), on_query
    swapped = Episode(*episodes[2:], *episodes[:2])
    yield _stepped(theta, _mean_gradient(params, swapped)), "support and query set are exchanged."
    yield (
        _stepped(theta, _mean_gradient(params, episodes, steps=0)),
        ("nothing was adapted: this is the query loss at theta, joint training."),
    )
    yield (
        _stepped(theta, _mean_gradient(params, support, steps=0)),
        ("this is joint training on the support sets. Take the inner step, then judge it on the queries."),
    )
    yield _stepped(theta, _mean_gradient(params, episodes, steps=2)), "two inner steps were taken, not one."
    climbed = _mean_gradient(params, episodes, alpha=-ALPHA)
    yield _stepped(theta, climbed), "the inner step climbs: theta' = theta *minus* inner_lr * gradient."
    yield (
        _stepped(theta, _mean_gradient(params, episodes, alpha=1.0)),
        "inner_lr is missing in the inner step.",
    )
    exchanged = _mean_gradient(params, episodes, alpha=BETA)
    yield _stepped(theta, exchanged, ALPHA), "inner_lr and outer_lr are exchanged."
    yield _stepped(theta, exchanged), "the inner step takes inner_lr; yours took outer_lr."
    yield from _wrong_starts(params, start, tasks, mean)
    n, m = (int(part.shape[1]) for part in (episodes.support_x, episodes.query_x))
    summed = _mean_gradient(params, episodes, alpha=n * ALPHA)
    of_errors = "{} squared errors are summed. Take their mean, or the step grows with the size of the set."
    yield _stepped(theta, summed, m * BETA), of_errors.format("in both losses")
    yield _stepped(theta, summed), of_errors.format("in the support loss")
    yield _stepped(theta, mean, m * BETA), of_errors.format("in the query loss")


def _wrong_starts(params, start, tasks, mean):
    """Steps that begin somewhere else than at theta."""
    theta = [np.asarray(w) for w in params]
    fast = [_fast(params, task) for task in tasks]
    shared = (
        "fast weights are shared by tasks: each task starts from the theta' of the task before. Every task starts from "
        "theta; begin the inner step with `params` each time."
    )
    for first_order in (False, True):
        yield _stepped(theta, _with_shared_weights(params, tasks, first_order)), shared
    from_fast = (
        "theta was updated from theta': fast weights are for one task and are thrown away after it. The outer step "
        "starts from theta."
    )
    middle = [np.mean(parts, axis=0) for parts in zip(*fast, strict=True)]
    first_order = _mean_gradient(params, Episode(*map(tf.stack, zip(*tasks, strict=True))), first_order=True)
    for begin in (fast[-1], fast[0], middle):
        for gradients in (mean, first_order):
            yield _stepped([np.asarray(w) for w in begin], gradients), from_fast
    yield middle, "this is the mean of the fast weights (Reptile with outer_lr = 1). MAML steps by the query loss."
    yield (
        [w + BETA * (m - w) for w, m in zip(theta, middle, strict=True)],
        ("this is Reptile's step, towards the mean of the fast weights. MAML steps by the gradient of the query loss."),
    )
    for order in (False, True):
        serial = params
        for task in tasks:
            gradients = _gradient(serial, task, first_order=order)
            serial = [w - BETA * g for w, g in zip(serial, gradients, strict=True)]
        yield (
            serial,
            (
                "theta moved after every task. Algorithm 1 adapts all tasks of a meta-batch from the same theta, and "
                "moves "
                "it once, by the mean."
            ),
        )
    own = [tf.convert_to_tensor(value) for value in start]
    episodes = Episode(*map(tf.stack, zip(*tasks, strict=True)))
    at_own = _mean_gradient(own, episodes)
    yield _stepped(start, at_own), "this starts from the network's own weights. Start from `params`."
    yield (
        _stepped(theta, at_own),
        ("the gradients were taken at the network's own weights: network(x) uses those. Call it with stateless_call."),
    )
    merged = Episode(*(tf.concat(list(parts), axis=0) for parts in zip(*tasks, strict=True)))
    for order in (False, True):
        yield (
            _stepped(theta, _gradient(params, merged, first_order=order)),
            (
                "one inner step was taken for all tasks together. Each task has a theta' of its own: that is what "
                "makes them "
                "tasks."
            ),
        )


def _with_shared_weights(params, tasks, first_order: bool):
    """The gradient where theta' of one task is the start of the next."""
    with tf.GradientTape() as tape:
        tape.watch(params)
        fast, losses = params, []
        for task in tasks:
            fast = functional.adapt(
                small_forward,
                fast,
                *task[:2],
                inner_lr=ALPHA,
                inner_steps=1,
                loss=squared_error,
                first_order=first_order,
            )
            losses.append(squared_error(task[3], small_forward(fast, task[2])))
        loss = tf.reduce_mean(tf.stack(losses))
    return tape.gradient(loss, params)
