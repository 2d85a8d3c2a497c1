"""Text: sentences become vectors of words, tasks of three topics that were not trained on, by name."""

import sys

import tfmeta

import keras
import numpy as np

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
TOPICS = {
    "weather": "rain sun storm cloud wind snow", "kitchen": "pan oven salt dough knife soup",
    "sport": "goal ball team race coach score", "music": "piano chord drum song choir tune",
    "travel": "train hotel map beach ticket plane", "garden": "seed leaf soil rose rake bee",
}  # fmt: skip
TRAIN, TEST = list(TOPICS)[:3], list(TOPICS)[3:]


def sentence(topic, rng):
    """Three words of the topic among five of any topic; yours come from a file."""
    everything = " ".join(TOPICS.values()).split()
    return " ".join([*rng.choice(TOPICS[topic].split(), 3, replace=False), *rng.choice(everything, 5)])


words = keras.layers.TextVectorization(output_mode="multi_hot", vocabulary=sorted(" ".join(TOPICS.values()).split()))


def task(rng, topics=TRAIN):
    labels = np.tile(np.arange(3), 6)
    x = words(np.array([sentence(topics[k], rng) for k in labels])).numpy()
    return x[:6], labels[:6], x[6:], labels[6:]


learner = tfmeta.PrototypicalNetwork(tfmeta.networks.mlp(16, hidden=(32,), input_shape=(words.vocabulary_size(),)))
learner.compile(optimizer="adam")
learner.fit(tfmeta.episodes_from(task, meta_batch_size=4), steps_per_epoch=STEPS, epochs=1, verbose=2)
test = tfmeta.episodes_from(lambda rng: task(rng, TEST), meta_batch_size=10, seed=1)
print(tfmeta.evaluate(learner, test, episodes=200))
support_x, support_y, query_x, _ = task(np.random.default_rng(2), TEST)
print(tfmeta.predict_classes(learner.adapt(support_x, support_y, class_names=TEST), query_x).names)
