"""Trains MAML with the PyTorch loop and leaves its weights from time to time; `time_to_accuracy.py` starts it."""

import json
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from benchmarks.arrays import make_weights
from benchmarks.cases import Case
from benchmarks.peers import torch_loop, torch_net


def sample(rng, images, first, count, case):
    """A meta-batch of episodes as NumPy arrays, classes in order."""
    classes = np.stack([rng.choice(len(first), case.n_way, replace=False) for _ in range(case.tasks)])
    within = np.argsort(rng.random((case.tasks, case.n_way, count)), axis=-1)[..., : case.k_shot + case.n_query]
    chosen = images[first[classes][..., None] + within].astype(np.float32) / 255

    def flat(part):
        return np.ascontiguousarray(part.reshape(case.tasks, -1, *images.shape[1:]))

    def labels(per_class):
        return np.tile(np.repeat(np.arange(case.n_way, dtype=np.int32), per_class), (case.tasks, 1))

    return {
        "support_x": flat(chosen[:, :, : case.k_shot]), "support_y": labels(case.k_shot),
        "query_x": flat(chosen[:, :, case.k_shot :]), "query_y": labels(case.n_query),
    }  # fmt: skip


def main():
    """Train until the last mark or the last step, whichever comes first."""
    options = json.loads(sys.argv[1])
    case, folder, marks = Case(**options["case"]), Path(options["folder"]), list(options["marks"])
    with np.load(folder / "start.npz", allow_pickle=False) as start:
        images, labels = start["images"], start["labels"]
        names = list(make_weights(case))
        weights = {name: start[f"w{i:02d}"] for i, name in enumerate(names)}
    counts = np.bincount(labels)
    if len(set(counts)) != 1:
        raise ValueError(f"classes must have as many images each. Received: {sorted(set(counts))}")
    first = np.cumsum(counts) - counts
    model = torch_net.make_model(case, {"weights": weights})
    optimizer = torch_net.make_adam(model.parameters())
    rng = np.random.default_rng(0)
    clock = time.perf_counter()
    for step in range(options["steps"]):
        optimizer.param_groups[0]["lr"] = (
            options["learning_rate"] * 0.5 * (1 + math.cos(math.pi * step / options["steps"]))
        )
        batch = torch_net.make_batch(case, {"batch": sample(rng, images, first, counts[0], case)})
        optimizer.zero_grad()
        torch_loop.backward(case, model, batch)
        optimizer.step()
        seconds = time.perf_counter() - clock
        if seconds >= marks[0] or step + 1 == options["steps"]:
            parameters = dict(model.named_parameters())
            ours = torch_net.named_gradient(case, {"weights": weights}, parameters)  # names and layout are the same
            values = {f"w{i:02d}": ours[name] for i, name in enumerate(names)}
            np.savez(folder / f"mark-{step + 1:06d}.npz", seconds=seconds, step=step + 1, **values)
            marks = [mark for mark in marks if mark > seconds]
            clock = time.perf_counter() - seconds
            if not marks:
                return


if __name__ == "__main__":
    main()
