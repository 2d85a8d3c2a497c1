"""Checks of tutorials 07 and 08: Reptile's outer step, Meta-SGD's inner step, and an inner step with a mask."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import Result, judge, require
from tfmeta.checks.slopes import examine_slopes
from tfmeta.checks.values import LEAK, as_array, as_list, distance, same_objects


def _parameters(rng, lead=()):
    shapes = ((3, 2), (2,))
    return [tf.constant(rng.normal(size=(*lead, *shape)), tf.float32) for shape in shapes]


def _tensors(found, count: int) -> list:
    return as_list(found, count, f"return a list of {count} tensors, one for each parameter tensor.")


def _compare(found, exact, wrong, otherwise: str) -> None:
    """Stop at the first known wrong answer; else at any other difference."""
    found = [as_array(tensor) for tensor in _tensors(found, len(exact))]
    for have, want in zip(found, exact, strict=True):
        require(
            have.shape == want.shape,
            f"each result must have its parameter's shape; one of yours has {have.shape}, not {want.shape}.",
        )

    def same(values):
        return all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found, values, strict=True))

    if not same(exact):
        for values, message in wrong:
            require(not same([np.asarray(v) for v in values]), message)
        require(False, otherwise)


def _examine_lists(**lists) -> None:
    """Refuse an answer that wrote into a list that it was given."""
    for name, (given, before) in lists.items():
        require(same_objects(given, before), LEAK.format(what=f"the list `{name}`"))


def reptile_update(answer) -> Result:
    """Check Reptile's outer step.

    Args:
        answer: `answer(params, fast_weights, outer_lr)` with a list of tensors, a list of tensors with a leading axis
            `[meta_batch_size]`, and a number; returns the list of new parameters.

    Returns:
        A `Result`. Rejected with words of their own: the wrong direction, a sum over tasks, the mean itself, the
        change alone, one task only, a mean without `axis=0`, a mean over a parameter's own axis, one task after the
        other (algorithm 1), theta' added instead of theta' - theta, the two weights of the mean exchanged, the median,
        a list changed in place.

    References:
        Nichol et al. (2018), algorithms 1 and 2. https://arxiv.org/abs/1803.02999
    """
    return judge("reptile_update", answer, _examine_reptile)


def _examine_reptile(call) -> str:
    rng = np.random.default_rng(0)
    for tasks, outer_lr in ((4, 0.3), (1, 0.5)):
        params, fast = _parameters(rng), _parameters(rng, (tasks,))
        given = list(params), list(fast)
        found = call(*given, outer_lr)
        _examine_lists(params=(given[0], params), fast_weights=(given[1], fast))
        pairs = [(np.asarray(w), np.asarray(f)) for w, f in zip(params, fast, strict=True)]
        exact = [w + outer_lr * np.mean(f - w, axis=0) for w, f in pairs]
        wrong = _wrong_reptile(pairs, outer_lr) if tasks > 1 else ()  # with one task many of these are right
        _compare(found, exact, wrong, "this is not theta + outer_lr * mean(theta' - theta).")
    return "theta + epsilon * mean(theta' - theta), for one task and for several."


def _wrong_reptile(pairs, lr: float) -> tuple:
    def each(change):
        return [change(w, f) for w, f in pairs]

    def serial(rate):
        return each(lambda w, f: [w := w + rate * (one - w) for one in f][-1])

    no_axis = (
        "reduce_mean without axis=0 averages over all weights of a tensor as well: every weight then takes the same "
        "step. Take the mean over the leading axis, the tasks, alone."
    )
    return (
        (each(lambda w, f: w - lr * np.mean(f - w, axis=0)),
         "this moves away from the adapted weights. theta' - theta points *towards* them; it is minus it that is "
         "handed to an optimizer as a gradient."),
        (each(lambda w, f: w + lr * np.sum(f - w, axis=0)),
         "you added up the tasks' moves. Take the mean, or the step grows with the number of tasks."),
        (each(lambda w, f: w + lr * np.mean(f - w)), no_axis),
        (each(lambda w, f: w + lr * (np.mean(f) - w)), no_axis),
        (each(lambda w, f: w + lr * np.sum(f - w)), no_axis.replace("reduce_mean", "reduce_sum")),
        (serial(lr),
         "this is the serial version: theta moves towards one task after the other, so that the last ones count most. "
         "Algorithm 2 starts every task at the same theta and takes the mean of the moves."),
        (serial(lr / len(pairs[0][1])),
         "theta moves towards one task after the other, a part of the way each time: the last tasks count most. Take "
         "every move from the same theta."),
        (each(lambda w, f: np.mean(f, axis=0)),
         "these are the mean adapted weights, which is outer_lr = 1. Go only the part outer_lr of the way."),
        (each(lambda w, f: lr * np.mean(f, axis=0)), "outer_lr times the mean of theta' lacks the rest of theta."),
        (each(lambda w, f: w + lr * np.mean(f, axis=0)),
         "you added theta', where the move theta' - theta belongs: theta would grow for ever."),
        (each(lambda w, f: lr * w + (1 - lr) * np.mean(f, axis=0)),
         "the weights are exchanged: theta keeps 1 - outer_lr, the mean of theta' gets outer_lr."),
        (each(lambda w, f: lr * np.mean(f - w, axis=0)), "this is the change. Add it to the parameters."),
        (each(lambda w, f: w + np.mean(f - w, axis=0) / len(f)),
         "you divided by the number of tasks twice, and left out outer_lr."),
        (each(lambda w, f: w + lr * np.mean(f - w, axis=0) / len(f)),
         "you divided by the number of tasks twice: once is the mean."),
        (each(lambda w, f: w + lr * np.median(f - w, axis=0)), "this is the median over tasks. Algorithm 2 has the "
                                                               "mean."),
        (each(lambda w, f: w + lr * (f[0] - w)), "only the first task was used. Take the mean over the leading axis."),
        (each(lambda w, f: w + lr * (f[-1] - w)), "only the last task was used. Take the mean over the leading axis."),
    )  # fmt: skip


def meta_sgd_update(answer) -> Result:
    """Check an inner step with a rate for every weight.

    Args:
        answer: `answer(params, gradients, rates)` with three lists of tensors of the same shapes; returns the list of
            fast weights, through which the outer tape can reach parameters, gradients and rates. Rates may be negative.

    Returns:
        A `Result`. Rejected with words of their own: the wrong sign, one mean rate, rates through a logarithm, absolute
        value, relu, softplus, sigmoid or square, the sign of the gradient alone, a step without the parameters, a list
        changed in place, results that are cut off from the rates, from theta or from the gradients.

    References:
        Li et al. (2017), algorithm 1. https://arxiv.org/abs/1707.09835
    """
    return judge("meta_sgd_update", answer, _examine_meta_sgd)


def _examine_meta_sgd(call) -> str:
    rng = np.random.default_rng(0)
    params, gradients = _parameters(rng), _parameters(rng)
    rates = [0.1 + 0.3 * tensor for tensor in _parameters(rng)]  # of both signs
    weights = _parameters(rng)  # of the outer loss
    given = list(params), list(gradients), list(rates)
    with tf.GradientTape() as tape:
        tape.watch([params, gradients, rates])
        found = call(*given)
        _examine_lists(params=(given[0], params), gradients=(given[1], gradients), rates=(given[2], rates))
        found = _tensors(found, 2)
        triples = list(zip(params, gradients, rates, strict=True))
        exact = [w - a * g for w, g, a in triples]
        negative = "Li's rates may turn negative: then the weight moves *against* its support gradient, because that "
        negative += "helps the query loss. Use them as they are"
        wrong = (
            ([w + a * g for w, g, a in triples], "this climbs: subtract the step."),
            ([w - tf.reduce_mean(a) * g for w, g, a in triples],
             "you took one mean rate for a whole tensor. Multiply element by element: every weight has its own."),
            ([w - tf.exp(a) * g for w, g, a in triples],
             "you took the exponential of the rates. The paper uses them as they are, so a rate may turn negative."),
            ([w - tf.abs(a) * g for w, g, a in triples], f"you took the absolute value of the rates. {negative}."),
            ([w - tf.nn.relu(a) * g for w, g, a in triples],
             f"negative rates were cut off (relu, maximum, clipping). {negative}; a cut rate also gets no gradient and "
             "never comes back."),
            ([w - tf.nn.softplus(a) * g for w, g, a in triples], f"the rates went through a softplus. {negative}."),
            ([w - tf.nn.sigmoid(a) * g for w, g, a in triples], f"the rates went through a sigmoid. {negative}."),
            ([w - a**2 * g for w, g, a in triples], f"the rates were squared. {negative}."),
            ([w - a * tf.sign(g) for w, g, a in triples], "you took the gradient's sign alone. Its size counts, too."),
            ([w - g for w, g, a in triples], "the rates are missing."),
            ([w - a for w, g, a in triples], "the gradients are missing."),
            ([a * g for w, g, a in triples], "this is the step. Subtract it from the parameters."),
            ([-a * g for w, g, a in triples], "this is the step. Add it to the parameters."),
            (params, "theta came back unchanged."),
        )  # fmt: skip
        _compare(found, exact, wrong, "this is not theta - alpha * gradient, element by element.")
        total = tf.add_n([tf.reduce_sum(v * tf.cast(t, tf.float32)) for v, t in zip(weights, found, strict=True)])
    _examine_path(tape.gradient(total, [params, gradients, rates]), weights, gradients, rates)
    return "theta - alpha * gradient, element by element, negative rates included, and the rates can be learned."


def _examine_path(through, weights, gradients, rates) -> None:
    """The outer tape must reach the rates, theta, and the gradients, in which theta is hidden a second time."""
    of_params, of_gradients, of_rates = through
    require(
        all(g is not None for g in of_rates),
        "the numbers are right, but no gradient reaches the rates: they cannot be learned. Use TensorFlow operations "
        "on the tensors you were given, without .numpy(), tf.stop_gradient and variables.",
    )
    require(
        all(g is not None for g in of_params),
        "the numbers are right, but no gradient reaches theta: it is stopped, so the outer loop would learn rates and "
        "leave the starting point where it is. Remove tf.stop_gradient.",
    )
    require(
        all(g is not None for g in of_gradients),
        "the numbers are right, but the gradients are constants for the outer tape (tf.stop_gradient): that is the "
        "first-order variant. Meta-SGD differentiates through them, as MAML does.",
    )
    examine_slopes(
        [tf.concat([tf.reshape(t, [-1]) for t in part], 0) for part in through],
        [tf.concat([tf.reshape(t, [-1]) for t in part], 0) for part in (
            weights,
            [-a * v for a, v in zip(rates, weights, strict=True)],
            [-g * v for g, v in zip(gradients, weights, strict=True)],
        )],
        ["parameters", "gradients", "rates"], "the outer loop",
    )  # fmt: skip


def masked_update(answer) -> Result:
    """Check an inner step that changes chosen tensors only.

    Args:
        answer: `answer(params, gradients, inner_lr, adapts)` with lists of tensors, a number, and a list of `True` and
            `False`; returns the list of fast weights, as long as `params`, through which the outer tape can reach all
            parameters and the gradients of those that adapt.

    Returns:
        A `Result`. Rejected with words of their own: everything adapts, nothing adapts, the mask turned round, zeros
        where nothing should change, the step alone, ascent, a rate left out, only the adapted ones returned, the
        adapted ones first, a list changed in place, frozen tensors that are stopped, first-order steps.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    return judge("masked_update", answer, _examine_mask)


