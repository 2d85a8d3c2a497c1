"""MAML with the package `higher`, after its own example: an inner-loop context per task."""

import higher
import torch
from torch.nn import functional as F  # noqa: N812  (everybody's name for it)

from benchmarks.peers import torch_net


def _backward(case, model, inner, batch):
    """Accumulate the meta-gradient in `.grad`; returns the mean loss."""
    total = 0.0
    for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
        with higher.innerloop_ctx(model, inner, copy_initial_weights=False) as (fast_model, fast_optimizer):
            for _ in range(case.inner_steps):
                fast_optimizer.step(F.cross_entropy(fast_model(support_x), support_y))
            loss = F.cross_entropy(fast_model(query_x), query_y) / case.tasks
            loss.backward()
        total += loss.item()
    return total


def meta_gradient(case, arrays):
    """Loss and meta-gradient at the initial weights."""
    model = torch_net.make_model(case, arrays)
    inner = torch.optim.SGD(model.parameters(), lr=case.inner_lr)
    loss = _backward(case, model, inner, torch_net.make_batch(case, arrays))
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return loss, torch_net.named_gradient(case, arrays, gradients)


def build(case, arrays):
    """The outer step."""
    model = torch_net.make_model(case, arrays)
    batch = torch_net.make_batch(case, arrays)
    inner = torch.optim.SGD(model.parameters(), lr=case.inner_lr)
    optimizer = torch_net.make_adam(model.parameters())

    def step():
        optimizer.zero_grad()
        loss = _backward(case, model, inner, batch)
        optimizer.step()
        return loss

    return step
