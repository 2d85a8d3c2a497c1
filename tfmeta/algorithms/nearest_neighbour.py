"""Nearest neighbour: no learning at all, the baseline below which no few-shot learner may fall."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.forward import full_precision
from tfmeta.networks import support_set as similarity
from tfmeta.training import base, copies, inputs


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
    return tf.reduce_max(similarity.only_members(similarities, labels, n_way), axis=1)


@keras.saving.register_keras_serializable("tfmeta")
class NearestHead(similarity.SupportSet):
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
        found = similarity.similarity(x, tf.convert_to_tensor(self.support), self.distance)
        return nearest_of_class(found, tf.convert_to_tensor(self.labels), self.n_way)


@keras.saving.register_keras_serializable("tfmeta")
class NearestNeighbour(base.EpisodicModel):
    """Gives a query the class of the most similar support image, pixel by pixel or in an encoder's embedding.

    There is nothing to learn. So that a comparison can treat it as any other learner, `compile` and `fit` work: `fit`
    reads the episodes, reports the accuracy on them, as `evaluate` does, and changes nothing.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`, trained elsewhere or not at all;
            it runs in inference mode. By default the images' pixels themselves are compared.
        distance: `"cosine"`, or `"euclidean"` for minus the squared Euclidean distance.
        name: Keras name.

    Raises:
        TypeError: if the encoder is no Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, or the distance is unknown.

    References:
        Vinyals et al. (2016), table 1, rows "Pixels" and "Baseline classifier". https://arxiv.org/abs/1606.04080

    Note:
        Only accuracies are reported: scores are similarities, not probabilities, and have no loss.
    """

    counts_classes = True

    def __init__(self, encoder: keras.Model | None = None, *, distance: str = "cosine", name: str | None = None):
        similarity.check_distance(distance)
        if encoder is not None:
            inputs.check_network(encoder, "encoder", trainable=False)
            inputs.check_embedding(encoder)
        # A layer that flattens takes images of any size; a Keras model would have to be told which.
        super().__init__(encoder or keras.layers.Flatten(name="pixels"), name=name)
        self.encoder, self.distance = encoder, distance
        self._track("accuracy")

    def embed(self, x: tf.Tensor) -> tf.Tensor:
        """Embeddings or pixels `[batch, dim]` of inputs `[batch, ...]`."""
        return full_precision(self._network_of_tasks(x, training=False))

    def query_outputs(self, episode: Episode, *, transductive: bool = True) -> tf.Tensor:
        """Class scores of one task's queries.

        Args:
            episode: one task, without a meta-batch axis.
            transductive: makes no difference: the encoder runs in inference mode.

        Returns:
            `[n_way * n_query, n_way]`.

        References:
            Vinyals et al. (2016), section 4.1. https://arxiv.org/abs/1606.04080
        """
        found = similarity.similarity(self.embed(episode.query_x), self.embed(episode.support_x), self.distance)
        return nearest_of_class(found, episode.support_y, count_classes(episode))

    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""
        return copies.inference_batch_norm(self.encoder)

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch that does not fit the encoder."""
        super().check_episode(episode)
        inputs.check_labels(self, episode)

    def measure(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """Accuracy on a meta-batch."""

        def one_task(episode):
            return functional.accuracy(episode.query_y, self.query_outputs(episode))

        return {"accuracy": base.map_tasks(one_task, episodes, base.SCALAR)}

    def outer_step(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """The accuracy on a meta-batch; nothing is learned."""
        return self.measure(episodes)

    def adapt(self, support_x, support_y) -> keras.Model:
        """A classifier for a new task.

        Args:
            support_x: `[n, ...]`, scaled as the encoder needs it.
            support_y: integer labels `[n]` from 0 to `n_way - 1`.

        Returns:
            An ordinary Keras model, `[batch, ...]` to class scores `[batch, n_way]`, that keeps the support set. After
            `import tfmeta` it loads with `keras.models.load_model`. The learner is unchanged.

        Raises:
            ValueError: if inputs and labels do not fit each other or the encoder.

        References:
            Vinyals et al. (2016), section 4.1. https://arxiv.org/abs/1606.04080
        """
        task = self.checked_support(support_x, support_y)
        support_x, support_y, n_way = task.support_x, task.support_y, int(count_classes(task))
        if self.encoder is None:
            body = keras.layers.Flatten(name="pixels")
        else:
            body = copies.copy_model(self.encoder, functional.values(self.encoder.trainable_variables), support_x)
        embeddings = self.embed(support_x)
        head = NearestHead(len(support_y), n_way, self.distance, dtype=embeddings.dtype.name, name="support_set")
        adapted = keras.Sequential([keras.Input(support_x.shape[1:]), body, head])
        head.support.assign(embeddings)
        head.labels.assign(support_y)
        return adapted

    def evaluation_settings(self) -> dict[str, int | float | str]:
        """Settings at test time that a reader of a score must know."""
        return {"distance": self.distance, "of": "pixels" if self.encoder is None else "embeddings"}

    def get_config(self):
        """The distance and the encoder's own configuration, for `save` and `load_model`."""
        encoder = None if self.encoder is None else keras.saving.serialize_keras_object(self.encoder)
        return {"encoder": encoder, "distance": self.distance, "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        config = dict(config)
        if config["encoder"] is not None:
            config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(config.pop("encoder"), **config)