def _examine_mask(call) -> str:
    rng = np.random.default_rng(0)
    for adapts in ([False, True], [True, False]):
        params, gradients, weights = _parameters(rng), _parameters(rng), _parameters(rng)
        given = list(params), list(gradients), list(adapts)
        with tf.GradientTape() as tape:
            tape.watch([params, gradients])
            found = call(given[0], given[1], 0.4, given[2])
            _examine_lists(params=(given[0], params), gradients=(given[1], gradients), adapts=(given[2], adapts))
            require(
                not isinstance(found, list | tuple) or len(found) != sum(adapts),
                "you returned only the tensors that adapt. The network needs all of them, in order.",
            )
            found = _tensors(found, 2)
            _examine_masked_values(found, list(zip(params, gradients, adapts, strict=True)))
            total = tf.add_n([tf.reduce_sum(v * tf.cast(t, tf.float32)) for v, t in zip(weights, found, strict=True)])
        of_params, of_gradients = tape.gradient(total, [params, gradients])
        frozen, moving = adapts.index(False), adapts.index(True)
        body = (
            "the numbers are right, but the tensors that do not adapt are cut off from the outer tape{}. ANIL's body "
            "*does learn*, in the outer loop: it is only not *adapted* to a task. Stop nothing: hand theta on as it is."
        )
        require(of_params[frozen] is not None, body.format(" (tf.stop_gradient, or turned into NumPy)"))
        require(
            of_params[moving] is not None,
            "the numbers are right, but no gradient reaches the parameters that adapt: the outer loop could not learn "
            "where the inner step should start.",
        )
        require(
            of_gradients[moving] is not None,
            "the numbers are right, but the gradients are constants for the outer tape (tf.stop_gradient): that is the "
            "first-order variant, whatever is masked.",
        )
        require(
            distance(of_params, weights) < 1e-4 and distance([of_gradients[moving]], [-0.4 * weights[moving]]) < 1e-4,
            "the numbers are right, but the gradient with respect to params or gradients is not.",
        )
    return "the chosen tensors take a step, the others stay and can still learn, and no list was written to."


