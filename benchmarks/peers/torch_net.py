"""conv4 as an `nn.Module`, its weights and the meta-batch: shared by the PyTorch peers."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (everybody's name for it)

from benchmarks.cases import ADAM_EPSILON, NORM_EPSILON, OUTER_LR


class VmapNorm(nn.BatchNorm2d):
    """Batch norm for a second derivative under `torch.func.vmap`: scale and offset applied outside `F.batch_norm`.

    With them inside, PyTorch 2.13 returns a wrong second-order gradient under `vmap` (10 % off on a small layer in
    float64, without an error); `torch.func.grad` alone and autograd are right.
    """

    def forward(self, x):
        """Normalise every channel of [images, channels, height, width]."""
        x = F.batch_norm(x, None, None, None, None, training=True, eps=self.eps)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class Conv4(nn.Module):
    """Four blocks of convolution, batch norm (always batch statistics), ReLU; linear head for MAML.

    Args:
        case: the case.
        norm: the batch-norm layer's class.
    """

    def __init__(self, case, norm=nn.BatchNorm2d):
        super().__init__()
        self.pool = case.downsample == "pool"
        self.maml = case.kind == "maml"
        widths = [1] + 4 * [case.filters]
        self.conv = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=1 if self.pool else 2, padding=1, bias=case.conv_bias)
            for a, b in itertools.pairwise(widths)
        )
        self.norm = nn.ModuleList(norm(case.filters, eps=NORM_EPSILON, track_running_stats=False) for _ in range(4))
        if self.maml:
            self.head = nn.Linear(case.filters, case.n_way)

    def forward(self, x):
        """Logits [images, n_way] (MAML) or embeddings [images, features] (ProtoNet) of images in NCHW."""
        for conv, norm in zip(self.conv, self.norm, strict=True):
            x = F.relu(norm(conv(x)))
            if self.pool:
                x = F.max_pool2d(x, 2)
        return self.head(x.mean((2, 3))) if self.maml else x.flatten(1)


# PyTorch pads a stride-2 convolution of an even side before the image, TensorFlow after it. The two are mirror
# images of each other, so mirrored kernels on mirrored pictures make `padding=1`, which a PyTorch user would
# write, the same network exactly: neither the mean over space nor a distance notices the mirror.
def _mirrored(case):
    return case.downsample == "stride"


def _to_torch(name, value, case):
    """An array of ours as PyTorch lays it out (and the gradient of one, back, by `_from_torch`)."""
    if value.ndim == 4:
        value = value.transpose(3, 2, 0, 1)
        value = value[:, :, ::-1, ::-1] if _mirrored(case) else value
    elif value.ndim == 2:
        value = value.T
    return torch.from_numpy(np.ascontiguousarray(value))


def _from_torch(value, case):
    value = value.detach().numpy()
    if value.ndim == 4:
        value = value[:, :, ::-1, ::-1] if _mirrored(case) else value
        return value.transpose(2, 3, 1, 0)
    return value.T if value.ndim == 2 else value


def _torch_name(name):
    """PyTorch's name for ours: conv.0.weight for conv0/kernel, head.bias for head/bias."""
    layer, kind = name.split("/")
    layer = layer if layer == "head" else f"{layer[:-1]}.{layer[-1]}"
    return layer + {"kernel": ".weight", "gamma": ".weight", "bias": ".bias", "beta": ".bias"}[kind]


def make_model(case, arrays, norm=nn.BatchNorm2d):
    """The module in training mode, holding the given weights."""
    weights = {_torch_name(name): _to_torch(name, value, case) for name, value in arrays["weights"].items()}
    model = Conv4(case, norm).to(next(iter(weights.values())).dtype).train()
    model.load_state_dict(weights)
    return model


def make_batch(case, arrays):
    """support_x, support_y, query_x, query_y; images [tasks, images, 1, 28, 28]."""

    def images(x):
        x = x.transpose(0, 1, 4, 2, 3)
        return torch.from_numpy(np.ascontiguousarray(x[..., ::-1, ::-1] if _mirrored(case) else x))

    batch = arrays["batch"]
    return (
        images(batch["support_x"]),
        torch.from_numpy(batch["support_y"]).long(),
        images(batch["query_x"]),
        torch.from_numpy(batch["query_y"]).long(),
    )


def make_adam(params):
    """The outer optimizer."""
    return torch.optim.Adam(params, lr=OUTER_LR, eps=ADAM_EPSILON)


def named_gradient(case, arrays, gradients):
    """Gradients keyed by PyTorch's names, as name -> array in our names and layout."""
    return {name: _from_torch(gradients[_torch_name(name)], case) for name in arrays["weights"]}
