"""What the tests of all learners do with episodes and models."""

import tensorflow as tf

from tfmeta.core.episode import Episode


def first(dataset):
    """The first meta-batch."""
    return next(iter(dataset))


def task(episodes, i=0):
    """One task of a meta-batch."""
    return Episode(*(tensor[i] for tensor in episodes))


def once(episodes):
    """A dataset of this one meta-batch."""
    return tf.data.Dataset.from_tensors(episodes)


def weights(model):
    """All variables' values."""
    return [v.numpy() for v in model.variables]