def _examine_masked_values(found, triples) -> None:
    exact = [w - 0.4 * g if on else w for w, g, on in triples]
    require(
        as_array(found[0]).shape == exact[0].shape or as_array(found[0]).shape != exact[1].shape,
        "the tensors are in another order. Return them in the order of `params`: that is how the network takes them.",
    )
    wrong = (
        ([w - 0.4 * g for w, g, _ in triples], "everything adapts: the mask is not used."),
        ([w for w, _, _ in triples], "nothing adapts: theta came back unchanged."),
        ([w if on else w - 0.4 * g for w, g, on in triples], "the mask is turned round: True means *adapts*."),
        ([w - 0.4 * g if on else tf.zeros_like(w) for w, g, on in triples],
         "what does not adapt must stay as it is; yours became zero."),
        ([tf.zeros_like(w) if on else w for w, g, on in triples], "what adapts became zero: take a step from theta."),
        ([0.4 * g if on else w for w, g, on in triples], "what adapts holds the step alone. Subtract it from theta."),
        ([-0.4 * g if on else 0 * g for w, g, on in triples], "this is the step alone. Add it to theta."),
        ([w + 0.4 * g if on else w for w, g, on in triples], "this climbs: subtract the gradient."),
        ([w - g if on else w for w, g, on in triples], "inner_lr is missing."),
        ([w - 0.4 * g if on else g for w, g, on in triples], "what does not adapt became its gradient; keep theta."),
    )  # fmt: skip
    _compare(found, exact, wrong, "an adapted tensor must be theta - inner_lr * gradient, the others theta.")
