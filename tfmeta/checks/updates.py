"""Checks of tutorials 07 and 08: Reptile's outer step, and Meta-SGD's inner step."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.lists import as_tensors, compare, examine_lists, random_parameters
from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.slopes import examine_slopes
from tfmeta.checks.stops import TENSOR_HINTS


def reptile_update(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check Reptile's outer step.

    Args:
        answer: `answer(params, fast_weights, outer_lr)` with a list of tensors, a list of tensors with a leading axis
            `[meta_batch_size]`, and a number; returns the list of new parameters.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: the wrong direction, a sum over tasks, the mean itself, the
        change alone, one task only, a mean without `axis=0`, a mean over a parameter's own axis, one task after the
        other (algorithm 1), theta' added instead of theta' - theta, the two weights of the mean exchanged, the median,
        a list changed in place.

    References:
        Nichol et al. (2018), algorithms 1 and 2. https://arxiv.org/abs/1803.02999
    """
    return judge("reptile_update", answer, _examine_reptile, TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_reptile(call) -> str:
    rng = np.random.default_rng(0)
    for tasks, outer_lr in ((4, 0.3), (1, 0.5)):
        params, fast = random_parameters(rng), random_parameters(rng, (tasks,))
        given = list(params), list(fast)
        found = call(*given, outer_lr)
        examine_lists(params=(given[0], params), fast_weights=(given[1], fast))
        pairs = [(np.asarray(w), np.asarray(f)) for w, f in zip(params, fast, strict=True)]
        exact = [w + outer_lr * np.mean(f - w, axis=0) for w, f in pairs]
        wrong = _wrong_reptile(pairs, outer_lr) if tasks > 1 else ()  # with one task many of these are right
        compare(found, exact, wrong, "this is not theta + outer_lr * mean(theta' - theta).")
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


def meta_sgd_update(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check an inner step with a rate for every weight.

    Args:
        answer: `answer(params, gradients, rates)` with three lists of tensors of the same shapes; returns the list of
            fast weights, through which the outer tape can reach parameters, gradients and rates. Rates may be negative.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: the wrong sign, one mean rate, rates through a logarithm, absolute
        value, relu, softplus, sigmoid or square, the sign of the gradient alone, a step without the parameters, a list
        changed in place, results that are cut off from the rates, from theta or from the gradients.

    References:
        Li et al. (2017), algorithm 1. https://arxiv.org/abs/1707.09835
    """
    return judge("meta_sgd_update", answer, _examine_meta_sgd, TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_meta_sgd(call) -> str:
    rng = np.random.default_rng(0)
    params, gradients = random_parameters(rng), random_parameters(rng)
    rates = [0.1 + 0.3 * tensor for tensor in random_parameters(rng)]  # of both signs
    weights = random_parameters(rng)  # of the outer loss
    given = list(params), list(gradients), list(rates)
    with tf.GradientTape() as tape:
        tape.watch([params, gradients, rates])
        found = call(*given)
        examine_lists(params=(given[0], params), gradients=(given[1], gradients), rates=(given[2], rates))
        found = as_tensors(found, 2)
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
        compare(found, exact, wrong, "this is not theta - alpha * gradient, element by element.")
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
