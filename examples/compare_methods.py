"""Three methods, three seeds, two numbers of shots: a table and two figures."""

import sys

import tfmeta

import keras
import matplotlib.pyplot as plt

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
data = tfmeta.datasets.load_glyphs(0)  # or load_omniglot()
SHOTS, SEEDS, N_WAY = (1, 5), (0, 1, 2), 5
METHODS = {
    "MAML": lambda: tfmeta.MAML(tfmeta.networks.conv4(N_WAY, filters=16), inner_lr=0.4),
    "FOMAML": lambda: tfmeta.MAML(tfmeta.networks.conv4(N_WAY, filters=16), inner_lr=0.4, first_order=True),
    "PrototypicalNetwork": lambda: tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=16)),
}

scores, lines = [], []
for make in METHODS.values():
    for k_shot in SHOTS:
        sizes, found, curves = {"n_way": N_WAY, "k_shot": k_shot}, [], []
        for seed in SEEDS:
            keras.utils.set_random_seed(seed)
            learner = make()
            learner.compile(optimizer="adam")
            train = tfmeta.episode_dataset(data.train, **sizes, n_query=5, meta_batch_size=4, seed=seed)
            learner.fit(train, steps_per_epoch=STEPS, epochs=1, verbose=0)
            found.append(tfmeta.evaluate(learner, data.test, **sizes, episodes=200))
            if learner.has_inner_loop:
                test = tfmeta.episode_dataset(data.test, **sizes, n_query=15, meta_batch_size=20, seed=9)
                curves.append(tfmeta.adaptation_curve(learner, test, inner_steps=5))
        scores.append(tfmeta.mean_over_seeds(found))
        lines += [tfmeta.mean_over_seeds(curves) if curves else scores[-1]] if k_shot == SHOTS[0] else []
        print(scores[-1])
tfmeta.plot_scores(scores).figure.savefig("scores.png", dpi=100)
tfmeta.plot_adaptation_curve(lines, show_support=False).figure.savefig("adaptation.png", dpi=100)
plt.show()
