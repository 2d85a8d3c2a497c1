"""Accuracy against wall-clock time on this machine: `python benchmarks/time_to_accuracy.py [--only NAME]`.

Omniglot, 5-way 1-shot, Vinyals' split. Each method trains in a process of its own. From time to time its clock is
stopped and it is judged on test characters; nothing is chosen by these scores, and the last one, on 1000 episodes, is
the result. The clock starts before the first step, so it includes tracing; loading the data is not counted. The
PyTorch loop trains the same network from the same weights with the same settings for as long as `--torch-minutes`
says; its weights are judged by tfmeta.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.cases import Case
from benchmarks.machine import ROOT, machine_facts, write_json

MARKS = [15, 30, 60, *range(120, 1260, 60)]  # seconds of training at which a method is judged
EPISODES, FINAL_EPISODES, SEED = 200, 1000, 30_000


@dataclasses.dataclass(frozen=True)
class Training:
    """Settings of one curve.

    Attributes:
        label: in the picture.
        kind: "maml" or "protonet".
        steps: outer steps; the rate falls to 0 along a cosine.
        learning_rate: Adam's first rate.
        tasks: episodes in a step.
        n_way: classes in a training episode.
        n_query: queries a class in training.
        inner_lr: alpha (MAML; one inner step in training, three at test).
        filters: of conv4.
        downsample: "stride" or "pool".
        target: accuracy that is asked for, within `minutes`.
        minutes: see `target`.
    """

    label: str
    kind: str
    steps: int
    learning_rate: float
    tasks: int
    n_way: int
    n_query: int
    target: float
    minutes: float
    inner_lr: float = 1.0
    filters: int = 64
    downsample: str = "stride"


TRAININGS = {
    "protonet": Training(
        "tfmeta, prototypical network", "protonet", 4000, 3e-3, tasks=2, n_way=60, n_query=5, target=0.98,
        minutes=10,
    ),
    "maml": Training(
        "tfmeta, MAML", "maml", 40_000, 2e-3, tasks=4, n_way=5, n_query=5, target=0.97, minutes=20,
    ),
}  # fmt: skip


def make_learner(training, initial=None):
    """The compiled learner, its weights set to `initial` if given."""
    import keras

    import tfmeta

    keras.utils.set_random_seed(0)
    network = {"filters": training.filters, "downsample": training.downsample}
    if training.kind == "maml":
        learner = tfmeta.MAML(
            tfmeta.networks.conv4(training.n_way, **network),
            inner_lr=training.inner_lr, inner_steps=1, eval_inner_steps=3,
        )  # fmt: skip
    else:
        learner = tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(**network))
    if initial is not None:
        for variable, value in zip(learner.trainable_variables, initial, strict=True):
            variable.assign(value)
    schedule = keras.optimizers.schedules.CosineDecay(training.learning_rate, training.steps)
    learner.compile(optimizer=keras.optimizers.Adam(schedule))
    return learner


def judge(learner, test, episodes):
    """Accuracy on test characters, as a dictionary."""
    import tfmeta

    return tfmeta.evaluate(
        learner, test, n_way=5, k_shot=1, n_query=15, episodes=episodes, seed=SEED
    ).to_dict()  # fmt: skip


def train_ours(training):
    """Train with `fit`, stopping the clock for each judgement. Returns the curve and the final score."""
    import keras

    import tfmeta

    omniglot = tfmeta.datasets.load_omniglot()
    learner = make_learner(training)
    curve = []

    class Judge(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.start, self.marks = time.perf_counter(), list(MARKS)

        def on_train_batch_end(self, batch, logs=None):
            seconds = time.perf_counter() - self.start
            if self.marks and seconds >= self.marks[0]:
                self.marks = [mark for mark in self.marks if mark > seconds]
                score = judge(learner, omniglot.test, EPISODES)
                print(f"  {seconds:6.0f} s, step {batch + 1}: {100 * score['accuracy']:.2f} %", flush=True)
                curve.append({"seconds": seconds, "step": batch + 1, **score})
                self.start += time.perf_counter() - self.start - seconds

        def on_train_end(self, logs=None):
            self.seconds = time.perf_counter() - self.start

    watch = Judge()
    stream = tfmeta.episode_dataset(
        omniglot.train, n_way=training.n_way, k_shot=1, n_query=training.n_query, meta_batch_size=training.tasks, seed=0
    )
    learner.fit(stream, steps_per_epoch=training.steps, verbose=0, callbacks=[watch])
    score = judge(learner, omniglot.test, FINAL_EPISODES)
    curve.append({"seconds": watch.seconds, "step": training.steps, **score})
    return curve


def train_torch(training, python, minutes):
    """Let PyTorch's loop train; judge the weights that it leaves from time to time."""
    import tfmeta

    omniglot = tfmeta.datasets.load_omniglot()
    learner = make_learner(training)
    case = Case("train", n_query=training.n_query, tasks=training.tasks, inner_lr=training.inner_lr)
    train = omniglot.train
    with tempfile.TemporaryDirectory() as folder:
        initial = {f"w{i:02d}": v.numpy() for i, v in enumerate(learner.trainable_variables)}
        np.savez(Path(folder) / "start.npz", images=train.images, labels=train.labels, **initial)
        options = {"case": dataclasses.asdict(case), "steps": training.steps, "learning_rate": training.learning_rate}
        options |= {"marks": [mark for mark in MARKS if mark <= 60 * minutes], "folder": folder}
        subprocess.run([python, ROOT / "benchmarks/peers/torch_train.py", json.dumps(options)], check=True)
        curve = []
        for path in sorted(Path(folder).glob("mark-*.npz")):
            with np.load(path, allow_pickle=False) as found:
                for i, variable in enumerate(learner.trainable_variables):
                    variable.assign(found[f"w{i:02d}"])
                at = {"seconds": float(found["seconds"]), "step": int(found["step"])}
            score = judge(learner, omniglot.test, EPISODES)
            print(f"  {at['seconds']:6.0f} s, step {at['step']}: {100 * score['accuracy']:.2f} %", flush=True)
            curve.append({**at, **score})
    return curve


