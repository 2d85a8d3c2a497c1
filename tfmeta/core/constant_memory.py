"""The inner loop in memory that does not grow with the number of steps: the same value and the same exact gradient.

Two nested tapes keep the activations of all M inner steps until the outer gradient has passed back through them. It
needs little of that. Let U be the update rule, s its state and lambda what it learns:

    g_k = gradient of L_S at theta_k,        theta_{k+1}, s_{k+1} = U(theta_k, g_k, s_k, lambda).

Write a bar for the gradient of the outer loss with respect to a quantity. Backwards from theta_{k+1} and s_{k+1},

    theta~, g~, s_k~, lambda~ = the vector-Jacobian product of U at step k,
    theta_k~ = theta~ + H(theta_k) g~,       lambda~ adds up over the steps,

with H the Hessian of the support loss. Where the rule reads the loss L, too, L~ g_k is added. The product H g~ is one
forward-mode derivative of the reverse-mode gradient. It needs the activations of its own step only, which are computed
a second time. So theta_k, g_k and s_k are kept.

References:
    Pearlmutter (1994), "Fast exact multiplication by the Hessian", https://doi.org/10.1162/neco.1994.6.1.147;
    Kemaev et al. (2025), "Scalable Meta-Learning via Mixed-Mode Differentiation", https://arxiv.org/abs/2505.00793
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmeta.core.forward import Tensors, gradient
from tfmeta.core.inner_loop import (
    Adapted,
    SupportLoss,
    Watch,
    adapt,
    loss_read,
    room,
    value_and_gradient,
    with_kept,
    write,
)
from tfmeta.core.updates import Update

_ZERO = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}


def adapt_in_constant_memory(
    loss: SupportLoss,
    params: Tensors,
    update: Update,
    steps: int,
    *,
    first_order: bool = False,
    state: Any = None,
    first_step: int = 0,
    keep: Any = (),
    watch: Watch | None = None,
) -> Adapted:
    """A drop-in for `tfmeta.core.inner_loop.adapt` whose gradient needs the memory of one step.

    Args:
        loss: as for `adapt`. What it reads besides its arguments gets no gradient: pass it among the parameters, and
            leave it where it is with `only`.
        params: theta, tensors.
        update: how they move, any rule.
        steps: M, how many steps to take.
        first_order: then nothing of the steps is kept anyway, and this is `adapt`.
        state: the rule's state to go on from; by default a new one.
        first_step: number of steps taken before.
        keep: as for `adapt`.
        watch: as for `adapt`.

    Returns:
        An `Adapted`, equal to that of `adapt` up to rounding, and so are its gradients.

    References:
        Kemaev et al. (2025). https://arxiv.org/abs/2505.00793
    """
    if first_order or (isinstance(steps, int) and not steps):
        return adapt(
            loss, params, update, steps, first_order=first_order, state=state, first_step=first_step, keep=keep,
            watch=watch,
        )  # fmt: skip
    positions = update.positions(params)
    state = update.init([params[p] for p in positions]) if state is None else state
    watch = Watch(lambda params, k: (), ()) if watch is None else watch
    given = (list(params), list(update.learned), state)
    nest = {}  # of the results, which a custom gradient has to flatten

    @tf.custom_gradient
    def run(*flat):
        params, learned, state = tf.nest.pack_sequence_as(given, flat)
        moving = [params[p] for p in positions]
        read_like = loss_read(update, tf.zeros([]), moving)
        history_like = tf.nest.map_structure(tf.TensorSpec.from_tensor, (moving, moving, state, read_like))

        def forwards(i, moving, state, history, rows):
            k = first_step + i
            weights = _placed(params, positions, moving)
            seen = watch.look(weights, k)
            value, gradients, kept = value_and_gradient(loss, weights, k, positions)
            read = loss_read(update, value, moving)
            history = write(history, i, (moving, gradients, state, read))
            moving, state = update.step(k, moving, gradients, state, learned, *read)
            return i + 1, moving, state, history, write(rows, i, (kept, seen))

        loop = {"parallel_iterations": 1, "maximum_iterations": steps}
        _, last, end, history, rows = tf.while_loop(
            lambda i, *_: i < steps, forwards,
            (tf.constant(0), moving, state, room(history_like, steps), room((keep, watch.like), steps)), **loop,
        )  # fmt: skip
        kept, seen = tf.nest.map_structure(lambda row: row.stack(), rows)
        results = (_placed(params, positions, last), end, kept, seen)
        nest["results"] = results

        def backwards(*above):
            # The gradient of what was looked up in a table comes as slices of it.
            above = [tf.convert_to_tensor(bar) if isinstance(bar, tf.IndexedSlices) else bar for bar in above]
            params_bar, state_bar, _, seen_bar = tf.nest.pack_sequence_as(results, above)

            def step_back(i, params_bar, state_bar, learned_bar):
                k = first_step + i
                moving, gradients, state, read = tf.nest.map_structure(lambda rows: rows.read(i), history)
                sources = (moving, gradients, state, learned, read)
                with tf.GradientTape() as tape:
                    tape.watch(sources)
                    after = update.step(k, moving, gradients, state, learned, *read)
                bars = ([params_bar[p] for p in positions], state_bar)
                moving_bar, gradients_bar, state_bar, new, read_bar = tape.gradient(after, sources, bars, **_ZERO)
                weights = _placed(params, positions, moving)
                slope, curvature = _hessian_product(loss, weights, k, positions, gradients_bar)
                params_bar = [b + c for b, c in zip(_placed(params_bar, positions, moving_bar), curvature, strict=True)]
                for bar in read_bar:
                    params_bar = [b + tf.cast(bar, g.dtype) * g for b, g in zip(params_bar, slope, strict=True)]
                if tf.nest.flatten(watch.like):
                    of_row = tf.nest.map_structure(lambda bar: tf.gather(bar, i), seen_bar)
                    looked = _watched_product(watch, weights, k, of_row)
                    params_bar = [b + w for b, w in zip(params_bar, looked, strict=True)]
                learned_bar = [b + tf.convert_to_tensor(n) for b, n in zip(learned_bar, new, strict=True)]
                return i - 1, params_bar, state_bar, learned_bar

            learned_bar = [tf.zeros_like(tensor) for tensor in learned]
            _, params_bar, state_bar, learned_bar = tf.while_loop(
                lambda i, *_: i >= 0, step_back,
                (tf.constant(steps - 1), list(params_bar), state_bar, learned_bar), **loop,
            )  # fmt: skip
            return tf.nest.flatten((params_bar, learned_bar, state_bar))

        return tf.nest.flatten(results), backwards

    flat = run(*(tf.convert_to_tensor(tensor) for tensor in tf.nest.flatten(given)))
    return Adapted(*tf.nest.pack_sequence_as(nest["results"], flat))


def _placed(params: Tensors, positions: list[int], values: Tensors) -> list[tf.Tensor]:
    """The parameters with these values at these positions."""
    placed = list(params)
    for p, value in zip(positions, values, strict=True):
        placed[p] = value
    return placed


def _hessian_product(loss, params, k, positions, vector) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """The gradient of the support loss, and its Hessian times a vector that is 0 but for the tensors that move."""
    tangents = _placed([tf.zeros_like(weight) for weight in params], positions, vector)
    with tf.autodiff.ForwardAccumulator(list(params), tangents) as forward_mode:
        with tf.GradientTape() as tape:
            tape.watch(params)
            value, _ = with_kept(loss(params, k))
        gradients = gradient(tape, value, params)
    return gradients, [tf.convert_to_tensor(product) for product in forward_mode.jvp(gradients, **_ZERO)]


def _watched_product(watch: Watch, params, k, bars) -> list[tf.Tensor]:
    """The vector-Jacobian product of what was watched before a step."""
    with tf.GradientTape() as tape:
        tape.watch(params)
        seen = watch.look(params, k)
    return [tf.convert_to_tensor(g) for g in tape.gradient(seen, params, bars, **_ZERO)]
