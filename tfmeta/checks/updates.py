"""Checks of tutorials 07 and 08: Reptile's outer step, Meta-SGD's inner step, and an inner step with a mask."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.report import Result, judge, require


def _parameters(rng, lead=()):
    shapes = ((3, 2), (2,))
    return [tf.constant(rng.normal(size=(*lead, *shape)), tf.float32) for shape in shapes]


def _compare(found, exact, wrong, otherwise: str) -> None:
    """Stop at the first known wrong answer; else at any other difference."""
    require(
        isinstance(found, list | tuple) and len(found) == len(exact),
        f"return a list of {len(exact)} tensors, one for each parameter tensor.",
    )
    found = [np.asarray(tensor) for tensor in found]
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


def reptile_update(answer) -> Result:
    """Check Reptile's outer step.

    Args:
        answer: `answer(params, fast_weights, outer_lr)` with a list of tensors, a list of tensors with a leading axis
            `[meta_batch_size]`, and a number; returns the list of new parameters.

    Returns:
        A `Result`. Rejected with words of their own: the wrong direction, a sum over tasks, the mean itself, the
        change alone, one task only.

    References:
        Nichol et al. (2018), algorithm 2. https://arxiv.org/abs/1803.02999
    """
    return judge("reptile_update", answer, _examine_reptile)


def _examine_reptile(call) -> str:
    rng = np.random.default_rng(0)
    for tasks, outer_lr in ((4, 0.3), (1, 0.5)):
        params, fast = _parameters(rng), _parameters(rng, (tasks,))
        moves = [np.mean(f - w, axis=0) for w, f in zip(params, fast, strict=True)]
        exact = [w + outer_lr * m for w, m in zip(params, moves, strict=True)]
        wrong = (
            ([w - outer_lr * m for w, m in zip(params, moves, strict=True)],
             "this moves away from the adapted weights. theta' - theta points *towards* them; it is minus it that is "
             "handed to an optimizer as a gradient."),
            ([w + outer_lr * tasks * m for w, m in zip(params, moves, strict=True)],
             "you added up the tasks' moves. Take the mean, or the step grows with the number of tasks."),
            ([np.mean(f, axis=0) for f in fast],
             "these are the mean adapted weights, which is outer_lr = 1. Go only the part outer_lr of the way."),
            ([w + m for w, m in zip(params, moves, strict=True)], "outer_lr is missing."),
            ([outer_lr * m for m in moves], "this is the change. Add it to the parameters."),
            ([w + outer_lr * (f[0] - w) for w, f in zip(params, fast, strict=True)],
             "only the first task was used. Take the mean over the leading axis."),
            ([w + outer_lr * (f[-1] - w) for w, f in zip(params, fast, strict=True)],
             "only the last task was used. Take the mean over the leading axis."),
        )  # fmt: skip
        if tasks == 1:  # where many of these are the same
            wrong = ()
        _compare(call(params, fast, outer_lr), exact, wrong, "this is not theta + outer_lr * mean(theta' - theta).")
    return "theta + epsilon * mean(theta' - theta), for one task and for several."


def meta_sgd_update(answer) -> Result:
    """Check an inner step with a rate for every weight.

    Args:
        answer: `answer(params, gradients, rates)` with three lists of tensors of the same shapes; returns the list of
            fast weights, through which the outer tape can reach parameters and rates.

    Returns:
        A `Result`. Rejected with words of their own: the wrong sign, one mean rate, rates through a logarithm, results
        that are cut off from the rates.

    References:
        Li et al. (2017), algorithm 1. https://arxiv.org/abs/1707.09835
    """
    return judge("meta_sgd_update", answer, _examine_meta_sgd)


def _examine_meta_sgd(call) -> str:
    rng = np.random.default_rng(0)
    params, gradients = _parameters(rng), _parameters(rng)
    rates = [0.1 + 0.05 * tensor for tensor in _parameters(rng)]
    triples = list(zip(params, gradients, rates, strict=True))
    with tf.GradientTape() as tape:
        tape.watch([params, rates])
        found = call(list(params), list(gradients), list(rates))
        total = tf.add_n([tf.reduce_sum(tf.convert_to_tensor(t)) for t in found]) if isinstance(found, list) else None
    exact = [w - a * g for w, g, a in triples]
    wrong = (
        ([w + a * g for w, g, a in triples], "this climbs: subtract the step."),
        ([w - tf.reduce_mean(a) * g for w, g, a in triples],
         "you took one mean rate for a whole tensor. Multiply element by element: every weight has its own."),
        ([w - tf.exp(a) * g for w, g, a in triples],
         "you took the exponential of the rates. The paper uses them as they are, so a rate may turn negative."),
        ([a * g for w, g, a in triples], "this is the step. Subtract it from the parameters."),
    )  # fmt: skip
    _compare(found, exact, wrong, "this is not theta - alpha * gradient, element by element.")
    require(total is not None, "return a list.")
    through = tape.gradient(total, rates)
    require(
        all(g is not None for g in through),
        "the numbers are right, but no gradient reaches the rates: they cannot be learned. Use TensorFlow operations "
        "on the tensors you were given, without .numpy() and without variables.",
    )
    return "theta - alpha * gradient, element by element, and the rates can be learned."


def masked_update(answer) -> Result:
    """Check an inner step that changes chosen tensors only.

    Args:
        answer: `answer(params, gradients, inner_lr, adapts)` with lists of tensors, a number, and a list of `True` and
            `False`; returns the list of fast weights, as long as `params`.

    Returns:
        A `Result`. Rejected with words of their own: everything adapts, the mask turned round, zeros where nothing
        should change, only the adapted ones returned, the given list changed.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    return judge("masked_update", answer, _examine_mask)


def _examine_mask(call) -> str:
    rng = np.random.default_rng(0)
    for adapts in ([False, True], [True, False]):
        params, gradients = _parameters(rng), _parameters(rng)
        given = list(params)
        found = call(given, list(gradients), 0.4, adapts)
        require(
            all(a is b for a, b in zip(given, params, strict=True)) and len(given) == 2,
            "you changed the list that you were given. The next task starts from it: make a new one.",
        )
        triples = list(zip(params, gradients, adapts, strict=True))
        require(
            not isinstance(found, list | tuple) or len(found) != sum(adapts),
            "you returned only the tensors that adapt. The network needs all of them, in order.",
        )
        exact = [w - 0.4 * g if on else w for w, g, on in triples]
        wrong = (
            ([w - 0.4 * g for w, g, _ in triples], "everything adapts: the mask is not used."),
            ([w if on else w - 0.4 * g for w, g, on in triples], "the mask is turned round: True means *adapts*."),
            ([w - 0.4 * g if on else tf.zeros_like(w) for w, g, on in triples],
             "what does not adapt must stay as it is; yours became zero."),
        )  # fmt: skip
        _compare(found, exact, wrong, "an adapted tensor must be theta - inner_lr * gradient, the others theta.")
    return "the chosen tensors take a step, the others stay, and the list you were given is untouched."
