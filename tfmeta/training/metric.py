"""What metric learners share: an encoder, trained on whole episodes by ordinary gradient descent."""

from __future__ import annotations

import abc

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.forward import full_precision, gradient
from tfmeta.training import base, copies, inputs, replicas


class MetricLearner(base.EpisodicModel, abc.ABC):
    """A learner that classifies by comparing embeddings, without an inner loop. Abstract.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        name: Keras name.

    Raises:
        TypeError: if the encoder is no Keras model.
        ValueError: if the encoder is not built, or its output is not `[batch, dim]`.

    References:
        Vinyals et al. (2016), section 2. https://arxiv.org/abs/1606.04080
    """

    counts_classes = True

    def __init__(self, encoder: keras.Model, *, name: str | None = None):
        inputs.check_network(encoder, "encoder")
        inputs.check_embedding(encoder)
        super().__init__(encoder, name=name)
        self.encoder = encoder
        self._track("loss", "accuracy")

    @abc.abstractmethod
    def logits(
        self, support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor, n_way: tf.Tensor, own: functional.Tensors
    ) -> tf.Tensor:
        """Class scores `[n_query, n_way]` of query embeddings `[n_query, dim]`.

        `support` has the embeddings `[n_support, dim]` of the support set, `own` the values of `own_variables`.
        """

    @property
    def own_variables(self) -> list[keras.Variable]:
        """What the outer loop learns besides the encoder."""
        return []

    def embed(self, x: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, dim]` of inputs `[batch, ...]`, in inference mode."""
        return full_precision(self.encoder(x, training=False))

    def query_outputs(self, episode: Episode, *, transductive: bool = True) -> tf.Tensor:
        """Logits of one task's queries.

        Args:
            episode: one task, without a meta-batch axis.
            transductive: makes no difference: the encoder runs in inference mode.

        Returns:
            `[n_way * n_query, n_way]`.

        References:
            Vinyals et al. (2016), section 2. https://arxiv.org/abs/1606.04080
        """
        n_way = count_classes(episode)
        embeddings = self.embed(tf.concat([episode.support_x, episode.query_x], axis=0))
        n_support = tf.shape(episode.support_y)[0]
        own = functional.values(self.own_variables)
        return self.logits(embeddings[:n_support], episode.support_y, embeddings[n_support:], n_way, own)

    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""
        return copies.inference_batch_norm(self.encoder)

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch that does not fit the encoder."""
        super().check_episode(episode)
        inputs.check_labels(self, episode)

    def outer_step(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """One step on the mean loss of the episodes; each is normalised by its own batch statistics."""
        variables = [*self.encoder.trainable_variables, *self.own_variables]
        params = functional.values(variables)
        n_encoder = len(self.encoder.trainable_variables)
        state = functional.values(self.encoder.non_trainable_variables)

        def one_task(task):
            episode, salt = task
            n_way = count_classes(episode)
            # Not the static shape: Keras traces episodes of a second size with unknown sizes.
            n_support = tf.shape(episode.support_y)[0]
            images = tf.concat([episode.support_x, episode.query_x], axis=0)
            with tf.GradientTape() as tape:
                tape.watch(params)
                embeddings, new_state = self.encoder.stateless_call(
                    params[:n_encoder], self._task_state(salt), images, training=True
                )
                embeddings = full_precision(embeddings)
                support, query = embeddings[:n_support], embeddings[n_support:]
                logits = self.logits(support, episode.support_y, query, n_way, params[n_encoder:])
                loss = functional.cross_entropy(episode.query_y, logits)
            gradients = gradient(tape, loss, params)
            return tf.cast(loss, tf.float32), functional.accuracy(episode.query_y, logits), gradients, new_state

        signature = (base.SCALAR, base.SCALAR, base.like(params), base.like(state))
        episodes_and_salts = (episodes, self._salts(episodes))
        loss, accuracy, gradients, states = base.map_tasks(one_task, episodes_and_salts, signature)
        self.optimizer.apply(replicas.share([tf.reduce_mean(g, axis=0) for g in gradients]), variables)
        kept = [
            (variable, new)
            for variable, new in zip(self.encoder.non_trainable_variables, states, strict=True)
            if not base.is_random_state(variable)  # the next step has other salts
        ]
        # Moving averages move by the mean over episodes; as a difference, so that frozen weights stay exact.
        moved = [v.value + tf.reduce_mean(n - v.value, axis=0) if n.dtype.is_floating else n[0] for v, n in kept]
        replicas.assign([variable for variable, _ in kept], moved)
        return {"loss": loss, "accuracy": accuracy}

    def measure(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """Loss and accuracy of a meta-batch in inference mode."""

        def one_task(episode):
            logits = self.query_outputs(episode)
            loss = functional.cross_entropy(episode.query_y, logits)
            return tf.cast(loss, tf.float32), functional.accuracy(episode.query_y, logits)

        loss, accuracy = base.map_tasks(one_task, episodes, (base.SCALAR, base.SCALAR))
        return {"loss": loss, "accuracy": accuracy}

    def get_config(self):
        """The encoder's own configuration, for `save` and `load_model`."""
        return {"encoder": keras.saving.serialize_keras_object(self.encoder), "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("encoder")), **config)
