"""One implementation on one case in a process of its own: `python benchmarks/worker.py IMPLEMENTATION CASE_JSON`.

Prints one line of JSON per round. The first round follows at once; with `--hold` each further one waits for a line
on standard input, so that `run.py` can take turns between processes that have all finished compiling.
"""

import argparse
import importlib
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.arrays import make_arrays
from benchmarks.cases import Case
from benchmarks.implementations import IMPLEMENTATIONS

LONG_S = 5.0  # a step of this length is not repeated within a round


def peak_memory_mb():
    """Peak resident memory of this process in MB (1e6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6  # bytes on macOS, KiB elsewhere


def framework_facts():
    """Versions of what has been imported, and the number of threads each framework uses."""
    names = ("tensorflow", "keras", "tfmeta", "torch", "higher", "jax", "jaxlib", "optax", "numpy")
    versions = {n: getattr(sys.modules[n], "__version__", "unknown") for n in names if n in sys.modules}
    threads = {"cores": os.cpu_count()}
    if "torch" in sys.modules:
        threads["torch"] = sys.modules["torch"].get_num_threads()
    if "tensorflow" in sys.modules:
        threading = sys.modules["tensorflow"].config.threading
        # 0 is TensorFlow's word for "one per core".
        threads["tensorflow_intra"] = threading.get_intra_op_parallelism_threads()
        threads["tensorflow_inter"] = threading.get_inter_op_parallelism_threads()
    return {"python": platform.python_version()} | versions, threads


def timed_steps(step, seconds, at_least=3, at_most=200):
    """Seconds of each of several steps: as many as fit in `seconds`, between the two bounds; one is enough if long."""
    taken = []
    while len(taken) < at_least or (sum(taken) < seconds and len(taken) < at_most):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
        if taken[-1] > LONG_S:
            break
    return taken


def main():
    """Build, run the first call, warm up, then time; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("implementation", choices=IMPLEMENTATIONS)
    parser.add_argument("case", help="a case as JSON, see cases.py")
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on the steps of one round")
    parser.add_argument("--hold", action="store_true", help="a further round for every line on standard input")
    parser.add_argument("--check", type=int, default=0, metavar="STEPS", help="print the losses of some steps instead")
    parser.add_argument("--gradient", metavar="NPZ", help="with --check, also write the meta-gradient there")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    args = parser.parse_args()

    implementation = IMPLEMENTATIONS[args.implementation]
    case = Case.from_json(args.case).replace(gradient_mode=implementation.gradient_mode)
    module = importlib.import_module(implementation.module)
    build = getattr(module, implementation.function)
    arrays = make_arrays(case, np.dtype(args.dtype))

    if args.check:
        if args.gradient:
            loss, gradient = module.meta_gradient(case, arrays)
            np.savez(args.gradient, loss=loss, **gradient)
        step = build(case, arrays)
        print(json.dumps({"losses": [step() for _ in range(args.check)]}), flush=True)
        return

    baseline = peak_memory_mb()
    start = time.perf_counter()
    step = build(case, arrays)
    built = time.perf_counter()
    step()
    first = time.perf_counter()
    timed_steps(step, args.seconds / 4, at_least=2)  # the warm-up
    versions, threads = framework_facts()
    result = {
        "implementation": args.implementation,
        "build_s": built - start,
        "first_call_s": first - built,
        "memory_before_mb": baseline,
        "versions": versions,
        "threads": threads,
    }
    while True:
        cpu = time.process_time()  # of all threads
        taken = timed_steps(step, args.seconds)
        result |= {"steps_s": taken, "median_s": statistics.median(taken), "cpu_s": time.process_time() - cpu}
        result["peak_memory_mb"] = peak_memory_mb()
        print(json.dumps(result), flush=True)
        if not args.hold or not sys.stdin.readline():
            return


if __name__ == "__main__":
    main()
