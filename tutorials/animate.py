"""Draw the animation of the README: MAML becomes one sine wave after the other, in ten gradient steps each.

    python tutorials/animate.py            # trains for a few minutes, writes tutorials/adaptation.gif

Left: the network's curve moves from its starting point (grey, dashed) to the task whose ten points it is given. Right:
the error on the rest of the curve, for MAML and for a network trained on all tasks jointly.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib
import numpy as np
import tensorflow as tf
import tfmeta
from PIL import Image
from tfmeta.plotting import BEFORE, METHOD_COLOURS

matplotlib.use("Agg")
import matplotlib.pyplot as plt

STEPS, INNER_LR, BETWEEN = (
    10,
    0.01,
    4,
)  # inner steps; alpha; frames from one step to the next
TASKS = ((4.0, 0.4), (2.2, 2.6), (4.8, 1.6))  # amplitude and phase
X = np.linspace(-5, 5, 201, dtype=np.float32)[:, None]


def train(inner_steps: int, outer_steps: int) -> keras.Model:
    """A network meta-trained with one inner step, or jointly with none."""
    keras.utils.set_random_seed(0)
    maml = tfmeta.MAML(
        tfmeta.networks.mlp(), inner_lr=INNER_LR, inner_steps=inner_steps
    )
    maml.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(1e-3, outer_steps)
        )
    )
    stream = tfmeta.datasets.sinusoid_episodes(
        k_shot=10, n_query=10, meta_batch_size=16, seed=0
    )
    maml.fit(stream, steps_per_epoch=outer_steps, verbose=0)
    return maml.network


def squared_error(targets, outputs):
    """Mean squared error of a set of points."""
    return tf.reduce_mean((outputs - targets) ** 2)


def path(
    network: keras.Model, support_x, support_y, inner_lr: float
) -> np.ndarray:
    """Curves `[STEPS + 1, len(X)]` after 0, 1, ... inner steps."""
    params = tfmeta.functional.values(network.trainable_variables)
    curves = []
    for _ in range(STEPS + 1):
        curves.append(
            tfmeta.functional.forward(network, params, X).numpy()[:, 0]
        )
        params = tfmeta.functional.adapt(
            network,
            params,
            support_x,
            support_y,
            inner_lr=inner_lr,
            inner_steps=1,
            loss=squared_error,
        )
    return np.stack(curves)


def between(values: np.ndarray, moment: float) -> np.ndarray:
    """Values at a moment between two inner steps, so that the eye can follow."""
    low = min(int(moment), len(values) - 1)
    high = min(low + 1, len(values) - 1)
    part = moment - low
    part = part * part * (3 - 2 * part)  # slow, fast, slow
    return (1 - part) * values[low] + part * values[high]


def draw(moment: float, truth, support, curves, errors) -> Image.Image:
    """One frame."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.4, 3.1), width_ratios=(1.55, 1), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.12)
    left.plot(
        X, truth, color="black", linewidth=1, alpha=0.45, label="the task"
    )
    left.plot(
        X,
        curves["MAML"][0],
        "--",
        color=BEFORE,
        linewidth=1.6,
        label="before adaptation",
    )
    left.plot(
        X,
        between(curves["joint training"], moment),
        color=METHOD_COLOURS["joint training"],
        linewidth=1.6,
        label="joint training",
    )
    left.plot(
        X,
        between(curves["MAML"], moment),
        color=METHOD_COLOURS["MAML"],
        linewidth=3,
        label="MAML",
    )
    left.plot(
        *support, "o", color="black", markersize=6, label="10 points given"
    )
    left.set(
        xlim=(-5, 5),
        ylim=(-6.6, 8.4),
        xlabel="x",
        ylabel="y",
        yticks=(-5, 0, 5),
    )
    left.legend(
        frameon=False,
        loc="upper center",
        ncols=3,
        fontsize=8,
        columnspacing=1.2,
        handlelength=1.6,
    )
    left.set_title(f"gradient step {int(moment)} of {STEPS}", fontsize=11)
    moments = np.arange(0, moment + 1e-9, 1 / BETWEEN)
    for name, values in errors.items():
        colour = METHOD_COLOURS[name]
        line = [between(values, m) for m in moments]
        right.plot(moments, line, color=colour, linewidth=2.4, label=name)
        right.plot(moments[-1], line[-1], "o", color=colour, markersize=6)
    top = 1.4 * max(values.max() for values in errors.values())
    right.set(
        xlim=(-0.3, STEPS + 0.3),
        ylim=(0, top),
        xlabel="gradient step",
        ylabel="mean squared error",
    )
    right.set_xticks(range(0, STEPS + 1, 2))
    right.legend(frameon=False, loc="upper right", fontsize=8.5)
    right.set_title("error on the whole curve", fontsize=11)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=90)
    plt.close(figure)
    return Image.open(picture).convert("RGB")


def main() -> int:
    """Train, draw, write."""
    outer_steps = 200 if os.environ.get("TFMETA_QUICK") == "1" else 15000
    networks = {
        "MAML": (train(1, outer_steps), INNER_LR),
        "joint training": (train(0, outer_steps), 0.003),
    }
    frames, durations = [], []
    for number, (amplitude, phase) in enumerate(TASKS):
        x = (
            np.random.default_rng(number + 5)
            .uniform(-5, 5, (10, 1))
            .astype(np.float32)
        )
        y = (amplitude * np.sin(x - phase)).astype(np.float32)
        truth = amplitude * np.sin(X[:, 0] - phase)
        curves = {
            name: path(network, x, y, rate)
            for name, (network, rate) in networks.items()
        }
        errors = {
            name: ((curve - truth) ** 2).mean(axis=1)
            for name, curve in curves.items()
        }
        # The first steps change most and get most of the frames.
        moments = [
            *np.arange(0, 3, 1 / BETWEEN),
            *np.arange(3, STEPS + 0.1, 0.5),
        ]
        for moment in moments:
            frames.append(
                draw(moment, truth, (x[:, 0], y[:, 0]), curves, errors)
            )
            durations.append(
                900 if moment == 0 else 1600 if moment == moments[-1] else 90
            )
    palette = frames[-1].quantize(32, dither=Image.Dither.NONE)
    flat = [
        frame.quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    target = Path(__file__).with_name("adaptation.gif")
    beside = target.with_name(f".writing-{os.getpid()}-{target.name}")
    try:
        flat[0].save(
            beside,
            "GIF",
            save_all=True,
            append_images=flat[1:],
            duration=durations,
            loop=0,
            optimize=True,
        )
        size = beside.stat().st_size
        if size >= 300_000:
            raise SystemExit(
                f"the animation has {size} bytes; it must stay below 300000"
            )
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    print(f"{target.name}: {len(frames)} frames, {size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
