"""Full-context embeddings of matching networks (Vinyals 2016, appendix A): each item is seen in the light of all."""

from __future__ import annotations

import keras
import tensorflow as tf


def _lstm(dim: int, dtype, *, go_backwards: bool) -> keras.layers.LSTM:
    # The cuDNN kernel has no second derivative. The seed is for dropout, of which there is none: without a seed Keras
    # draws a number that is not saved, and a loaded learner would not be equal in every variable.
    return keras.layers.LSTM(
        dim, return_sequences=True, go_backwards=go_backwards, use_cudnn=False, dtype=dtype, seed=0,
        name="backward" if go_backwards else "forward",
    )  # fmt: skip


@keras.saving.register_keras_serializable("tfmeta")
class SupportContext(keras.layers.Layer):
    """g(x_i, S): a bidirectional LSTM reads the support set as a sequence and adds what it makes of each item.

    Called on embeddings g' `[n_support, dim]`; returns embeddings of the same shape.

    Args:
        options: of `keras.layers.Layer`.

    References:
        Vinyals et al. (2016), appendix A.2: g(x_i, S) = h_i forward + h_i backward + g'(x_i).
        https://arxiv.org/abs/1606.04080

    Note:
        A sequence has an order and a set has none: the result depends on the order of the support set. Episodes come
        in random order, so that training does not favour one.
    """

    def __init__(self, **options):
        super().__init__(**options)

    def build(self, input_shape):
        """Two LSTMs as wide as the embeddings, since the three terms are added."""
        dim = input_shape[-1]
        self.forwards = _lstm(dim, self.dtype_policy, go_backwards=False)
        self.backwards = _lstm(dim, self.dtype_policy, go_backwards=True)
        for lstm in (self.forwards, self.backwards):
            lstm.build((1, None, dim))

    def call(self, support):
        """Embeddings `[n_support, dim]` in the context of the support set."""
        sequence = support[None]  # one sequence of n_support items
        backwards = tf.reverse(self.backwards(sequence), axis=[1])  # Keras returns the last item first
        return (self.forwards(sequence) + backwards)[0] + support


@keras.saving.register_keras_serializable("tfmeta")
class QueryContext(keras.layers.Layer):
    """f(x, S): an LSTM that looks at the support set K times and refines the embedding of a query.

    Called on query embeddings f' `[n_query, dim]` and support embeddings g(., S) `[n_support, dim]`; returns
    `[n_query, dim]`. Queries do not see each other.

    Args:
        steps: K, processing steps.
        options: of `keras.layers.Layer`.

    References:
        Vinyals et al. (2016), appendix A.1, equations 3 to 6. https://arxiv.org/abs/1606.04080

    Note:
        The paper's LSTM has the hidden state [h, r]. Here r comes in beside the input, [f', r]: gates are linear in
        both, so the function is the same. The paper does not say how the loop starts; here with a zero output of the
        LSTM and a zero cell, so that h_0 = f' (equation 4) and the first look is at what the query itself resembles.
    """

    def __init__(self, steps: int, **options):
        super().__init__(**options)
        self.steps = steps

    def build(self, query_shape, support_shape=None):
        """One LSTM cell as wide as the embeddings, fed with a query and what was read."""
        dim = query_shape[-1]
        self.cell = keras.layers.LSTMCell(dim, dtype=self.dtype_policy, seed=0, name="reader")
        self.cell.build((None, 2 * dim))

    def call(self, query, support):
        """Embeddings `[n_query, dim]` of queries after K looks at `support` `[n_support, dim]`."""
        hidden, cell = query, tf.zeros_like(query)
        for _ in range(self.steps):
            attention = tf.nn.softmax(tf.matmul(hidden, support, transpose_b=True))  # equation 6
            read = tf.matmul(attention, support)  # equation 5, [n_query, dim]
            output, (_, cell) = self.cell(tf.concat([query, read], axis=-1), [hidden, cell])  # equation 3
            hidden = output + query  # equation 4
        return hidden

    def compute_output_shape(self, query_shape, support_shape=None):
        """As the queries'."""
        return query_shape

    def get_config(self):
        """The number of steps."""
        return super().get_config() | {"steps": self.steps}
