"""Your own colour photographs: a folder with a folder of images per class; new files are classified by name."""

import sys
from pathlib import Path

import tfmeta

folder = Path(sys.argv[1])  # my_photos/cat/1.jpg, my_photos/cat/2.jpg, my_photos/dog/1.jpg, ...
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 500
photos = tfmeta.datasets.from_directory(folder, image_size=32)
parts = tfmeta.datasets.split_classes(photos, (0.5, 0.5))  # classes to learn from, classes to be judged on

network = tfmeta.networks.conv4(input_shape=photos.image_shape)
learner = tfmeta.PrototypicalNetwork(network)
learner.compile(optimizer="adam")
sizes = {"n_way": 2, "k_shot": 1, "n_query": 2}
learner.fit(tfmeta.episode_dataset(parts.train, **sizes, meta_batch_size=4, seed=0), steps_per_epoch=steps, epochs=1)
print(tfmeta.evaluate(learner, parts.test, **sizes, episodes=100))

# Monday morning: one photo each of two classes that were not trained on, and the rest by name.
names = list(parts.test.class_names[:2])
files = [sorted((folder / name).iterdir()) for name in names]
support = tfmeta.datasets.load_images([files[0][0], files[1][0]], like=learner)
adapted = learner.adapt(support, names)
adapted.save("photos.keras")  # keeps the names; predict gives logits, predict_classes names
rest = [*files[0][1:], *files[1][1:]]
found = tfmeta.predict_classes(adapted, tfmeta.datasets.load_images(rest, like=adapted))
for file, name, row in zip(rest, found.names, found.probabilities, strict=True):
    print(f"{file.parent.name}/{file.name}: {name} ({100 * row.max():.0f} %)")
