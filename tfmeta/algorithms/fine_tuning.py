"""Pretraining and fine-tuning (Chen, Liu, Kira, Wang, Huang 2019): the baseline without meta-learning.

Training: an ordinary classifier of all training classes. A new task: gradient descent of a linear head from zeros, on
embeddings that are made once; with `adapt_encoder=True` of the encoder, too.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.forward import Tensors, forward, full_precision, values
from tfmeta.core.losses import accuracy, cross_entropy
from tfmeta.core.updates import sgd
from tfmeta.core.validation import check_flags, check_number, check_sizes, check_steps
from tfmeta.training import copies, episode_checks, network_checks, replicas
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.method import Method, Params, Run
from tfmeta.training.scale import scale_of_images


@keras.saving.register_keras_serializable("tfmeta")
class FineTunedClassifier(EpisodicLearner):
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
        TypeError: if the encoder is not a Keras model.
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
        check_flags(adapt_encoder=adapt_encoder)
        network_checks.check_network(encoder, "encoder", trainable=adapt_encoder)
        network_checks.check_embedding(encoder)
        check_number("inner_lr", inner_lr)
        check_steps(eval_inner_steps=eval_inner_steps)
        check_sizes(n_classes=n_classes)
        super().__init__(encoder, inner_steps=eval_inner_steps, eval_inner_steps=eval_inner_steps, name=name)
        self.encoder, self.n_classes = encoder, n_classes
        self.inner_lr, self.adapt_encoder = inner_lr, bool(adapt_encoder)
        shape = network_checks.known_shape(encoder, "output_shape")
        if shape is None or shape[0] is None:
            raise ValueError(
                "encoder must know the width of its embeddings: make it a functional Keras model. "
                f"Received: encoder={encoder.name!r} of type {type(encoder).__name__}"
            )
        self.dim = int(shape[0])
        self.head = keras.layers.Dense(n_classes, dtype=encoder.variables[0].dtype, name="training_classes")
        self.head.build((None, self.dim))

    @property
    def method(self) -> Method:
        """Section 3, "Baseline"."""
        return Method(
            parameters={"network": self.encoder.trainable_variables, "head": self.head.trainable_variables},
            start=self._start,
            outputs=self._outputs,
            update=lambda params: sgd(self.inner_lr),
            seen=self._embedded,
            learn=self._learn,
            check_data=self._check_images,
            makes_head=True,
            inference=True,
            to_keras=self._to_keras,
            call=lambda x, training: self.head(self.encoder(x, training=training)),
            settings={"inner_lr": self.inner_lr, "adapted": "encoder and head" if self.adapt_encoder else "head"},
        )

    # -- training: an ordinary classifier ------------------------------------------------------------------------
    def _learn(self, data) -> dict[str, tf.Tensor]:
        """One step on a batch of images `[batch, ...]` and labels `[batch]`."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        groups = {name: list(variables) for name, variables in self.parameter_groups().items()}
        with tf.GradientTape() as tape:
            logits = self(x, training=True)
            loss = cross_entropy(y, logits)
        self.apply(tape.gradient(loss, groups))
        return {"loss": loss, "accuracy": accuracy(y, logits)}

    def _check_images(self, dataset) -> None:
        """Refuse anything but a dataset of (images, labels).

        Raises:
            TypeError: if it is not such a dataset.
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
            as_task = self.cast(Episode(images[None], labels[None], images[None], labels[None]), axes=2)
            episode_checks.check_shape(self.encoder, as_task)
            episode_checks.check_finite(as_task)
            self.input_scale = scale_of_images(as_task.support_x)
            replicas.check_even("batch_size", labels.shape[0], self.distribute_strategy)
            if int(tf.reduce_max(labels)) >= self.n_classes or int(tf.reduce_min(labels)) < 0:
                raise ValueError(
                    f"labels must run from 0 to n_classes - 1 = {self.n_classes - 1}. "
                    f"Received: labels from {int(tf.reduce_min(labels))} to {int(tf.reduce_max(labels))}"
                )

    # -- a new task ----------------------------------------------------------------------------------------------
    def _embedded(self, episode: Episode) -> Episode:
        """Embeddings, made once, where the encoder stays as it is; else the images."""
        if self.adapt_encoder:
            return episode
        return episode._replace(**{part: self.encoder(getattr(episode, part)) for part in ("support_x", "query_x")})

    def _start(self, params: Params, episode: Episode, run: Run) -> list[tf.Tensor]:
        """[phi if the encoder adapts, kernel `[dim, n_way]`, bias `[n_way]`], the last two zero."""
        phi = params["network"] if self.adapt_encoder else []
        n_way, dtype = count_classes(episode), self.head.kernel.dtype
        return [*phi, tf.zeros([self.dim, n_way], dtype), tf.zeros([n_way], dtype)]

    def _outputs(self, fast: Tensors, x: tf.Tensor, run: Run, k) -> tf.Tensor:
        """Logits `[batch, n_way]` of images if the encoder adapts, else of embeddings."""
        *phi, kernel, bias = fast
        if phi:
            x = forward(self.encoder, phi, x, training=False)
        return tf.matmul(full_precision(x), kernel) + bias

    def _to_keras(self, fast: Tensors, support_x, support_y) -> keras.Model:
        """A copy of the encoder with the new linear layer."""
        *phi, kernel, bias = fast
        phi = phi or values(self.encoder.trainable_variables)
        return copies.with_linear_head(self.encoder, phi, kernel, bias, support_x)
