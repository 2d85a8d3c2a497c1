"""What surrounds the step: `python benchmarks/overhead.py` writes results/overhead.json.

`fit` with progress bar, metrics and sampling against the bare compiled step; episodes sampled a second; evaluation;
tracing at several sizes; what `import tfmeta` adds to `import tensorflow`. Comparisons take turns; medians are given.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import ROOT, machine_facts, quiet_seconds, write_json


def import_times(rounds):
    """Seconds to import, in new processes that take turns."""
    programs = {
        "tensorflow": "import tensorflow",
        "with_keras": "import tensorflow, keras",
        "with_tfmeta": "import tensorflow, keras, tfmeta",
    }
    taken = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    added = {f"added_to_{name}": medians["with_tfmeta"] - medians[name] for name in ("tensorflow", "with_keras")}
    return medians | added | {"rounds_s": taken}


def _compiled(learner):
    import keras

    learner.compile(optimizer=keras.optimizers.Adam(1e-3))
    return learner


def fit_overhead(data, rounds, steps):
    """Seconds per step of an epoch of `fit` and of the bare train function on one meta-batch, in turns."""
    import tensorflow as tf

    import tfmeta

    learner = _compiled(tfmeta.MAML(tfmeta.networks.conv4(5), inner_steps=1))
    stream = tfmeta.episode_dataset(data, n_way=5, k_shot=1, n_query=1, meta_batch_size=32, seed=0)
    one = next(iter(stream))
    repeated = iter(tf.data.Dataset.from_tensors(one).repeat())
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        learner.fit(stream, steps_per_epoch=steps)

    def fit():
        with contextlib.redirect_stdout(screen):
            learner.fit(stream, steps_per_epoch=steps)

    def bare():
        for _ in range(steps):
            learner.train_function(repeated)

    taken, others = {"fit": [], "bare": []}, []
    for _ in range(rounds):
        for name, work in (("fit", fit), ("bare", bare)):
            seconds, share = quiet_seconds(work)
            taken[name].append(seconds / steps)
            others.append(share)
    ratios = [a / b for a, b in zip(taken["fit"], taken["bare"], strict=True)]
    return {"steps": steps, "rounds_s": taken, "others": others, "ratio": statistics.median(ratios)}


def sampling_rate(data, meta_batches):
    """5-way 1-shot episodes with 15 queries, drawn a second."""
    import tfmeta

    stream = iter(tfmeta.episode_dataset(data, n_way=5, k_shot=1, n_query=15, meta_batch_size=32, seed=0))
    next(stream)
    start = time.perf_counter()
    for _ in range(meta_batches):
        next(stream)
    return 32 * meta_batches / (time.perf_counter() - start)


def evaluation_times(data):
    """Seconds for 600 episodes, 15 queries a class: the first call, with tracing, and a second one."""
    import tfmeta

    learners = {
        "MAML, 3 steps": tfmeta.MAML(tfmeta.networks.conv4(5), inner_steps=3),
        "prototypical network": tfmeta.PrototypicalNetwork(tfmeta.networks.conv4()),
        "prototypical network, max-pooling": tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(downsample="pool")),
    }
    found = {}
    for name, learner in learners.items():
        found[name] = []
        for seed in (0, 1):
            start = time.perf_counter()
            tfmeta.evaluate(learner, data, n_way=5, k_shot=1, episodes=600, seed=seed)
            found[name].append(time.perf_counter() - start)
    return found


def tracing_times(data):
    """Seconds of the first train step at several sizes, both gradient modes."""
    import tfmeta

    found = {}
    for mode in ("nested", "mixed"):
        for meta_batch_size, inner_steps in ((4, 1), (32, 1), (128, 1), (4, 5), (4, 20), (32, 20)):
            network = tfmeta.networks.conv4(5)
            learner = _compiled(tfmeta.MAML(network, inner_lr=0.05, inner_steps=inner_steps, gradient_mode=mode))
            stream = tfmeta.episode_dataset(
                data, n_way=5, k_shot=1, n_query=1, meta_batch_size=meta_batch_size, seed=0
            )  # fmt: skip
            episodes = next(iter(stream))
            start = time.perf_counter()
            learner.train_on_batch(episodes)
            found[f"{mode}, meta-batch {meta_batch_size}, inner steps {inner_steps}"] = time.perf_counter() - start
    return found


def main():
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="once and briefly, on generated glyphs")
    parser.add_argument("--only-fit", action="store_true", help="measure that again, and keep the rest of the file")
    parser.add_argument("--out", type=Path, default=ROOT / "results/overhead.json")
    args = parser.parse_args()
    rounds, steps = (1, 5) if args.quick else (7, 100)

    content = json.loads(args.out.read_text(encoding="utf-8")) if args.only_fit and args.out.exists() else {}
    content |= {"machine": machine_facts(), "command": "python benchmarks/overhead.py"}
    if not args.only_fit:
        content["import_s"] = import_times(1 if args.quick else 7)
    from tfmeta import datasets

    data = datasets.load_glyphs(0).train if args.quick else datasets.load_omniglot().train
    content["fit"] = fit_overhead(data, rounds, steps)
    if args.only_fit:
        write_json(args.out, content)
        print(content["fit"])
        return
    content["episodes_per_second"] = sampling_rate(data, 5 if args.quick else 200)
    if not args.quick:
        content["evaluation_s"] = evaluation_times(data)
        content["first_step_s"] = tracing_times(data)
    write_json(args.out, content)
    for name, value in content.items():
        print(name, value)


if __name__ == "__main__":
    main()
