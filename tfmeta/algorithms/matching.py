"""Matching networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra 2016): neighbours vote on a query's class."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from tfmeta.core.distances import check_distance, cosine_similarity, similarity
from tfmeta.core.forward import Tensors, forward_with_state, values
from tfmeta.core.tensor_checks import check_members, check_rows
from tfmeta.core.validation import check_flags, check_number, check_rate, check_steps
from tfmeta.networks import full_context
from tfmeta.networks.support_set import SupportSet, only_members
from tfmeta.training import copies, network_checks
from tfmeta.training.comparison import comparison, embed
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method
from tfmeta.training.scale import check_range

# Log of the smallest normal float32.
_LEAST = math.log(2.0**-126)


def attention_log_probabilities(similarities: tf.Tensor, labels: tf.Tensor, n_way: int | tf.Tensor) -> tf.Tensor:
    """Log of the attention that each class's support items get together.

    Args:
        similarities: scaled similarities `[n_query, n_support]`.
        labels: integers `[n_support]` from 0 to `n_way - 1`; classes may have different numbers of examples.
        n_way: number of classes.

    Returns:
        log p(y = k | x, S) `[n_query, n_way]`; exponentials of a row add up to 1. A class without an example has the
        smallest probability that is a number in float32, e^-87.

    References:
        Vinyals et al. (2016), equation 1. https://arxiv.org/abs/1606.04080
    """
    # In logarithms throughout: a class far away has an attention that would be rounded to 0, and its log to infinity.
    log_attention = tf.nn.log_softmax(similarities)
    of_classes = tf.reduce_logsumexp(only_members(log_attention, labels, n_way), axis=1)
    present = tf.reduce_any(tf.one_hot(labels, n_way, on_value=True, off_value=False), axis=0)
    # Not minus infinity: the loss of its queries has to stay a number. No class is chosen for it, since the best of
    # those that are there has at least log(1 / n_way).
    return tf.where(present, of_classes, tf.constant(_LEAST, of_classes.dtype))


def cosine_attention(
    support: tf.Tensor, labels: tf.Tensor, query: tf.Tensor, n_way: int | tf.Tensor, scale: float | tf.Tensor = 1.0
) -> tf.Tensor:
    """Class log-probabilities of queries: a softmax over all support items of the scaled cosine, summed per class.

    Args:
        support: embeddings `[n_support, dim]`.
        labels: integers `[n_support]` from 0 to `n_way - 1`; classes may have different numbers of examples.
        query: embeddings `[n_query, dim]`.
        n_way: number of classes.
        scale: factor of the cosines; 1 is the paper's.

    Returns:
        log p(y = k | x, S) `[n_query, n_way]`, for a class without an example as `attention_log_probabilities`.

    References:
        Vinyals et al. (2016), equation 1 and section 2.1.1. https://arxiv.org/abs/1606.04080

    Note:
        Cosines lie between -1 and 1, so with scale 1 no item gets more than e^2 times the attention of another, and
        among 20 classes no class a probability above 0.28. A larger scale lets the attention be sharp.
    """
    query, support = check_rows(query=query, support=support)
    check_members(labels, support, n_way)
    check_rate("scale", scale)
    return attention_log_probabilities(scale * cosine_similarity(query, support), labels, n_way)


@keras.saving.register_keras_serializable("tfmeta")
class AttentionHead(SupportSet):
    """The last layer of an adapted matching network: `[batch, dim]` to log-probabilities `[batch, n_way]`.

    Args:
        n_support: number of support items.
        n_way: number of classes.
        distance: `"cosine"` or `"euclidean"`.
        steps: looks of the query's full-context embedding at the support set; 0 for none.
        options: of `keras.layers.Layer`.

    References:
        Vinyals et al. (2016), equation 1. https://arxiv.org/abs/1606.04080
    """

    def __init__(self, n_support: int, n_way: int, distance: str, steps: int = 0, **options):
        super().__init__(n_support, n_way, distance, **options)
        self.steps = steps
        self.context = full_context.QueryContext(steps, dtype=self.dtype_policy) if steps else None

    def build(self, input_shape):
        """Room for the support set, its scale and the query's context."""
        super().build(input_shape)
        self.scale = self.add_weight(shape=(), initializer="ones", trainable=False, name="scale")
        if self.context is not None:
            self.context.build(input_shape)

    def call(self, x):
        """Log-probabilities `[batch, n_way]`."""
        support = tf.convert_to_tensor(self.support)
        query = x if self.context is None else self.context(x, support)
        similarities = self.scale * similarity(query, support, self.distance)
        return attention_log_probabilities(similarities, tf.convert_to_tensor(self.labels), self.n_way)

    def get_config(self):
        """Sizes, distance and steps; the support set itself is in the weights."""
        return super().get_config() | {"steps": self.steps}


