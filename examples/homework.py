"""A homework that grades itself: answers on the left of `|`, points on the right."""

from tfmeta import checks
from tfmeta.checks.report import judge, require

import tensorflow as tf


def reptile_update(params, fast_weights, outer_lr):
    """Exercise 1: move theta towards the mean of the tasks' fast weights."""
    moved = [tf.reduce_mean(fast - theta, axis=0) for theta, fast in zip(params, fast_weights, strict=True)]
    return [theta + outer_lr * step for theta, step in zip(params, moved, strict=True)]


def accuracy(labels, logits):
    """Exercise 2, with a mistake: the smallest logit is not the prediction."""
    return tf.reduce_mean(tf.cast(tf.argmin(logits, axis=1) == labels, tf.float32))


def check_accuracy(answer, **options):
    """A check of one's own."""

    def examine(call):
        labels, logits = tf.constant([0, 2], tf.int64), tf.constant([[2.0, 1.0, 0.0], [3.0, 1.0, 2.0]])
        require(abs(float(call(labels, logits)) - 0.5) < 1e-6, "the first of two is right: the accuracy is 0.5.")
        return "it counts the largest logits at the labels."

    return judge("accuracy", answer, examine, **options)


GRADES = {"reptile_update": checks.reptile_update(reptile_update, quiet=True, seconds=60),
          "accuracy": check_accuracy(accuracy, quiet=True, seconds=60)}  # fmt: skip
for name, result in GRADES.items():
    print(f"{name:16} | {int(bool(result))} | {result.message}")
