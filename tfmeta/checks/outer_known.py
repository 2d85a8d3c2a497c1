"""Outer steps that are nearly MAML's, and what to say about each."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta import functional
from tfmeta.checks.problems import small_forward, squared_error
from tfmeta.core.episode import Episode

TASKS, ALPHA, BETA = 3, 0.2, 0.5


def stepped(theta, gradients, rate=BETA):
    """Theta after a step down the gradients.

    Args:
        theta: parameters, a list of tensors.
        gradients: tensors of the same shapes.
        rate: step size.

    Returns:
        A list of arrays.
    """
    return [w - rate * np.asarray(g) for w, g in zip(theta, gradients, strict=True)]


def _tasks(episodes: Episode) -> list[Episode]:
    return [Episode(*parts) for parts in zip(*episodes, strict=True)]


def _gradient(params, task: Episode, alpha=ALPHA, steps=1, first_order=False):
    return functional.meta_gradient(
        small_forward, params, task, inner_lr=alpha, inner_steps=steps, loss=squared_error, first_order=first_order
    ).gradients


def mean_gradient(params, episodes, **how):
    """The mean over tasks of the gradients of their query losses.

    Args:
        params: parameters, a list of tensors.
        episodes: a meta-batch.
        **how: options of one task's gradient.

    Returns:
        A list of arrays.
    """
    each = [_gradient(params, task, **how) for task in _tasks(episodes)]
    return [np.mean(parts, axis=0) for parts in zip(*each, strict=True)]


def _fast(params, task: Episode):
    return functional.adapt(small_forward, params, *task[:2], inner_lr=ALPHA, inner_steps=1, loss=squared_error)


def wrong_steps(params, start, episodes: Episode):
    """Known wrong answers, one by one, so that those behind the first that fits are never computed.

    Args:
        params: parameters, a list of tensors.
        start: the network's own weights.
        episodes: a meta-batch.

    Returns:
        Pairs of new parameters and what to say, one by one.
    """
    theta = [np.asarray(w) for w in params]
    tasks = _tasks(episodes)
    each = [_gradient(params, task) for task in tasks]
    mean = [np.mean(parts, axis=0) for parts in zip(*each, strict=True)]
    yield params, "theta came back unchanged."
    yield (
        stepped(theta, mean, TASKS * BETA),
        (
            "you added up the tasks' gradients. Take the mean, or outer_lr means something else for every meta-batch "
            "size."
        ),
    )
    yield stepped(theta, mean, -BETA), "this climbs: subtract outer_lr times the gradient."
    yield stepped(theta, mean, 1.0), "outer_lr is missing in the outer step."
    yield stepped(theta, mean, TASKS), "outer_lr is missing in the outer step, and the gradients were added up."
    yield stepped(theta, mean, ALPHA), "the outer step takes outer_lr; yours took inner_lr."
    yield stepped(theta, mean, BETA / TASKS), "you divided by the number of tasks twice: once is the mean."
    yield mean, "these are gradients. Return the new theta."
    yield [-BETA * g for g in mean], "this is the change. Add it to theta."
    yield stepped(theta, each[0]), "only the first task was used. Does your loop return early?"
    yield stepped(theta, each[-1]), "only the last task was used: each task must *add* to the loss or the gradient."
    support = Episode(*episodes[:2], *episodes[:2])
    on_support = (
        "the outer loss was taken on the support set: theta' is judged on the examples that it has just learned. Judge "
        "it on query_x, query_y."
    )
    yield stepped(theta, mean_gradient(params, support)), on_support
    yield stepped(theta, mean_gradient(params, support, first_order=True)), on_support
    queries = Episode(*episodes[2:], *episodes[2:])
    on_query = "the inner step was taken on the queries. Adapt on the support set; the queries are there to judge."
    yield stepped(theta, mean_gradient(params, queries)), on_query
    yield stepped(theta, mean_gradient(params, queries, first_order=True)), on_query
    swapped = Episode(*episodes[2:], *episodes[:2])
    yield stepped(theta, mean_gradient(params, swapped)), "support and query set are exchanged."
    yield (
        stepped(theta, mean_gradient(params, episodes, steps=0)),
        ("nothing was adapted: this is the query loss at theta, joint training."),
    )
    yield (
        stepped(theta, mean_gradient(params, support, steps=0)),
        ("this is joint training on the support sets. Take the inner step, then judge it on the queries."),
    )
    yield stepped(theta, mean_gradient(params, episodes, steps=2)), "two inner steps were taken, not one."
    climbed = mean_gradient(params, episodes, alpha=-ALPHA)
    yield stepped(theta, climbed), "the inner step climbs: theta' = theta *minus* inner_lr * gradient."
    yield (
        stepped(theta, mean_gradient(params, episodes, alpha=1.0)),
        "inner_lr is missing in the inner step.",
    )
    exchanged = mean_gradient(params, episodes, alpha=BETA)
    yield stepped(theta, exchanged, ALPHA), "inner_lr and outer_lr are exchanged."
    yield stepped(theta, exchanged), "the inner step takes inner_lr; yours took outer_lr."
    yield from _wrong_starts(params, start, tasks, mean)
    n, m = (int(part.shape[1]) for part in (episodes.support_x, episodes.query_x))
    summed = mean_gradient(params, episodes, alpha=n * ALPHA)
    of_errors = "{} squared errors are summed. Take their mean, or the step grows with the size of the set."
    yield stepped(theta, summed, m * BETA), of_errors.format("in both losses")
    yield stepped(theta, summed), of_errors.format("in the support loss")
    yield stepped(theta, mean, m * BETA), of_errors.format("in the query loss")


def _wrong_starts(params, start, tasks, mean):
    """Steps that begin somewhere else than at theta."""
    theta = [np.asarray(w) for w in params]
    fast = [_fast(params, task) for task in tasks]
    shared = (
        "fast weights are shared by tasks: each task starts from the theta' of the task before. Every task starts from "
        "theta; begin the inner step with `params` each time."
    )
    for first_order in (False, True):
        yield stepped(theta, _with_shared_weights(params, tasks, first_order)), shared
    from_fast = (
        "theta was updated from theta': fast weights are for one task and are thrown away after it. The outer step "
        "starts from theta."
    )
    middle = [np.mean(parts, axis=0) for parts in zip(*fast, strict=True)]
    episodes = Episode(*map(tf.stack, zip(*tasks, strict=True)))
    kinds = [mean, mean_gradient(params, episodes, first_order=True)]
    kinds += [_gradient(params, task, first_order=order) for task in (tasks[-1], tasks[0]) for order in (False, True)]
    for begin in (fast[-1], fast[0], middle):
        for gradients in kinds:
            for rate in (BETA, TASKS * BETA):
                yield stepped([np.asarray(w) for w in begin], gradients, rate), from_fast
    cut = "And the gradient is first order: from theta to theta' the path is cut."
    yield stepped(theta, kinds[1], TASKS * BETA), f"you added up the tasks' gradients; take the mean. {cut}"
    yield stepped(theta, kinds[3]), f"only the last task was used: each task must *add* to the loss. {cut}"
    yield stepped(theta, kinds[5]), f"only the first task was used. Does your loop return early? {cut}"
    yield stepped(theta, kinds[1], -BETA), f"this climbs: subtract outer_lr times the gradient. {cut}"
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
    at_own = mean_gradient(own, episodes)
    yield stepped(start, at_own), "this starts from the network's own weights. Start from `params`."
    yield (
        stepped(theta, at_own),
        ("the gradients were taken at the network's own weights: network(x) uses those. Call it with stateless_call."),
    )
    merged = Episode(*(tf.concat(list(parts), axis=0) for parts in zip(*tasks, strict=True)))
    for order in (False, True):
        yield (
            stepped(theta, _gradient(params, merged, first_order=order)),
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