@keras.saving.register_keras_serializable("tfmeta")
class MatchingNetwork(EpisodicLearner):
    """Learns an embedding in which a query's neighbours vote on its class, the nearer the more.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        distance: `"cosine"`, or `"euclidean"` for minus the squared Euclidean distance.
        scale: factor of the similarities, or its initial value. By default 10 for cosines, 1 for distances (as in a
            prototypical network; 0.1 suits the first few hundred steps of a wide embedding better).
        learn_scale: learn the logarithm of the scale, so that it stays positive. `scale=1.0, learn_scale=False` is the
            paper's plain cosine.
        full_context: embed every support item in the context of the support set, and every query in the context of
            both. Adds about 28 dim^2 weights: for dim = 64 as many as a conv4 has itself.
        processing_steps: K, how often a query looks at the support set with `full_context=True`.
        name: Keras name.

    Raises:
        TypeError: if the encoder is not a Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, or a setting is out of range.

    References:
        Vinyals et al. (2016), "Matching Networks for One Shot Learning", section 2.1 and appendix A.
        https://arxiv.org/abs/1606.04080

    Note:
        Encoders of support and query are the same network, f' = g'. With `full_context=True` results depend on the
        order of the support set, which a bidirectional LSTM reads as a sequence. Batch norm and dropout are as in
        `PrototypicalNetwork`: statistics of one episode in training, moving averages in evaluation. Adam moves the
        scale's logarithm by about its learning rate a step, so the initial scale matters in a short training.
    """

    def __init__(
        self,
        encoder: keras.Model,
        *,
        distance: str = "cosine",
        scale: float | None = None,
        learn_scale: bool = True,
        full_context: bool = False,
        processing_steps: int = 5,
        name: str | None = None,
    ):
        network_checks.check_network(encoder, "encoder")
        network_checks.check_embedding(encoder)
        check_distance(distance)
        scale = (10.0 if distance == "cosine" else 1.0) if scale is None else scale
        check_number("scale", scale, above=True)
        check_steps(processing_steps=processing_steps)
        check_flags(learn_scale=learn_scale, full_context=full_context)
        super().__init__(encoder, name=name)
        self.encoder = encoder
        self.distance, self.scale, self.learn_scale = distance, float(scale), bool(learn_scale)
        self.full_context, self.processing_steps = bool(full_context), processing_steps
        dtype = encoder.variables[0].dtype
        self.log_scale = None
        if learn_scale:
            start = keras.initializers.Constant(math.log(scale))
            self.log_scale = self.add_weight(shape=(), initializer=start, dtype=dtype, name="log_scale")
        if full_context:
            self._make_contexts(dtype)

    def _make_contexts(self, dtype: str) -> None:
        shape = network_checks.known_shape(self.encoder, "output_shape")
        if shape is None or shape[0] is None:
            raise ValueError(
                "full_context=True needs an encoder that knows the width of its embeddings: make it a functional Keras "
                f"model. Received: encoder={self.encoder.name!r} of type {type(self.encoder).__name__}"
            )
        self.support_context = full_context.SupportContext(dtype=dtype, name="support_context")
        self.query_context = full_context.QueryContext(self.processing_steps, dtype=dtype, name="query_context")
        for context in (self.support_context, self.query_context):
            context.build((None, *shape))

    def embed(self, x: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, dim]` of inputs `[batch, ...]` in the range of training, in inference mode."""
        check_range(self.input_scale, x)
        return embed(self.encoder, x)

    @property
    def own_variables(self) -> list[keras.Variable]:
        """What is learned besides the encoder: the scale's logarithm, the LSTMs' weights, as far as there are any."""
        return self.meta_variables[len(self.encoder.trainable_variables) :]

    @property
    def method(self) -> Method:
        """Equation 1, in logarithms; weight decay would draw the scale to 1."""
        own = {"scale": [self.log_scale]} if self.learn_scale else {}
        if self.full_context:
            own["support_context"] = self.support_context.trainable_variables
            own["query_context"] = self.query_context.trainable_variables
        return comparison(
            self,
            self.logits,
            own,
            undecayed=("scale",) if self.learn_scale else (),
            to_keras=self._to_keras,
            settings={"distance": self.distance}
            | ({} if self.learn_scale else {"scale": self.scale})
            | ({"processing_steps": self.processing_steps} if self.full_context else {}),
        )

    def _with_context(self, layer: keras.layers.Layer, weights: Tensors, *arguments) -> tf.Tensor:
        return forward_with_state(layer, weights, values(layer.non_trainable_variables), *arguments, training=False)[0]

    def _support_embeddings(self, support: tf.Tensor, own) -> tf.Tensor:
        """What queries are compared with, `[n_support, dim]`: g(., S) with full context, else the embeddings."""
        if not self.full_context:
            return support
        return self._with_context(self.support_context, own["support_context"], support)

    def logits(self, support, labels, query, n_way, own) -> tf.Tensor:
        """Equation 1: class scores `[n_query, n_way]`, from the values `own` of the groups besides the encoder."""
        support = self._support_embeddings(support, own)
        if self.full_context:
            query = self._with_context(self.query_context, own["query_context"], query, support)
        scale = tf.exp(own["scale"][0]) if self.learn_scale else tf.convert_to_tensor(self.scale, query.dtype)
        return attention_log_probabilities(scale * similarity(query, support, self.distance), labels, n_way)

    def _to_keras(self, fast, support_x, support_y) -> keras.Model:
        """A copy of the encoder and a layer that keeps the embedded support set; gives log-probabilities."""
        embeddings, labels, n_way = fast[:3]
        own = self.parameters()
        steps = self.processing_steps if self.full_context else 0
        head = AttentionHead(
            len(labels), int(n_way), self.distance, steps, dtype=self.encoder.dtype, name="support_set"
        )  # fmt: skip
        encoder = copies.copy_model(self.encoder, own["network"], support_x)
        adapted = copies.followed_by(head, encoder, support_x)
        head.support.assign(self._support_embeddings(embeddings, own))
        head.labels.assign(labels)
        head.scale.assign(tf.exp(own["scale"][0]) if self.learn_scale else self.scale)
        if steps:
            for new, old in zip(head.context.variables, self.query_context.variables, strict=True):
                new.assign(old)
        return adapted
