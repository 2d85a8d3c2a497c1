"""Is this machine set up? What tfmeta finds, and a minute of training that must be better than chance."""

import sys

import tfmeta
from tfmeta.app.doctor import examine

import keras

lines, healthy = examine(None)
print("\n".join(lines))
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60
glyphs = tfmeta.datasets.load_glyphs(0)
keras.utils.set_random_seed(0)
learner = tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=16))
learner.compile(optimizer="adam")
train = tfmeta.episode_dataset(glyphs.train, n_way=5, k_shot=1, n_query=5, meta_batch_size=4, seed=0)
learner.fit(train, steps_per_epoch=steps, epochs=1, verbose=2)
score = tfmeta.evaluate(learner, glyphs.test, n_way=5, k_shot=1, episodes=50)
print(score)
if not healthy or score.accuracy - score.interval <= 0.2:
    sys.exit("something is wrong: see the lines above")
print("set up")
