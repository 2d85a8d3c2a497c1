"""Operations of a step, the machine's matmul rate, and the fraction reached: `python benchmarks/roofline.py`.

Operations are floating-point multiplications and additions of convolutions and dense layers, counted as the dense
products they are (a tap on the padding counts: every implementation here multiplies it). Everything else (batch
norm, ReLU, pooling, softmax, Adam) is left out: few operations, but many bytes, which is what the missing part of
the rate goes to.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.arrays import N_BLOCKS, embedding_size
from benchmarks.cases import IMAGE_SHAPE
from benchmarks.machine import ROOT, machine_facts, write_json

SIZES = (1024, 2048, 4096)


@dataclasses.dataclass(frozen=True)
class Forward:
    """Operations of one image's forward pass.

    Attributes:
        first: of the first layer, whose input needs no gradient.
        rest: of all other layers.
    """

    first: int
    rest: int


def forward_operations(case):
    """Operations of conv4's forward pass on one image.

    A 3 x 3 convolution to h x w outputs: 2 * h * w * 9 * channels_in * channels_out, the 2 for multiply and add.
    A dense layer: 2 * inputs * outputs.

    Args:
        case: the case.

    Returns:
        `Forward`.
    """
    side, channels, layers = IMAGE_SHAPE[0], IMAGE_SHAPE[-1], []
    for _ in range(N_BLOCKS):
        out = -(-side // 2) if case.downsample == "stride" else side
        layers.append(2 * out * out * 9 * channels * case.filters)
        side, channels = out if case.downsample == "stride" else side // 2, case.filters
    if case.kind == "maml":
        layers.append(2 * case.filters * case.n_way)
    return Forward(layers[0], sum(layers[1:]))


def protonet_operations(case):
    """Operations of one ProtoNet step: forward and backward over all images of the episode, and the distances.

    Backward is two products per layer, the gradient of the weights and that of the input: 3 forwards together. The
    first layer's input needs none: 2 forwards there. The product of queries and prototypes likewise counts 3 times.
    """
    forward = forward_operations(case)
    images = case.n_support_images + case.n_query_images
    distances = 2 * case.n_query_images * case.n_way * embedding_size(case)
    return case.tasks * (images * (2 * forward.first + 3 * forward.rest) + 3 * distances)


def maml_operations(case, gradient_mode="nested"):
    """Operations of one second-order MAML step.

    Query: forward and backward, 2 forwards of the first layer and 3 of every other. A support image, per inner step:

    * nested tapes: the inner gradient is 3 products a layer (forward, weights' gradient, input's gradient), 2 in the
      first layer. Reversing a product of two quantities is two products, one for each, so the outer backward adds 6;
      in the first layer, where the image is a constant, 1 for each of the 2 products. Together 9, and 4.
    * mixed mode: the inner gradient once on the way forward (3; 2). On the way back it is computed again together
      with its derivative in one direction: 3 + 2 * 3; in the first layer 2 + 2. Together 12, and 6.

    Args:
        case: the case.
        gradient_mode: "nested" or "mixed".

    Returns:
        Operations.
    """
    forward = forward_operations(case)
    first, rest = {"nested": (4, 9), "mixed": (6, 12)}[gradient_mode]
    support = case.inner_steps * case.n_support_images * (first * forward.first + rest * forward.rest)
    query = case.n_query_images * (2 * forward.first + 3 * forward.rest)
    return case.tasks * (support + query)


def operations(case, gradient_mode="nested"):
    """Operations of one step of a case of any kind."""
    return protonet_operations(case) if case.kind == "protonet" else maml_operations(case, gradient_mode)


# Run in processes of their own: two frameworks' thread pools in one process disturb each other.
_RATE = """
import sys, time
framework, sizes = sys.argv[1], [int(n) for n in sys.argv[2:]]
if framework == "numpy":
    import numpy as np
    make, multiply, done = lambda n: np.ones((n, n), np.float32), np.matmul, lambda x: x[0, 0]
elif framework == "tensorflow":
    import tensorflow as tf
    make, multiply, done = lambda n: tf.ones((n, n)), tf.matmul, lambda x: x[0, 0].numpy()
else:
    import torch
    make, multiply, done = torch.ones, torch.matmul, lambda x: x[0, 0].item()
best = 0
for n in sizes:
    a = make(n) if framework != "torch" else make(n, n)
    done(multiply(a, a))
    for _ in range(5):
        start = time.perf_counter()
        done(multiply(a, a))
        best = max(best, 2 * n**3 / (time.perf_counter() - start))
print(best)
"""


def matmul_rate(framework, python=sys.executable, sizes=SIZES):
    """The machine's float32 matrix-product rate with all cores, in operations per second.

    Args:
        framework: "numpy", "tensorflow" or "torch".
        python: interpreter that has it.
        sizes: sides of the square matrices; the best of five products of any size counts.

    Returns:
        Operations per second, or None where the framework is missing.
    """
    done = subprocess.run(
        [str(python), "-c", _RATE, framework, *map(str, sizes)],
        capture_output=True,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def best_rates(found, earlier, same_machine):
    """What the machine can do is the best it has shown: a slow minute must not raise the fractions.

    Args:
        found: operations per second for each framework, None where it is missing.
        earlier: the results' `roofline` section, perhaps empty.
        same_machine: whether the results were measured here.

    Returns:
        Operations per second for each framework that is there.
    """
    known = earlier.get("matmul_per_s", {}) if same_machine else {}
    return {f: max(rate, known.get(f, 0)) for f, rate in found.items() if rate}


def main():
    """Measure the rate, count, and add a `roofline` section to the results."""
    from benchmarks.cases import Case

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "results/benchmarks.json")
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".bench-venv/bin/python")
    args = parser.parse_args()
    pythons = {"numpy": sys.executable, "tensorflow": sys.executable, "torch": args.peer_python}
    rates = {f: matmul_rate(f, p) for f, p in pythons.items() if Path(p).exists()}
    content = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {"results": []}
    rates = best_rates(rates, content.get("roofline", {}), same_machine=content.get("machine") == machine_facts())
    best = max(rates.values())
    print("float32 matmul: " + ", ".join(f"{f} {rate / 1e9:.0f} GFLOP/s" for f, rate in rates.items()))

    steps = {}
    for result in content["results"]:
        case = Case(**result["case"])
        for name, found in result["implementations"].items():
            if "median_s" not in found:
                continue
            count = operations(case, "mixed" if name == "tfmeta_mixed" else "nested")
            fraction = count / found["median_s"] / best
            steps.setdefault(case.name, {})[name] = {"operations": count, "fraction": fraction}
            if name.startswith("tfmeta"):
                print(f"{case.name:28s} {name:16s} {count / 1e9:8.1f} GFLOP, {100 * fraction:3.0f} % of the rate")
    content["roofline"] = {"matmul_per_s": rates, "measured": time.strftime("%Y-%m-%d"), "steps": steps}
    write_json(args.out, content)


if __name__ == "__main__":
    main()
