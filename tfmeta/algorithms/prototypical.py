"""Prototypical networks (Snell, Swersky, Zemel 2017)."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.algorithms import base, copies, inputs
from tfmeta.episodes import Episode


def compute_prototypes(embeddings: tf.Tensor, labels: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """Class means of the support embeddings, c_k.

    Args:
        embeddings: `[n_support, dim]`.
        labels: integers `[n_support]` from 0 to `n_way - 1`; classes may have different numbers of examples.
        n_way: number of classes.

    Returns:
        `[n_way, dim]`; zeros for a class without an example.

    References:
        Snell et al. (2017), equation 1. https://arxiv.org/abs/1703.05175
    """
    members = tf.one_hot(labels, n_way, dtype=embeddings.dtype)  # [n_support, n_way]
    sums = tf.matmul(members, embeddings, transpose_a=True)
    return tf.math.divide_no_nan(sums, tf.reduce_sum(members, axis=0)[:, None])


def squared_euclidean(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Squared distances between all rows of two matrices.

    Args:
        a: `[n, dim]`.
        b: `[m, dim]`.

    Returns:
        `[n, m]`, at least 0.

    References:
        Snell et al. (2017), section 2.4: a Bregman divergence, for which the class mean is the best prototype.
        https://arxiv.org/abs/1703.05175
    """
    squares = tf.reduce_sum(a**2, axis=1)[:, None] + tf.reduce_sum(b**2, axis=1)[None, :]
    # Rounding can leave a small negative number where a row meets itself.
    return tf.maximum(squares - 2.0 * tf.matmul(a, b, transpose_b=True), 0.0)


