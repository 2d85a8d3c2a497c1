"""A prototypical network's training step in PyTorch: eager, compiled, and with channels-last memory."""

import torch
from torch.nn import functional as F  # noqa: N812  (everybody's name for it)

from benchmarks.peers import torch_net


def _loss(case, model, images, query_y):
    """Mean query cross-entropy over negative squared distances; support and query pass the encoder together."""
    embeddings = model(images)
    support, query = embeddings[: case.n_support_images], embeddings[case.n_support_images :]
    prototypes = support.reshape(case.n_way, case.k_shot, -1).mean(1)
    distances = (query**2).sum(1, keepdim=True) - 2 * query @ prototypes.T + (prototypes**2).sum(1)
    return F.cross_entropy(-distances, query_y)


def _make(case, arrays):
    support_x, _, query_x, query_y = torch_net.make_batch(case, arrays)
    return torch_net.make_model(case, arrays), torch.cat([support_x[0], query_x[0]]), query_y[0]


def meta_gradient(case, arrays):
    """Loss and gradient at the initial weights."""
    model, images, query_y = _make(case, arrays)
    loss = _loss(case, model, images, query_y)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return loss.item(), torch_net.named_gradient(case, arrays, gradients)


def _build(case, arrays, compiled=False, channels_last=False):
    model, images, query_y = _make(case, arrays)
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    optimizer = torch_net.make_adam(model.parameters())
    loss_of = torch.compile(_loss, dynamic=False) if compiled else _loss

    def step():
        optimizer.zero_grad()
        loss = loss_of(case, model, images, query_y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def build(case, arrays):
    """The training step, eager."""
    return _build(case, arrays)


def build_compile(case, arrays):
    """The training step, compiled."""
    return _build(case, arrays, compiled=True)


def build_channels_last(case, arrays):
    """The training step, eager, channels last."""
    return _build(case, arrays, channels_last=True)


def build_compile_channels_last(case, arrays):
    """The training step, compiled, channels last."""
    return _build(case, arrays, compiled=True, channels_last=True)
