"""Nearest neighbour: no learning at all, the baseline below which no few-shot learner may fall."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.core.distances import check_distance, similarity
from tfmeta.core.episode import count_classes
from tfmeta.core.forward import values
from tfmeta.networks.support_set import SupportSet, only_members
from tfmeta.training import copies, network_checks
from tfmeta.training.comparison import embed
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.scale import check_range


def nearest_of_class(similarities: tf.Tensor, labels: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """Similarity of each query to the most similar support item of every class.

    Args:
        similarities: `[n_query, n_support]`.
        labels: integers `[n_support]` from 0 to `n_way - 1`.
        n_way: number of classes.

    Returns:
        Class scores `[n_query, n_way]`. The largest is that of the nearest neighbour's class.

    References:
        Cover, Hart (1967), "Nearest Neighbor Pattern Classification". https://doi.org/10.1109/TIT.1967.1053964
    """
    return tf.reduce_max(only_members(similarities, labels, n_way), axis=1)


@keras.saving.register_keras_serializable("tfmeta")
class NearestHead(SupportSet):
    """The last layer of an adapted nearest neighbour: `[batch, dim]` to class scores `[batch, n_way]`.

    Args:
        n_support: number of support items.
        n_way: number of classes.
        distance: `"cosine"` or `"euclidean"`.
        options: of `keras.layers.Layer`.

    References:
        Cover, Hart (1967). https://doi.org/10.1109/TIT.1967.1053964
    """

    def call(self, x):
        """Class scores `[batch, n_way]`."""
        found = similarity(x, tf.convert_to_tensor(self.support), self.distance)
        return nearest_of_class(found, tf.convert_to_tensor(self.labels), self.n_way)


@keras.saving.register_keras_serializable("tfmeta")
class NearestNeighbour(EpisodicLearner):
    """Gives a query the class of the most similar support image, pixel by pixel or in an encoder's embedding.

    There is nothing to learn. So that a comparison can treat it as any other learner, `compile` and `fit` work: `fit`
    reads the episodes, reports the accuracy on them, as `evaluate` does, and changes nothing.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`, trained elsewhere or not at all;
            it runs in inference mode. By default the images' pixels themselves are compared.
        distance: `"cosine"`, or `"euclidean"` for minus the squared Euclidean distance.
        name: Keras name.

    Raises:
        TypeError: if the encoder is not a Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, or the distance is unknown.

    References:
        Vinyals et al. (2016), table 1, rows "Pixels" and "Baseline classifier". https://arxiv.org/abs/1606.04080

    Note:
        Only accuracies are reported: scores are similarities, not probabilities, and have no loss.
    """

    def __init__(self, encoder: keras.Model | None = None, *, distance: str = "cosine", name: str | None = None):
        check_distance(distance)
        if encoder is not None:
            network_checks.check_network(encoder, "encoder", trainable=False)
            network_checks.check_embedding(encoder)
        # A layer that flattens takes images of any size; a Keras model would have to be told which.
        super().__init__(encoder or keras.layers.Flatten(name="pixels"), name=name)
        self.encoder, self.distance = encoder, distance

    def embed(self, x: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, dim]` or pixels `[batch, dim]` of inputs `[batch, ...]`, in the range of training."""
        check_range(self.input_scale, x)
        return embed(self.network, x)

    @property
    def method(self) -> Method:
        """The class of the most similar support item (section 4.1); nothing is learned."""
        return Method(
            parameters={},
            start=lambda params, episode, run: [
                embed(self.network, episode.support_x),
                episode.support_y,
                count_classes(episode),
            ],
            outputs=self._outputs,
            learn=self.measure,
            makes_head=True,
            inference=True,
            scores=False,
            to_keras=self._to_keras,
            settings={"distance": self.distance, "of": "pixels" if self.encoder is None else "embeddings"},
        )

    def _outputs(self, fast, x, run, k) -> tf.Tensor:
        support, labels, n_way = fast
        return nearest_of_class(similarity(embed(self.network, x), support, self.distance), labels, n_way)

    def _to_keras(self, fast, support_x, support_y) -> keras.Model:
        """A copy of the encoder and a layer that keeps the support set."""
        support, labels, n_way = fast
        if self.encoder is None:
            body = keras.layers.Flatten(name="pixels")
        else:
            body = copies.copy_model(self.encoder, values(self.encoder.trainable_variables), support_x)
        head = NearestHead(len(labels), int(n_way), self.distance, dtype=support.dtype.name, name="support_set")
        adapted = copies.followed_by(head, body, support_x)
        head.support.assign(support)
        head.labels.assign(labels)
        return adapted
