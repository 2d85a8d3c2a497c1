"""MAML in PyTorch, one task after another, as learn2learn does: `torch.autograd.grad(create_graph=True)`."""

import torch
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812  (everybody's name for it)

from benchmarks.peers import torch_net


def backward(case, model, batch):
    """Accumulate the meta-gradient in `.grad`, freeing each task's graph before the next. Returns the mean loss."""
    total = 0.0
    for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
        fast = dict(model.named_parameters())
        for _ in range(case.inner_steps):
            loss = F.cross_entropy(functional_call(model, fast, (support_x,)), support_y)
            gradients = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
            fast = {name: p - case.inner_lr * g for (name, p), g in zip(fast.items(), gradients, strict=True)}
        loss = F.cross_entropy(functional_call(model, fast, (query_x,)), query_y) / case.tasks
        loss.backward()
        total += loss.item()
    return total


def meta_gradient(case, arrays):
    """Loss and meta-gradient at the initial weights."""
    model = torch_net.make_model(case, arrays)
    loss = backward(case, model, torch_net.make_batch(case, arrays))
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return loss, torch_net.named_gradient(case, arrays, gradients)


def build(case, arrays):
    """The outer step."""
    model = torch_net.make_model(case, arrays)
    batch = torch_net.make_batch(case, arrays)
    optimizer = torch_net.make_adam(model.parameters())

    def step():
        optimizer.zero_grad()
        loss = backward(case, model, batch)
        optimizer.step()
        return loss

    return step
