"""MAML with `torch.func`: `grad` for the inner loop, `vmap` over the tasks, eager or compiled.

`build_loop_compile` is a third way for the case in which vmapped convolutions are slow: one task's gradient compiled,
the tasks in a Python loop.
"""

import torch
from torch.func import functional_call, grad, grad_and_value, vmap
from torch.nn import functional as F  # noqa: N812  (everybody's name for it)

from benchmarks.peers import torch_net


def _task_loss(case, model):
    """The function (params, one task) -> query loss after adaptation."""

    def loss(params, x, y):
        return F.cross_entropy(functional_call(model, params, (x,)), y)

    def adapted_loss(params, support_x, support_y, query_x, query_y):
        for _ in range(case.inner_steps):
            gradients = grad(loss)(params, support_x, support_y)
            params = {name: p - case.inner_lr * gradients[name] for name, p in params.items()}
        return loss(params, query_x, query_y)

    return adapted_loss


def _vmapped(case, model):
    """The function (params, meta-batch) -> (meta-gradient, mean loss), tasks by `vmap`."""
    task_loss = _task_loss(case, model)

    def mean_loss(params, *batch):
        return vmap(task_loss, in_dims=(None, 0, 0, 0, 0))(params, *batch).mean()

    return grad_and_value(mean_loss)


def _looped(case, model):
    """The same, one compiled task gradient called once per task."""
    task_gradient = torch.compile(grad_and_value(_task_loss(case, model)), dynamic=False)

    def gradient_and_loss(params, *batch):
        results = [task_gradient(params, *task) for task in zip(*batch, strict=True)]
        gradients = {name: torch.stack([g[name] for g, _ in results]).mean(0) for name in params}
        return gradients, torch.stack([loss for _, loss in results]).mean()

    return gradient_and_loss


def meta_gradient(case, arrays):
    """Loss and meta-gradient at the initial weights, eager."""
    model = torch_net.make_model(case, arrays, torch_net.VmapNorm)
    params = {name: p.detach() for name, p in model.named_parameters()}
    gradients, loss = _vmapped(case, model)(params, *torch_net.make_batch(case, arrays))
    return loss.item(), torch_net.named_gradient(case, arrays, gradients)


def _build(case, arrays, make_gradient):
    model = torch_net.make_model(case, arrays, torch_net.VmapNorm)
    batch = torch_net.make_batch(case, arrays)
    gradient_and_loss = make_gradient(case, model)
    params = dict(model.named_parameters())
    # The values as torch.func wants them: same storage, so Adam's update in place is seen, but outside autograd.
    values = {name: p.detach() for name, p in params.items()}
    optimizer = torch_net.make_adam(params.values())

    def step():
        gradients, loss = gradient_and_loss(values, *batch)
        for name, p in params.items():
            p.grad = gradients[name]
        optimizer.step()
        return loss.item()

    return step


def build(case, arrays):
    """The outer step, eager vmap."""
    return _build(case, arrays, _vmapped)


def build_compile(case, arrays):
    """The outer step, vmap under `torch.compile`."""
    return _build(case, arrays, lambda case, model: torch.compile(_vmapped(case, model), dynamic=False))


def build_loop_compile(case, arrays):
    """The outer step, a compiled task gradient in a Python loop."""
    return _build(case, arrays, _looped)
