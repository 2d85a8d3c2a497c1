"""MAML in JAX: the tasks by `vmap`, by `lax.map`, or unrolled, each under `jit`."""

import jax
import jax.numpy as jnp

from benchmarks.peers import jax_net


def _task_loss(case):
    """The function (params, one task) -> query loss after adaptation."""

    def loss(params, x, y):
        return jax_net.cross_entropy(jax_net.forward(case, params, x), y)

    def adapted_loss(params, task):
        for _ in range(case.inner_steps):
            gradients = jax.grad(loss)(params, task["support_x"], task["support_y"])
            params = jax.tree.map(lambda p, g: p - case.inner_lr * g, params, gradients)
        return loss(params, task["query_x"], task["query_y"])

    return adapted_loss


def _vmapped(case):
    task_loss = _task_loss(case)
    return lambda params, batch: jax.vmap(task_loss, in_axes=(None, 0))(params, batch).mean()


def _mapped(case):
    task_loss = _task_loss(case)
    return lambda params, batch: jax.lax.map(lambda task: task_loss(params, task), batch).mean()


def _unrolled(case):
    task_loss = _task_loss(case)

    def mean_loss(params, batch):
        tasks = [jax.tree.map(lambda x, i=i: x[i], batch) for i in range(case.tasks)]
        return jnp.stack([task_loss(params, task) for task in tasks]).mean()

    return mean_loss


def meta_gradient(case, arrays):
    """Loss and meta-gradient at the initial weights."""
    params, batch = jax_net.to_device(arrays)
    loss, gradients = jax.jit(jax.value_and_grad(_mapped(case)))(params, batch)
    return float(loss), {name: jax.device_get(g) for name, g in gradients.items()}


def build_vmap(case, arrays):
    """The outer step, tasks by `vmap`."""
    return jax_net.make_step(_vmapped(case), *jax_net.to_device(arrays))


def build_map(case, arrays):
    """The outer step, tasks by `lax.map`."""
    return jax_net.make_step(_mapped(case), *jax_net.to_device(arrays))


def build_unrolled(case, arrays):
    """The outer step, tasks unrolled in the compiled program."""
    return jax_net.make_step(_unrolled(case), *jax_net.to_device(arrays))
