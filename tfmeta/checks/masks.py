"""Check of tutorial 08: an inner step that changes chosen tensors only."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.lists import as_tensors, compare, examine_lists, random_parameters
from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.stops import TENSOR_HINTS
from tfmeta.checks.values import as_array, distance


def masked_update(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check an inner step that changes chosen tensors only.

    Args:
        answer: `answer(params, gradients, inner_lr, adapts)` with lists of tensors, a number, and a list of `True` and
            `False`; returns the list of fast weights, as long as `params`, through which the outer tape can reach all
            parameters and the gradients of those that adapt.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: everything adapts, nothing adapts, the mask turned round, zeros
        where nothing should change, the step alone, ascent, a rate left out, only the adapted ones returned, the
        adapted ones first, a list changed in place, frozen tensors that are stopped, first-order steps.

    References:
        Raghu et al. (2020), section 4. https://arxiv.org/abs/1909.09157
    """
    return judge("masked_update", answer, _examine_mask, TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_mask(call) -> str:
    rng = np.random.default_rng(0)
    for adapts in ([False, True], [True, False]):
        params, gradients, weights = random_parameters(rng), random_parameters(rng), random_parameters(rng)
        given = list(params), list(gradients), list(adapts)
        with tf.GradientTape() as tape:
            tape.watch([params, gradients])
            found = call(given[0], given[1], 0.4, given[2])
            examine_lists(params=(given[0], params), gradients=(given[1], gradients), adapts=(given[2], adapts))
            require(
                not isinstance(found, list | tuple) or len(found) != sum(adapts),
                "you returned only the tensors that adapt. The network needs all of them, in order.",
            )
            found = as_tensors(found, 2)
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
    compare(found, exact, wrong, "an adapted tensor must be theta - inner_lr * gradient, the others theta.")
