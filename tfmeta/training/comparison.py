"""What metric methods share: an encoder, trained on whole episodes by ordinary gradient descent, and no inner loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode, count_classes, together
from tfmeta.core.forward import Tensors, forward_with_state, full_precision
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Params, Run, TaskLoss
from tfmeta.training.randomness import is_random_state

# Of support embeddings `[n_support, dim]`, labels `[n_support]`, query embeddings `[n_query, dim]`, the number of
# classes and the values of the method's own groups: class scores `[n_query, n_way]`.
Logits = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, Mapping[str, Tensors]], tf.Tensor]


def embed(encoder: keras.Model, x: tf.Tensor) -> tf.Tensor:
    """Embeddings in inference mode.

    Args:
        encoder: a Keras model.
        x: inputs `[batch, ...]`.

    Returns:
        `[batch, dim]`, at least in float32.
    """
    return full_precision(encoder(x, training=False))


def comparison(
    learner: EpisodicLearner,
    logits: Logits,
    own: Mapping[str, Sequence[keras.Variable]] | None = None,
    **fields,
) -> Method:
    """A method that classifies by comparing embeddings.

    Args:
        learner: whose network is the encoder, `[batch, ...]` to embeddings `[batch, dim]`.
        logits: compares queries with a support set.
        own: groups of what the outer loop learns besides the encoder.
        fields: other fields of `Method`.

    Returns:
        A `Method`. In training batch norm uses the statistics of one episode's support and query images together and
        updates its moving averages, which it uses at test time.

    References:
        Vinyals et al. (2016), section 2. https://arxiv.org/abs/1606.04080
    """
    encoder, own = learner.network, dict(own or {})
    kept = [i for i, v in enumerate(encoder.non_trainable_variables) if not is_random_state(v)]

    def start(params: Params, episode: Episode, run: Run):
        mine = tf.nest.flatten({name: list(params[name]) for name in own})
        return [embed(encoder, episode.support_x), episode.support_y, count_classes(episode), *mine]

    def outputs(fast: Tensors, x: tf.Tensor, run: Run, k) -> tf.Tensor:
        support, labels, n_way, *mine = fast
        groups = tf.nest.pack_sequence_as({name: list(variables) for name, variables in own.items()}, mine)
        return logits(support, labels, embed(encoder, x), n_way, groups)

    def task_loss(params: Params, episode: Episode, run: Run) -> TaskLoss:
        # Not read off the static shape: Keras traces episodes of a second size with unknown sizes.
        n_support = tf.shape(episode.support_y)[0]
        images = together(episode.support_x, episode.query_x)
        embeddings, state = forward_with_state(encoder, params["network"], run.state, images)
        support, query = embeddings[:n_support], embeddings[n_support:]
        scores = logits(support, episode.support_y, query, count_classes(episode), params)
        return TaskLoss(learner.loss_of(episode.query_y, scores), scores, [state[i] for i in kept])

    return Method(
        parameters={"network": encoder.trainable_variables} | own,
        start=start,
        outputs=outputs,
        task_loss=task_loss,
        statistics=[encoder.non_trainable_variables[i] for i in kept],
        makes_head=True,
        inference=True,
        **fields,
    )