def prototypical_logits(support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """Class scores of queries: minus the squared distance to each prototype.

    Args:
        support: embeddings `[n_support, dim]`.
        labels: integers `[n_support]`.
        query: embeddings `[n_query, dim]`.
        n_way: number of classes.

    Returns:
        Logits `[n_query, n_way]`; their softmax is p(y = k | x).

    References:
        Snell et al. (2017), equation 2. https://arxiv.org/abs/1703.05175
    """
    return -squared_euclidean(query, compute_prototypes(support, labels, n_way))


@keras.saving.register_keras_serializable("tfmeta")
class PrototypicalNetwork(base.EpisodicModel):
    """Learns an embedding in which a class is a ball around the mean of its examples.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        name: Keras name.

    Raises:
        TypeError: if the encoder is no Keras model.
        ValueError: if the encoder is not built, or its output is not `[batch, dim]`.

    References:
        Snell et al. (2017), "Prototypical Networks for Few-shot Learning", algorithm 1.
        https://arxiv.org/abs/1703.05175

    Note:
        In training batch norm uses the statistics of one episode's support and query images together and updates its
        moving averages, which it uses in evaluation: each query is judged by itself, as in the authors' code. Dropout
        layers are active in training only.
    """

    def __init__(self, encoder: keras.Model, *, name: str | None = None):
        inputs.check_network(encoder, "encoder")
        shape = inputs.known_shape(encoder, "output_shape")
        if shape is not None and len(shape) != 1:
            raise ValueError(
                "encoder must return embeddings [batch, dim]. "
                f"Received: encoder={encoder.name!r} with outputs of shape {shape}"
            )
        super().__init__(encoder, name=name)
        self.encoder = encoder
        self._track("loss", "accuracy")

    def embed(self, x: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, dim]` of inputs `[batch, ...]`, in inference mode."""
        return self.encoder(x, training=False)

    def query_outputs(self, episode: Episode, *, transductive: bool = True) -> tf.Tensor:
        """Logits of one task's queries.

        Args:
            episode: one task, without a meta-batch axis.
            transductive: makes no difference here; see the class's note.

        Returns:
            `[n_way * n_query, n_way]`.

        References:
            Snell et al. (2017), equation 2. https://arxiv.org/abs/1703.05175
        """
        n_way = tf.reduce_max(episode.support_y) + 1
        embeddings = self.embed(tf.concat([episode.support_x, episode.query_x], axis=0))
        n_support = tf.shape(episode.support_y)[0]
        return prototypical_logits(embeddings[:n_support], episode.support_y, embeddings[n_support:], n_way)

    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""
        return "moving averages of training" if copies.batch_norm_layers(self.encoder) else "none in the network"

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch that does not fit the encoder."""
        super().check_episode(episode)
        if not inputs.is_classification(episode):
            raise ValueError(
                "a prototypical network classifies, and needs integer labels. "
                f"Received: support_y with dtype={episode.support_y.dtype.name}"
            )

    def outer_step(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """One step on the mean loss of the episodes; each is normalised by its own batch statistics."""
        params = functional.values(self.encoder.trainable_variables)
        state = functional.values(self.encoder.non_trainable_variables)

        def one_task(task):
            episode, salt = task
            n_way = tf.reduce_max(episode.support_y) + 1
            # Not the static shape: Keras traces episodes of a second size with unknown sizes.
            n_support = tf.shape(episode.support_y)[0]
            images = tf.concat([episode.support_x, episode.query_x], axis=0)
            with tf.GradientTape() as tape:
                tape.watch(params)
                embeddings, new_state = self.encoder.stateless_call(
                    params, self._task_state(salt), images, training=True
                )
                logits = prototypical_logits(embeddings[:n_support], episode.support_y, embeddings[n_support:], n_way)
                loss = functional.cross_entropy(episode.query_y, logits)
            gradients = tape.gradient(loss, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return tf.cast(loss, tf.float32), functional.accuracy(episode.query_y, logits), gradients, new_state

        signature = (base.SCALAR, base.SCALAR, base.like(params), base.like(state))
        episodes_and_salts = (episodes, self._salts(episodes))
        loss, accuracy, gradients, states = base.map_tasks(one_task, episodes_and_salts, signature)
        self.optimizer.apply([tf.reduce_mean(g, axis=0) for g in gradients], self.encoder.trainable_variables)
        for variable, new in zip(self.encoder.non_trainable_variables, states, strict=True):
            if base.is_random_state(variable):  # the next step has other salts
                continue
            if new.dtype.is_floating:
                # Moving averages move by the mean over episodes; as a difference, so that frozen weights stay exact.
                variable.assign_add(tf.reduce_mean(new - variable.value, axis=0))
            else:
                variable.assign(new[0])
        return {"loss": loss, "accuracy": accuracy}

    def measure(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """Loss and accuracy of a meta-batch in inference mode."""

        def one_task(episode):
            logits = self.query_outputs(episode)
            loss = functional.cross_entropy(episode.query_y, logits)
            return tf.cast(loss, tf.float32), functional.accuracy(episode.query_y, logits)

        loss, accuracy = base.map_tasks(one_task, episodes, (base.SCALAR, base.SCALAR))
        return {"loss": loss, "accuracy": accuracy}

    def adapt(self, support_x, support_y) -> keras.Model:
        """A classifier for a new task.

        Args:
            support_x: `[n, ...]`, scaled as in training.
            support_y: integer labels `[n]` from 0 to `n_way - 1`.

        Returns:
            An ordinary Keras model, `[batch, ...]` to logits `[batch, n_way]`: a copy of the encoder with a linear
            head. Its logits are those of `prototypical_logits` but for a term that is the same for every class, so
            probabilities are equal. The learner is unchanged.

        Raises:
            ValueError: if inputs and labels do not fit each other or the encoder.

        References:
            Snell et al. (2017), equation 8, the linear model W = 2 c_k, b = -|c_k|^2.
            https://arxiv.org/abs/1703.05175
        """
        support_x, support_y = inputs.check_support(support_x, support_y)
        task = Episode(support_x, support_y, support_x, support_y)
        self.check_episode(Episode(*(tensor[None] for tensor in task)))
        n_way = int(tf.reduce_max(support_y)) + 1
        prototypes = compute_prototypes(self.embed(support_x), support_y, n_way)
        encoder = copies.copy_model(self.encoder, functional.values(self.encoder.trainable_variables), support_x)
        head = keras.layers.Dense(n_way, name="prototypes")
        adapted = keras.Sequential([keras.Input(support_x.shape[1:]), encoder, head])
        head.kernel.assign(2.0 * tf.transpose(prototypes))
        head.bias.assign(-tf.reduce_sum(prototypes**2, axis=1))
        return adapted

    def get_config(self):
        """The encoder's own configuration, for `save` and `load_model`."""
        return {"encoder": keras.saving.serialize_keras_object(self.encoder), "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        return cls(keras.saving.deserialize_keras_object(config["encoder"]), name=config["name"])
