"""Pretraining and fine-tuning (Chen, Liu, Kira, Wang, Huang 2019): the baseline without meta-learning."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.forward import full_precision
from tfmeta.core.validation import check_sizes
from tfmeta.training import adapting, base, copies, inputs, replicas


@keras.saving.register_keras_serializable("tfmeta")
class FineTunedClassifier(adapting.AdaptingLearner):
    """An ordinary classifier of all training classes whose last layer is replaced and trained on the support set.

    `fit` takes batches of labelled images, `tfmeta.datasets.labelled_batches(train, batch_size=64, seed=0)`, and
    reports loss and accuracy among all `n_classes`. `validation_data`, `evaluate`, `tfmeta.evaluate` and
    `adaptation_curve` take episodes, as for every learner. In a new task a linear layer starts from zeros and takes
    `eval_inner_steps` gradient steps on the mean loss of the whole support set.

    Args:
        encoder: any built Keras model, `[batch, ...]` to embeddings `[batch, dim]`.
        n_classes: classes to train on, `train.n_classes`.
        inner_lr: step size in a new task. With `adapt_encoder=True` a larger one soon harms what was learned.
        eval_inner_steps: gradient steps in a new task.
        adapt_encoder: let the steps change the encoder, too. By default it stays as trained.
        name: Keras name.

    Raises:
        TypeError: if the encoder is no Keras model.
        ValueError: if the encoder is not built, its output is not `[batch, dim]` or a softmax, or a setting is out of
            range.

    References:
        Chen et al. (2019), "A Closer Look at Few-shot Classification", section 3, "Baseline".
        https://arxiv.org/abs/1904.04232

    Note:
        Batch norm uses the statistics of a batch in training, and its moving averages in a new task, for support and
        queries and with `adapt_encoder=True`, too: no image's prediction depends on other queries. The authors take 100
        passes of SGD with momentum over mini-batches of 4 from a random start with weight decay; full steps from zero
        have no randomness, so that the same support set always gives the same classifier.
    """

    counts_classes = True

    def __init__(
        self,
        encoder: keras.Model,
        n_classes: int,
        *,
        inner_lr: float = 0.01,
        eval_inner_steps: int = 100,
        adapt_encoder: bool = False,
        name: str | None = None,
    ):
        inputs.check_network(encoder, "encoder", trainable=adapt_encoder)
        inputs.check_embedding(encoder)
        inputs.check_number("inner_lr", inner_lr)
        inputs.check_steps(eval_inner_steps=eval_inner_steps)
        check_sizes(n_classes=n_classes)
        super().__init__(encoder, inner_steps=eval_inner_steps, eval_inner_steps=eval_inner_steps, loss=None, name=name)
        self.encoder, self.n_classes = encoder, n_classes
        self.inner_lr, self.adapt_encoder = inner_lr, bool(adapt_encoder)
        shape = inputs.known_shape(encoder, "output_shape")
        if shape is None or shape[0] is None:
            raise ValueError(
                "encoder must know the width of its embeddings: make it a functional Keras model. "
                f"Received: encoder={encoder.name!r} of type {type(encoder).__name__}"
            )
        self.dim = int(shape[0])
        self.head = keras.layers.Dense(n_classes, dtype=encoder.variables[0].dtype, name="training_classes")
        self.head.build((None, self.dim))

    # -- training: an ordinary classifier ------------------------------------------------------------------------
    def call(self, x, training=False):
        """Logits `[batch, n_classes]` of the training classes."""
        return self.head(self.encoder(x, training=training))

    def outer_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on a batch of images `[batch, ...]` and labels `[batch]`."""
        x, y = batch
        variables = self.meta_variables
        with tf.GradientTape() as tape:
            logits = self(x, training=True)
            loss = functional.cross_entropy(y, logits)
        self.optimizer.apply(replicas.share(tape.gradient(loss, variables)), variables)
        return {"loss": loss, "accuracy": functional.accuracy(y, logits)}

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every batch of `fit`."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._report(self.outer_step((x, y)))

    @property
    def meta_variables(self) -> list[keras.Variable]:
        """What `fit` trains: the encoder, and the layer of the training classes."""
        return [*self.encoder.trainable_variables, *self.head.trainable_variables]

    def check_training_data(self, dataset) -> None:
        """Refuse what `fit` cannot take, a dataset of (images, labels), before any work starts.

        Raises:
            TypeError: if it is no such dataset.
            ValueError: if images do not fit the encoder, or a label is not below `n_classes`.
        """
        spec = getattr(dataset, "element_spec", None)
        pair = isinstance(spec, tuple) and not isinstance(spec, Episode) and len(spec) == 2
        if not isinstance(dataset, tf.data.Dataset) or not pair or not spec[1].dtype.is_integer:
            raise TypeError(
                "x must be a tf.data.Dataset of (images, integer labels), such as datasets.labelled_batches(...); "
                f"episodes are for validation_data. Received: x of type {type(dataset).__name__}, elements {spec}"
            )
        for images, labels in dataset.take(1):
            as_task = Episode(images[None], labels[None], images[None], labels[None])
            self.check_episode(as_task)
            replicas.check_even("batch_size", labels.shape[0], self.distribute_strategy)
            if int(tf.reduce_max(labels)) >= self.n_classes or int(tf.reduce_min(labels)) < 0:
                raise ValueError(
                    f"labels must run from 0 to n_classes - 1 = {self.n_classes - 1}. "
                    f"Received: labels from {int(tf.reduce_min(labels))} to {int(tf.reduce_max(labels))}"
                )

    # -- a new task ----------------------------------------------------------------------------------------------
    def _seen(self, episode: Episode) -> Episode:
        """What the inner loop looks at: embeddings, made once, where the encoder stays as it is; else the images."""
        if self.adapt_encoder:
            return episode
        return episode._replace(**{part: self.encoder(getattr(episode, part)) for part in ("support_x", "query_x")})

    def first_state(self, episode: Episode) -> list[tf.Tensor]:
        """[theta of the encoder if it adapts, kernel `[dim, n_way]`, bias `[n_way]`], the last two zero."""
        theta = super().first_state(episode) if self.adapt_encoder else []
        n_way, dtype = count_classes(episode), self.head.kernel.dtype
        return [*theta, tf.zeros([self.dim, n_way], dtype), tf.zeros([n_way], dtype)]

    def predict_with(self, weights: functional.Tensors, x: tf.Tensor) -> tf.Tensor:
        """Logits `[batch, n_way]` of images if the encoder adapts, else of embeddings."""
        *theta, kernel, bias = weights
        if theta:
            x = functional.forward(self.encoder, theta, x, training=False)
        return tf.matmul(full_precision(x), kernel) + bias

    def inner_step(self, step: tf.Tensor, state: list[tf.Tensor], episode: Episode) -> list[tf.Tensor]:
        """One gradient step on the support set."""
        return functional.inner_update(
            self.predict_with, state, episode.support_x, episode.support_y, inner_lr=self.inner_lr, first_order=True
        )[0]

    def fast_weights(self, episode: Episode, inner_steps: int | None = None) -> list[tf.Tensor]:
        """The new head's weights, after those of the encoder if it adapts.

        Args:
            episode: one task, without a meta-batch axis; only its support set is looked at.
            inner_steps: `eval_inner_steps` by default.

        Returns:
            [..., kernel `[dim, n_way]`, bias `[n_way]`].

        References:
            Chen et al. (2019), section 3, fine-tuning stage. https://arxiv.org/abs/1904.04232
        """
        return super().fast_weights(self._seen(episode), inner_steps)

    def query_outputs(self, episode: Episode, *, transductive: bool = True) -> tf.Tensor:
        """Logits of one task's queries after fine-tuning.

        Args:
            episode: one task, without a meta-batch axis.
            transductive: makes no difference: the encoder runs in inference mode.

        Returns:
            `[n_way * n_query, n_way]`.

        References:
            Chen et al. (2019), section 3. https://arxiv.org/abs/1904.04232
        """
        seen = self._seen(episode)
        return self.predict_with(super().fast_weights(seen), seen.query_x)

    def adaptation_path(self, episode: Episode, inner_steps: int) -> dict[str, tf.Tensor]:
        """As for every learner with an inner loop; before the first step all classes are equally probable."""
        return super().adaptation_path(self._seen(episode), inner_steps)

    def adapt(self, support_x, support_y, inner_steps: int | None = None) -> keras.Model:
        """A classifier for a new task: a copy of the encoder with a new linear layer.

        Args:
            support_x: `[n, ...]`, scaled as in training.
            support_y: integer labels `[n]` from 0 to `n_way - 1`.
            inner_steps: gradient steps; `eval_inner_steps` by default.

        Returns:
            An ordinary Keras model, `[batch, ...]` to logits `[batch, n_way]`. The learner is unchanged.

        Raises:
            ValueError: if inputs and labels do not fit each other or the encoder.

        References:
            Chen et al. (2019), section 3. https://arxiv.org/abs/1904.04232
        """
        task = self.checked_support(support_x, support_y)
        if inner_steps is not None:
            inputs.check_steps(inner_steps=inner_steps)
        *theta, kernel, bias = self.fast_weights(task, inner_steps)
        theta = theta or functional.values(self.encoder.trainable_variables)
        return copies.with_linear_head(self.encoder, theta, kernel, bias, task.support_x)

    # -- what a reader must know, and saving -----------------------------------------------------------------------
    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""
        return copies.inference_batch_norm(self.encoder)

    def evaluation_settings(self) -> dict[str, int | float | str]:
        """Settings at test time that a reader of a score must know."""
        adapted = "encoder and head" if self.adapt_encoder else "head"
        return super().evaluation_settings() | {"inner_lr": self.inner_lr, "adapted": adapted}

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch that does not fit the encoder."""
        base.EpisodicModel.check_episode(self, episode)
        inputs.check_labels(self, episode)

    def get_config(self):
        """All settings and the encoder's own configuration, for `save` and `load_model`."""
        config = super().get_config()
        del config["loss"], config["inner_steps"]
        return config | {"n_classes": self.n_classes, "inner_lr": self.inner_lr, "adapt_encoder": self.adapt_encoder}
