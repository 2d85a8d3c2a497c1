"""Whether all implementations compute the same thing: `python benchmarks/check.py`. This is the proof of fairness.

For small cases of every kind, each implementation runs three outer steps from the same weights on the same
meta-batch, in a process of its own. Its losses must agree with those of a float64 reference, and so must its
meta-gradient where the implementation gives one: losses alone would not notice a small error of the second
derivative, and two frameworks have one (see README.md).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.cases import Case
from benchmarks.implementations import IMPLEMENTATIONS, implementations_for

ROOT = Path(__file__).resolve().parents[1]
STEPS = 3
LOSS_TOLERANCE = 1e-3
GRADIENT_TOLERANCE = 2e-3  # float32; wrong second derivatives are 1e-2 and more

CASES = [
    Case("check_stride", filters=16, tasks=4, n_query=2),
    Case("check_stride_steps", filters=16, tasks=3, n_query=2, inner_steps=3, inner_lr=0.1),
    Case("check_pool", filters=16, tasks=3, n_query=2, downsample="pool", inner_steps=2, inner_lr=0.1),
    Case("check_protonet_stride", kind="protonet", filters=16, n_way=10, n_query=3, tasks=1),
    Case("check_protonet_pool", kind="protonet", filters=16, n_way=10, n_query=3, tasks=1, downsample="pool"),
]
REFERENCE = {"maml": "torch_loop", "protonet": "torch_protonet"}


def run_worker(python, name, case, dtype="float32", gradient=True):
    """Losses and, if asked for, the meta-gradient of an implementation.

    Args:
        python: path of the interpreter.
        name: of the implementation.
        case: the case.
        dtype: "float32" or "float64".
        gradient: whether to ask for the meta-gradient.

    Returns:
        (losses, name -> array or None).

    Raises:
        RuntimeError: if the process fails, with the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gradient.npz"
        command = [python, ROOT / "benchmarks/worker.py", name, case.to_json(), "--check", str(STEPS)]
        command += ["--dtype", dtype] + (["--gradient", file] if gradient else [])
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"})
        if done.returncode:
            raise RuntimeError(f"the worker failed: {done.stderr.strip()[-2000:]} Received: implementation={name!r}")
        losses = json.loads(done.stdout.splitlines()[-1])["losses"]
        if not gradient:
            return losses, None
        with np.load(file) as arrays:
            return losses, {key: arrays[key] for key in arrays if key != "loss"}


def relative_error(gradient, reference):
    """Norm of the difference over norm of the reference, over all weights together."""
    square = sum(np.sum((gradient[key] - value) ** 2) for key, value in reference.items())
    return float(np.sqrt(square / sum(np.sum(value**2) for value in reference.values())))


def has_gradient(implementation):
    """Whether the module has `meta_gradient` (read from its source: it may need another Python to import)."""
    file = ROOT / (implementation.module.replace(".", "/") + ".py")
    return "def meta_gradient" in file.read_text(encoding="utf-8")


def main():
    """Compare everything; exit status 1 if something disagrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=ROOT / ".bench-venv/bin/python", help="Python with torch and jax")
    parser.add_argument("--only", action="append", metavar="NAME", choices=IMPLEMENTATIONS)
    args = parser.parse_args()

    wrong = 0
    for case in CASES:
        wanted, exact = run_worker(args.peer_python, REFERENCE[case.kind], case, "float64")
        print(f"{case.name}: losses {', '.join(f'{x:.5f}' for x in wanted)} ({REFERENCE[case.kind]}, float64)")
        for implementation in implementations_for(case):
            if args.only and implementation.name not in args.only:
                continue
            python = sys.executable if implementation.framework == "tensorflow" else args.peer_python
            try:
                losses, gradient = run_worker(python, implementation.name, case, gradient=has_gradient(implementation))
            except (RuntimeError, OSError) as error:
                wrong += 1
                print(f"  {implementation.name:30s} FAILED {str(error)[-300:]}")
                continue
            loss_error = float(np.max(np.abs(np.subtract(losses, wanted) / wanted)))
            gradient_error = relative_error(gradient, exact) if gradient else float("nan")
            good = loss_error <= LOSS_TOLERANCE and not gradient_error > GRADIENT_TOLERANCE
            wrong += not good
            print(
                f"  {implementation.name:30s} losses {loss_error:.1e}   meta-gradient {gradient_error:.1e}"
                f"   {'' if good else 'DIFFERS'}",
                flush=True,
            )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
