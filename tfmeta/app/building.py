"""The learner and the stream of training data that a run's settings describe."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.app.settings import TrainSettings
from tfmeta.datasets import ImageClasses
from tfmeta.training.episodic import EpisodicLearner as Learner


def build_learner(settings: TrainSettings, train: ImageClasses) -> Learner:
    """Build and compile the learner that settings describe; initial weights come from Keras's seed.

    Args:
        settings: what to build.
        train: the training classes, for the images' shape `(height, width, channels)` and their number.

    Returns:
        A compiled learner.

    Raises:
        ValueError: if the learner refuses a setting or one of the method's options.
    """
    learner = settings.recipe.build(settings, train)
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    elif settings.schedule == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(rate, settings.steps, end_learning_rate=0.0)
    optimizer = keras.optimizers.Adam if settings.optimizer == "adam" else keras.optimizers.SGD
    learner.compile(optimizer=optimizer(rate))
    return learner


def training_data(settings: TrainSettings, train: ImageClasses, start: int = 0) -> tf.data.Dataset:
    """Open the run's stream of training meta-batches, or of labelled images for the fine-tuned classifier.

    Args:
        settings: sizes and seed.
        train: the training classes.
        start: number of outer steps done already; their data are passed over.

    Returns:
        A dataset without end, as from `episode_dataset` or `labelled_batches`.

    Raises:
        ValueError: if there are too few classes or images.
    """
    return settings.recipe.training_data(settings, train, start)
