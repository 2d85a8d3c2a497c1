"""A prototypical network's training step in JAX, under `jit`."""

import jax
import jax.numpy as jnp

from benchmarks.peers import jax_net


def _loss(case):
    """(params, batch) -> mean query cross-entropy; support and query pass the encoder together."""

    def loss(params, batch):
        images = jnp.concatenate([batch["support_x"][0], batch["query_x"][0]])
        embeddings = jax_net.forward(case, params, images)
        support, query = embeddings[: case.n_support_images], embeddings[case.n_support_images :]
        prototypes = support.reshape(case.n_way, case.k_shot, -1).mean(1)
        distances = (query**2).sum(1, keepdims=True) - 2 * query @ prototypes.T + (prototypes**2).sum(1)
        return jax_net.cross_entropy(-distances, batch["query_y"][0])

    return loss


def meta_gradient(case, arrays):
    """Loss and gradient at the initial weights."""
    params, batch = jax_net.to_device(arrays)
    loss, gradients = jax.jit(jax.value_and_grad(_loss(case)))(params, batch)
    return float(loss), {name: jax.device_get(g) for name, g in gradients.items()}


def build(case, arrays):
    """The training step."""
    return jax_net.make_step(_loss(case), *jax_net.to_device(arrays))
