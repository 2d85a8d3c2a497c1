"""Regression on your own curves: a function makes tasks, MAML learns them, a figure shows one before and after."""

import sys

import tfmeta

import matplotlib.pyplot as plt
import numpy as np

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 3000


def bump(rng: np.random.Generator):
    """One task: ten noisy points of a bump of random place, width and height, and thirty to be judged on."""
    place, width, height = rng.uniform(-2, 2), rng.uniform(0.5, 1.5), rng.uniform(-3, 3)
    x = rng.uniform(-4, 4, (40, 1))
    y = height * np.exp(-(((x - place) / width) ** 2)) + rng.normal(0, 0.05, x.shape)
    return x[:10], y[:10], x[10:], y[10:]


learner = tfmeta.MAML(tfmeta.networks.mlp(), inner_lr=0.02, inner_steps=3)
learner.compile(optimizer="adam")
learner.fit(tfmeta.episodes_from(bump, meta_batch_size=10, seed=0), steps_per_epoch=STEPS, epochs=1)
test = tfmeta.episodes_from(bump, meta_batch_size=20, seed=1)
print(tfmeta.evaluate(learner, test, episodes=200))  # mean squared error with its interval
tfmeta.plot_regression(learner, tfmeta.Episode(*bump(np.random.default_rng(7))))
plt.savefig("own_curves.png", dpi=100)
plt.show()
