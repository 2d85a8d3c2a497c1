"""conv4 as a pure function of a dict of arrays: shared by the JAX peers."""

import jax
import jax.numpy as jnp
import optax

from benchmarks.cases import ADAM_EPSILON, NORM_EPSILON, OUTER_LR


def forward(case, params, x):
    """Logits [images, n_way] (MAML) or embeddings [images, features] (ProtoNet) of images in NHWC."""
    stride = 2 if case.downsample == "stride" else 1
    for block in range(4):
        x = jax.lax.conv_general_dilated(
            x, params[f"conv{block}/kernel"], (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        if case.conv_bias:
            x = x + params[f"conv{block}/bias"]
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        scale = params[f"norm{block}/gamma"] * jax.lax.rsqrt(variance + NORM_EPSILON)
        x = jax.nn.relu((x - mean) * scale + params[f"norm{block}/beta"])
        if case.downsample == "pool":
            x = max_pool(x)
    if case.kind == "protonet":
        return x.reshape(x.shape[0], -1)
    return x.mean((1, 2)) @ params["head/kernel"] + params["head/bias"]


def max_pool(x):
    """2 x 2 max-pooling of stride 2, an odd last row and column dropped, as `flax.linen.max_pool` writes it."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cross_entropy(logits, labels):
    """Mean cross-entropy with integer labels."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def make_step(loss_of, params, batch):
    """Compile loss, gradient and Adam's update into one program; the returned `step()` runs it.

    Args:
        loss_of: (params, batch) -> loss.
        params: name -> array.
        batch: whatever `loss_of` takes.
    """
    optimizer = optax.adam(OUTER_LR, eps=ADAM_EPSILON)

    def update(params, state, batch):
        loss, gradients = jax.value_and_grad(loss_of)(params, batch)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, loss

    update = jax.jit(update, donate_argnums=(0, 1))
    current = [params, optimizer.init(params)]

    def step():
        *current[:], loss = update(*current, batch)
        jax.block_until_ready(current)
        return float(loss)

    return step


def to_device(arrays):
    """Weights and meta-batch as JAX arrays, in 64 bit if they are."""
    if next(iter(arrays["weights"].values())).dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    return jax.tree.map(jnp.array, (arrays["weights"], arrays["batch"]))
