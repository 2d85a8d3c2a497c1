"""Losses of a prototypical network that are nearly right, and what to say about each."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.algorithms.prototypical import compute_prototypes
from tfmeta.checks.problems import not_from_logits
from tfmeta.core.episode import Episode
from tfmeta.core.losses import cross_entropy

N_WAY, RATE = 3, 0.3
TWICE = (
    "the softmax is taken twice, or a loss of probabilities gets logits. Minus the squared distances are logits: use a "
    "loss that says `logits` (from_logits=True), and no softmax of your own."
)


def _embed(weights, x):
    kernel, bias, second, second_bias = weights
    return tf.matmul(tf.tanh(tf.matmul(x, kernel) + bias), second) + second_bias


def _squared(query, prototypes):
    return tf.reduce_sum((query[:, None] - prototypes[None]) ** 2, axis=-1)


def loss_of(weights, episode: Episode, prototypes=compute_prototypes, logits=lambda q, c: -_squared(q, c),
          criterion=cross_entropy, of_prototypes=tf.identity, of_queries=tf.identity):  # fmt: skip
    """The loss of an episode, with one part of it exchanged.

    Args:
        weights: the encoder's weights, a list of tensors.
        episode: one task.
        prototypes: function of embeddings, labels and `n_way`.
        logits: function of query embeddings and prototypes.
        criterion: function of labels and logits.
        of_prototypes: what is done to the prototypes.
        of_queries: what is done to the queries' embeddings.

    Returns:
        A scalar.
    """
    support, query = (_embed(weights, x) for x in (episode.support_x, episode.query_x))
    centres = of_prototypes(prototypes(support, episode.support_y, N_WAY))
    return criterion(episode.query_y, logits(of_queries(query), centres))


def gradient_of(start, episode: Episode, **how):
    """The gradient with respect to the encoder's weights, and the loss.

    Args:
        start: the weights before the step, a list of arrays.
        episode: one task.
        **how: options of one task's gradient.

    Returns:
        A list of tensors, and the loss.
    """
    weights = [tf.constant(w) for w in start]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = loss_of(weights, episode, **how)
    return tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO), float(loss)


def moved(start, gradients, rate=RATE):
    """Weights after a step down the gradients.

    Args:
        start: the weights before the step, a list of arrays.
        gradients: tensors of the same shapes.
        rate: step size.

    Returns:
        A list of arrays.
    """
    return [w - rate * np.asarray(g) for w, g in zip(start, gradients, strict=True)]


def after(start, episode: Episode, **how):
    """Weights after a step down a loss.

    Args:
        start: the weights before the step, a list of arrays.
        episode: one task.
        **how: options of `loss_of`.

    Returns:
        A list of arrays.
    """
    return moved(start, gradient_of(start, episode, **how)[0])


def wrong_losses(episode: Episode):
    """Other losses: how to compute each, and what to say."""

    def sums(s, y, n):
        return tf.math.unsorted_segment_sum(s, y, n)

    def in_blocks(s, y, n):
        return tf.reduce_mean(tf.reshape(s, (n, -1, s.shape[-1])), axis=1)

    def firsts(s, y, n):
        return tf.stack([s[y == k][0] for k in range(n)])

    def distances(q, c):
        return tf.sqrt(_squared(q, c))

    queries = Episode(episode.query_x, episode.query_y, episode.query_x, episode.query_y)
    support = Episode(*episode[:2], *episode[:2])
    on_support = "the loss was taken on the support set: every example is judged by a prototype that it is a part of."
    return (
        ({"logits": distances}, "the distance is neither squared nor has it a minus sign: the farthest prototype "
                                "wins."),
        ({"logits": lambda q, c: -distances(q, c)}, "this is minus the distance, not minus its square (equation 2)."),
        ({"logits": _squared}, "the minus sign is missing in the logits: the farthest prototype wins."),
        ({"logits": lambda q, c: -_squared(q, c) / q.shape[-1]}, "you took the mean over dimensions, not the sum."),
        ({"logits": lambda q, c: -_squared(q, c) / 2}, "the squared distances were halved."),
        ({"logits": lambda q, c: tf.matmul(q, c, transpose_b=True)},
         "the logits are inner products. Take minus the squared distance."),
        ({"logits": lambda q, c: tf.nn.softmax(-_squared(q, c))}, TWICE),
        ({"criterion": not_from_logits}, TWICE),
        ({"logits": lambda q, c: _squared(q, c), "criterion": not_from_logits}, TWICE),
        ({"prototypes": sums}, "the prototypes are sums. Divide by the number of examples."),
        ({"prototypes": in_blocks},
         "the prototypes are right only for labels in ascending order. Pick a class's embeddings by its label."),
        ({"prototypes": firsts}, "the prototype is a class's first example. Take the mean."),
        ({"criterion": lambda y, z: cross_entropy(tf.sort(y), z)},
         "the queries' labels are taken to be in ascending order. They are in query_y."),
        ({"episode": support}, on_support),
        ({"episode": queries}, "the prototypes were made of the queries. They are made of the support set."),
        ({"episode": Episode(*episode[2:], *episode[:2])}, "support and query set are exchanged."),
    )  # fmt: skip
