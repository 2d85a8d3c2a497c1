"""How meta-batches are judged: by a learner in a graph, by what adapts, or by a model that predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode, task_spec
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.outputs import LABELS, Hits, hits_for
from tfmeta.training.parallel import SCALAR


class Judgement(NamedTuple):
    """What was found in a meta-batch.

    Args:
        values: accuracies, or losses of regression, `[meta_batch_size]`.
        predictions: predicted labels `[meta_batch_size, n_way * n_query]`, -1 where an output is not a number; `None`
            for regression.
        losses: of queries with labels `[meta_batch_size]`; `None` for regression, whose losses are the values, where
            there is no loss, or nobody knows whether outputs are logits or probabilities.
        outputs: of each episode on its queries, `[n_way * n_query, n_outputs]`; `None` where nobody asked a graph for
            them, and for regression.
    """

    values: np.ndarray
    predictions: np.ndarray | None
    losses: np.ndarray | None = None
    outputs: Sequence[np.ndarray] | None = None


class Judge(NamedTuple):
    """Who judges, and what a reader of the score must know of it.

    Args:
        of: function of a meta-batch and the number of its first episode, which is the episodes' randomness.
        settings: the learner's settings at test time.
        batch_norm: which statistics batch norm uses for queries.
        loss_name: name of the loss of regression.
    """

    of: Callable[[Episode, int], Judgement]
    settings: dict
    batch_norm: str
    loss_name: str


def hits_of(learner, episodes: Episode) -> Hits | None:
    """How hits are counted, None for regression.

    Args:
        learner: an `EpisodicLearner`, or anything else that is judged.
        episodes: a meta-batch, or the specification of one.

    Returns:
        `Hits`.
    """
    if not isinstance(episodes, Episode):
        return LABELS  # what is no episode is refused where it is read
    task = task_spec(episodes)
    if isinstance(learner, EpisodicLearner):
        return learner.hits_of(task)
    return hits_for(None, task.query_y, (None,))


def method_of(learner) -> str:
    """What a score calls the method of a learner.

    Args:
        learner: an `EpisodicLearner`, or anything else that is judged.

    Returns:
        Its method, after the name that the user gave it, if that is another.
    """
    method = getattr(learner, "method_label", type(learner).__name__)
    label = getattr(learner, "label", method)
    return method if label == method else f"{label} ({method})"


def judge_of(learner, data, *, transductive: bool, hits: Hits | None, outputs: bool = False) -> Judge:
    """Choose how a learner is judged.

    Args:
        learner: an `EpisodicLearner`, something with `adapt`, or a Keras model.
        data: what it is to be judged on.
        transductive: let batch norm see all queries together.
        hits: how hits are counted; None if the episodes have targets instead of labels.
        outputs: give the outputs on the queries of classification, too.

    Returns:
        The `Judge`.

    Raises:
        TypeError: if the learner can neither adapt nor predict.
    """
    if isinstance(learner, EpisodicLearner):
        loss = learner.loss_function
        name = (
            "mean squared error" if loss is None else getattr(loss, "name", None) or getattr(loss, "__name__", "loss")
        )
        return Judge(
            _in_a_graph(learner, transductive, hits, outputs),
            learner.evaluation_settings(),
            learner.batch_norm_mode(transductive=transductive),
            name.replace("_", " "),
        )
    if callable(getattr(learner, "adapt", None)) and not isinstance(learner, type):
        return Judge(_task_by_task(lambda x, y: learner.adapt(x, y)), {}, "the model's own", "mean squared error")
    if not isinstance(learner, keras.Model):
        raise TypeError(
            "learner must be a tfmeta learner, have a method adapt(support_x, support_y), or be a keras.Model. "
            f"Received: learner of type {type(learner).__name__}"
        )
    if not isinstance(data, Episode | list | tf.data.Dataset):
        raise TypeError(
            f"{learner.name!r} cannot adapt to classes that it does not know: give episodes of the classes that it "
            f"predicts. Received: data of type {type(data).__name__}"
        )
    return Judge(_task_by_task(lambda x, y: learner), {}, "the model's own", "mean squared error")


def _in_a_graph(learner: EpisodicLearner, transductive: bool, hits: Hits | None, asked: bool):
    regression, scores = hits is None, learner.method.scores

    def one_task(task):
        episode, key = task
        outputs = learner.query_outputs(episode, transductive=transductive, key=key)
        loss = tf.cast(learner.loss_of(episode.query_y, outputs), tf.float32) if scores else tf.constant(0.0)
        if regression:
            return loss
        answers = (*_answers(episode.query_y, outputs, hits), loss)
        return (*answers, _in_rows(tf.cast(outputs, tf.float32))) if asked else answers

    signature = SCALAR if regression else (SCALAR, tf.TensorSpec([None], tf.int32), SCALAR)
    graph = ("judge", transductive, regression)
    if asked:  # a graph of its own, so that scores without it give nothing more
        signature, graph = (*signature, tf.TensorSpec([None, None], tf.float32)), (*graph, "outputs")

    def judge(episodes: Episode, first: int) -> Judgement:
        keys = first + tf.range(episodes.support_y.shape[0], dtype=tf.int64)
        found = learner.map_compiled(one_task, (episodes, keys), signature, key=graph)
        if regression:
            return Judgement(found.numpy(), None)
        values, predictions, losses, *outputs = (part.numpy() for part in found)
        return Judgement(values, predictions, losses if scores else None, outputs[0] if outputs else None)

    return judge


def _answers(targets: tf.Tensor, outputs: tf.Tensor, hits: Hits) -> tuple[tf.Tensor, tf.Tensor]:
    """Accuracy and predicted labels; an output that is not a number has no largest one, and is wrong."""
    predictions = hits.prediction(outputs)
    return tf.reduce_mean(tf.cast(predictions == hits.label(targets), tf.float32)), predictions


def _in_rows(outputs: tf.Tensor) -> tf.Tensor:
    """Outputs `[batch, n_outputs]`, of those that are one number an example."""
    return outputs[:, None] if outputs.shape.rank == 1 else outputs


def _check_width(outputs: np.ndarray) -> None:
    """Of a single output the largest is always the first, however sure of the other class it is."""
    if outputs.ndim != 2 or outputs.shape[-1] == 1:
        raise ValueError(
            "outputs must be [n_query, n_way], one logit or probability per class of an episode. "
            f"Received: outputs with shape={outputs.shape}"
        )


def _task_by_task(model_for):
    """Judge by the predictions of Keras models, one for each support set."""

    def judge(episodes: Episode, first: int) -> Judgement:
        found = []
        for i in range(episodes.support_y.shape[0]):
            support_x, support_y, query_x, query_y = tf.nest.map_structure(lambda x, i=i: x[i].numpy(), episodes)
            model = model_for(support_x, support_y)
            if not callable(getattr(model, "predict_on_batch", None)):
                raise TypeError(f"adapt must return a Keras model. Received: an object of type {type(model).__name__}")
            outputs = np.asarray(model.predict_on_batch(query_x))
            if np.issubdtype(query_y.dtype, np.integer):
                if outputs.ndim == 2 and 1 < outputs.shape[1] <= query_y.max():
                    raise ValueError(
                        f"outputs must be at least {query_y.max() + 1} wide, one per class of an episode. "
                        f"Received: outputs with shape={outputs.shape}"
                    )
                _check_width(outputs)
                hits = hits_for(None, tf.constant(query_y), (None,))
                answers = _answers(tf.constant(query_y), tf.constant(outputs), hits)
                found.append([*(part.numpy() for part in answers), outputs])
                continue
            # Targets [n] minus outputs [n, 1] would be a matrix [n, n], with no error.
            if outputs.shape != query_y.shape:
                raise ValueError(
                    "outputs must have the shape of the targets. "
                    f"Received: outputs with shape={outputs.shape}, query_y with shape={query_y.shape}"
                )
            found.append([np.float32(np.mean((outputs.astype(np.float64) - query_y) ** 2)), None, None])
        values, predictions, outputs = zip(*found, strict=True)
        values = np.array(values)
        if predictions[0] is None:
            return Judgement(values, None)
        return Judgement(values, np.stack(predictions), outputs=outputs)

    return judge