def draw(content, path):
    """Accuracy against minutes of training, with 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    styles = {"protonet": ("#009E73", "s"), "maml": ("#0072B2", "o"), "torch": ("#D55E00", "^")}
    with plt.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
        for name, (colour, marker) in styles.items():
            if name not in content["curves"]:
                continue
            curve = content["curves"][name]["curve"]
            axes.errorbar(
                [point["seconds"] / 60 for point in curve], [100 * point["accuracy"] for point in curve],
                [100 * point["interval"] for point in curve], color=colour, marker=marker, markersize=3.5, capsize=2,
                linewidth=1.2, label=content["curves"][name]["label"],
            )  # fmt: skip
        axes.set_xlabel("minutes of training")
        axes.set_ylabel("accuracy on test characters, %")
        axes.set_title("Omniglot, 5-way 1-shot, on two CPU cores (bars: 95 % interval)", fontsize=8, loc="left")
        axes.set_ylim(80, 100)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", frameon=False)
        temporary = path.with_name(f".writing-{path.name}")
        figure.savefig(temporary, dpi=130)
        os.replace(temporary, path)
        plt.close(figure)


def main():
    """Train what is asked for, one method after another, and write results after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[*TRAININGS, "torch"], action="append", help="a curve; repeat")
    parser.add_argument("--here", choices=[*TRAININGS, "torch"], help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--out", type=Path, default=ROOT / "results/time_to_accuracy.json")
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".bench-venv/bin/python")
    parser.add_argument("--torch-minutes", type=float, default=8.0)
    args = parser.parse_args()
    if args.here:
        training = TRAININGS["maml" if args.here == "torch" else args.here]
        label = training.label
        if args.here == "torch":
            label = "PyTorch loop, MAML, same settings"
            curve = train_torch(training, args.peer_python, args.torch_minutes)
        else:
            curve = train_ours(training)
        content = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {"curves": {}}
        content |= {"machine": machine_facts(), "command": "python benchmarks/time_to_accuracy.py"}
        content["curves"][args.here] = {"label": label, "settings": dataclasses.asdict(training), "curve": curve}
        write_json(args.out, content)
        draw(content, args.out.with_suffix(".png"))
        return
    for name in args.only or [*TRAININGS, "torch"]:
        print(name, flush=True)
        same = [option for pair in (("--out", args.out), ("--peer-python", args.peer_python),
                                    ("--torch-minutes", args.torch_minutes)) for option in map(str, pair)]  # fmt: skip
        subprocess.run([sys.executable, __file__, "--here", name, *same], check=True)


if __name__ == "__main__":
    main()
