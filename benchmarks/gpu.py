"""One outer step on a GPU beside the CPU of the same machine: time, memory, and how exact the meta-gradient is.

    python benchmarks/gpu.py [PART_OF_A_NAME]

Writes results/gpu.json. Without a GPU it measures the CPU alone and writes nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tfmeta

OUT = Path(__file__).resolve().parents[1] / "results" / "gpu.json"
MIB = 2**20


def conv4(n_way=5):
    return tfmeta.networks.conv4(n_way)


def tasks(n_query, k_shot=1, meta_batch_size=32, n_way=5):
    return {"n_way": n_way, "k_shot": k_shot, "n_query": n_query, "meta_batch_size": meta_batch_size}


SIXTY = tasks(5, meta_batch_size=2, n_way=60)
CASES = {
    "MAML 1 step, 5 queries": (lambda: tfmeta.MAML(conv4()), tasks(1)),
    "MAML 1 step, 75 queries": (lambda: tfmeta.MAML(conv4()), tasks(15)),
    "MAML 5 steps, 75 queries": (lambda: tfmeta.MAML(conv4(), inner_steps=5), tasks(15)),
    "MAML 5 steps, 75 queries, constant memory": (
        lambda: tfmeta.MAML(conv4(), inner_steps=5, gradient_mode="mixed"), tasks(15),
    ),
    "MAML++ 5 steps, 75 queries": (lambda: tfmeta.MAMLPlusPlus(conv4(), multi_step_loss=0), tasks(15)),
    "MetaSGD 1 step, 75 queries": (lambda: tfmeta.MetaSGD(conv4()), tasks(15)),
    "ANIL 5 steps, 75 queries": (lambda: tfmeta.ANIL(conv4(), inner_lr=0.1), tasks(15)),
    "Reptile 5 steps of 10": (
        lambda: tfmeta.Reptile(conv4(), inner_batch_size=10, eval_inner_batch_size=5), tasks(1, 10, 5),
    ),
    "ProtoNet 60-way": (lambda: tfmeta.PrototypicalNetwork(conv4(None)), SIXTY),
    "Matching 60-way": (lambda: tfmeta.MatchingNetwork(conv4(None)), SIXTY),
}  # fmt: skip
GROWING = {
    "MAML": lambda steps, mode: tfmeta.MAML(conv4(), inner_lr=0.1, inner_steps=steps, gradient_mode=mode),
    "MetaSGD": lambda steps, mode: tfmeta.MetaSGD(conv4(), inner_steps=steps, gradient_mode=mode),
    "MAML++": lambda steps, mode: tfmeta.MAMLPlusPlus(conv4(), inner_steps=steps, gradient_mode=mode),
}


def compiled(make, data, sizes, **options):
    """A learner whose train function has been traced, and an endless iterator over one meta-batch."""
    keras.utils.set_random_seed(0)
    learner = make()
    learner.compile(optimizer=keras.optimizers.Adam(1e-3), **options)
    learner.make_train_function()
    batch = next(iter(tfmeta.episode_dataset(data, **sizes, seed=0)))
    return learner, iter(tf.data.Dataset.from_tensors(batch).repeat())


def step_time(make, data, sizes, device, seconds=2.0, **options):
    """Milliseconds of a step, and seconds of the first one, in which it is traced."""
    keras.backend.clear_session()
    with tf.device(device):
        learner, batches = compiled(make, data, sizes, **options)
        clock = time.perf_counter()
        float(learner.train_function(batches)["loss"])
        trace = time.perf_counter() - clock
        learner.train_function(batches)
        done, clock = 0, time.perf_counter()
        while time.perf_counter() - clock < seconds:
            float(learner.train_function(batches)["loss"])
            done += 1
    return {"ms": round(1000 * (time.perf_counter() - clock) / done, 1), "trace_s": round(trace, 1)}


def peak_memory(make, data):
    """The largest use of GPU memory during a step, in MiB."""
    keras.backend.clear_session()
    with tf.device("GPU:0"):
        learner, batches = compiled(make, data, tasks(15))
        learner.train_function(batches)
        tf.config.experimental.reset_memory_stats("GPU:0")
        float(learner.train_function(batches)["loss"])
    return round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / MIB, 1)


def gradient(data, device, mode):
    keras.utils.set_random_seed(0)
    with tf.device(device):
        network = conv4()
        params = tfmeta.functional.values(network.trainable_variables)
        episode = tfmeta.sample_episode(data, n_way=5, k_shot=1, n_query=3, seed=0)
        inner = {"inner_lr": 0.4, "inner_steps": 3, "gradient_mode": mode}
        found = tf.function(
            lambda: tfmeta.functional.meta_gradient(network, params, episode, **inner).gradients, autograph=False
        )()
    return np.concatenate([np.ravel(g) for g in found])


def relative_errors(data):
    """Of meta-gradients, with TF32 (TensorFlow's default on such GPUs) and without."""
    reference, errors = gradient(data, "CPU:0", "nested"), {}
    for tf32 in (True, False):
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        for mode in ("nested", "mixed"):
            error = np.linalg.norm(gradient(data, "GPU:0", mode) - reference) / np.linalg.norm(reference)
            errors[f"{mode}, {'TF32' if tf32 else 'float32'}, against the CPU"] = float(f"{error:.2g}")
    tf.config.experimental.enable_tensor_float_32_execution(True)
    return errors


def main():
    """Measure what the command line names, all by default."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    data = tfmeta.datasets.load_omniglot().train
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    found = {"tf": tf.__version__, "cores": os.cpu_count(), "steps": {}}
    kinds = {"cpu": ("CPU:0", {})}
    if gpus:
        found["gpus"] = [tf.config.experimental.get_device_details(gpu)["device_name"] for gpu in gpus]
        found["gradients"] = relative_errors(data)
        kinds |= {"gpu": ("GPU:0", {}), "xla": ("GPU:0", {"jit_compile": True})}
    for name, (make, sizes) in CASES.items():
        if wanted in name:
            shown = {k: v for k, v in kinds.items() if not (k == "xla" and sizes is SIXTY)}
            found["steps"][name] = {k: step_time(make, data, sizes, d, **o) for k, (d, o) in shown.items()}
            print(name, found["steps"][name], flush=True)
    if gpus and not wanted:
        found["memory_MiB"] = {
            f"{name} {mode} {steps}": peak_memory(lambda m=make, s=steps, g=mode: m(s, g), data)
            for name, make in GROWING.items() for mode in ("nested", "mixed") for steps in (1, 5, 20)
        }  # fmt: skip
        OUT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
