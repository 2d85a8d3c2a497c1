"""A learner at test time: outputs on queries, what is reported of a task, and its path through the inner loop."""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf

from tfmeta.core.episode import Episode, task_spec, together
from tfmeta.core.forward import full_precision
from tfmeta.core.inner_loop import Watch
from tfmeta.core.noise import without_dropout
from tfmeta.training import averaging, copies, episode_checks
from tfmeta.training.method import Run
from tfmeta.training.parallel import SCALAR, map_tasks


class Members(NamedTuple):
    """What the adapted models of one task say of its queries, before anything is averaged.

    Args:
        outputs: `[samples, n_way * n_query, n_outputs]`.
        variances: of what will be observed, likewise; None of a method that does not say how sure it is.
    """

    outputs: tf.Tensor
    variances: tf.Tensor | None


def query_outputs(learner, episode: Episode, transductive: bool, key: tf.Tensor) -> tf.Tensor:
    """Outputs on one task's queries; see `EpisodicLearner.query_outputs`.

    Args:
        learner: an `EpisodicLearner`.
        episode: one task, without a meta-batch axis.
        transductive: let batch norm use the statistics of all queries together.
        key: the task's randomness.

    Returns:
        `[n_way * n_query, n_outputs]`.
    """
    found = member_outputs(learner, episode, transductive, key, variances=False).outputs
    if found.shape[0] == 1:
        return found[0]
    return averaging.averaged(found, episode_checks.is_classification(episode))


def member_outputs(
    learner, episode: Episode, transductive: bool, key: tf.Tensor, *, variances: bool = True
) -> Members:  # fmt: skip
    """Outputs of each of a task's adapted models on its queries.

    Args:
        learner: an `EpisodicLearner`.
        episode: one task, without a meta-batch axis.
        transductive: let batch norm use the statistics of all queries together.
        key: the task's randomness, of which each model has a part of its own.
        variances: whether these are asked for, too.

    Returns:
        `Members`, one model for each of `Method.samples`.
    """
    samples = learner.method.samples
    runs = [Run(key=key)] if samples == 1 else [Run(key=key * samples + i) for i in range(samples)]
    asked = ("outputs", "variance") if variances and learner.method.variance is not None else ("outputs",)
    found = [_of_one(learner, episode, transductive, run, asked) for run in runs]
    outputs, *rest = (tf.stack(one) for one in zip(*found, strict=True))
    return Members(outputs, rest[0] if rest else None)


def _of_one(learner, episode: Episode, transductive: bool, run: Run, asked: tuple[str, ...]) -> list[tf.Tensor]:
    """What one adapted model says of the queries, by the names of fields of the method."""
    method, k = learner.method, tf.constant(learner.eval_inner_steps)
    with without_dropout(learner.network):
        fast = learner.adapted(learner.parameters(), episode, run).params
        at_once = transductive or method.inference or not copies.batch_norm_layers(learner.network)
        found = [_on_queries(method, fast, episode, run, k, at_once, name) for name in asked]
        return [tf.broadcast_to(one, tf.shape(found[0])) for one in found]


def _on_queries(method, fast, episode: Episode, run: Run, k, at_once: bool, name: str) -> tf.Tensor:
    function = getattr(method, name)
    if at_once:
        return function(fast, episode.query_x, run, k)
    if method.alone is not None and name == "outputs":
        return method.alone[0](fast, episode, run, k)
    dtype = full_precision(fast[-1]).dtype  # of the last layer; else map_fn takes that of its input

    def alone(query):
        one = tf.nest.map_structure(lambda x: x[None], query)
        found = function(fast, together(episode.support_x, one), run, k)
        return tf.cast(found[-1], dtype)

    return tf.map_fn(alone, episode.query_x, fn_output_signature=dtype)


def adapted_model(learner, task: Episode, inner_steps: int | None) -> keras.Model:
    """An ordinary Keras model for a task; see `EpisodicLearner.adapt`.

    Args:
        learner: an `EpisodicLearner`.
        task: a checked support set.
        inner_steps: inner steps; the learner's own number at test time by default.

    Returns:
        A Keras model. Where the network runs in training mode at test time, its batch norm holds the statistics of the
        support set.
    """
    models = adapted_models(learner, task, inner_steps)
    if len(models) == 1:
        return models[0]
    return averaging.averaged_model(models, task.support_x, episode_checks.is_classification(task))


def adapted_models(learner, task: Episode, inner_steps: int | None) -> list[keras.Model]:
    """The models of a task whose predictions are averaged; one for most methods.

    Args:
        learner: an `EpisodicLearner`.
        task: a checked support set.
        inner_steps: inner steps; the learner's own number at test time by default.

    Returns:
        Keras models, as `adapted_model`.
    """
    models = []
    for i in range(learner.method.samples):
        weights = learner.fast_weights(task, inner_steps, key=i)
        if learner.method.to_keras is None:
            model = copies.copy_model(learner.network, weights, task.support_x)
        else:
            model = learner.method.to_keras(weights, task.support_x, task.support_y)
        if not learner.method.inference:
            copies.set_batch_norm_statistics(model, task.support_x)
        models.append(model)
    return models


def batch_norm_mode(learner, transductive: bool) -> str:
    """Say which statistics batch norm uses when queries are judged.

    Args:
        learner: an `EpisodicLearner`.
        transductive: let batch norm use the statistics of all queries together.

    Returns:
        In words.
    """
    if not copies.batch_norm_layers(learner.network):
        return "none in the network"
    if learner.method.inference:
        return "moving averages of training"
    if transductive:
        return "statistics of all queries together"
    alone = learner.method.alone
    return "statistics of the support set and one query" if alone is None else alone[1]


def path_names(learner, task: Episode) -> list[str]:
    """List what an adaptation path holds.

    Args:
        learner: an `EpisodicLearner`.
        task: an `Episode` without a meta-batch axis, of which only types and shapes are looked at.

    Returns:
        Names of losses and, where hits can be counted, of accuracies.
    """
    accuracies = [] if learner.hits_of(task) is None else ["support_accuracy", "query_accuracy"]
    return ["support_loss", "query_loss", *accuracies]


def adaptation_path(learner, episode: Episode, inner_steps: int) -> dict[str, tf.Tensor]:
    """Loss and accuracy after each inner step; see `EpisodicLearner.adaptation_path`.

    Args:
        learner: an `EpisodicLearner` with an inner loop.
        episode: one task, without a meta-batch axis.
        inner_steps: steps to follow.

    Returns:
        `[inner_steps + 1]` for each of `path_names`.
    """
    names, hits = path_names(learner, episode), learner.hits_of(episode)
    targets = {"support": episode.support_y, "query": episode.query_y}

    def judged(outputs):
        found = {}
        for part, y in targets.items():
            found[f"{part}_loss"] = tf.cast(learner.loss_of(y, outputs[part]), tf.float32)
            if f"{part}_accuracy" in names:
                found[f"{part}_accuracy"] = hits.share(y, outputs[part])
        return found

    if learner.method.samples == 1:
        return _path_of_one(learner, episode, inner_steps, judged, dict.fromkeys(names, SCALAR), 0)
    # The path of the mean prediction: the outputs of every model after each step, then what is made of them.
    like = dict.fromkeys(targets, tf.TensorSpec(None, averaging.output_dtype(learner.network)))
    paths = [_path_of_one(learner, episode, inner_steps, lambda o: o, like, i) for i in range(learner.method.samples)]
    of_models = tf.nest.map_structure(lambda *rows: tf.stack(rows), *paths)
    classification = episode_checks.is_classification(episode)

    def after(k):
        return judged({part: averaging.averaged(outputs[:, k], classification) for part, outputs in of_models.items()})

    return tf.map_fn(after, tf.range(inner_steps + 1), fn_output_signature=dict.fromkeys(names, SCALAR))


def _path_of_one(learner, episode: Episode, inner_steps: int, judged, like, key: int):
    """What is made of the outputs of one model on support and query set, after each inner step."""
    run = Run(key=tf.constant(key, tf.int64))

    def look(fast, k):
        return judged({
            "support": learner.method.outputs(fast, episode.support_x, run, k),
            "query": learner.method.outputs(fast, episode.query_x, run, k),
        })  # fmt: skip

    with without_dropout(learner.network):
        end = learner.adapted(learner.parameters(), episode, run, steps=inner_steps, watch=Watch(look, like))
        last = look(end.params, tf.convert_to_tensor(inner_steps))
    return tf.nest.map_structure(lambda seen, one: tf.concat([seen, one[None]], axis=0), end.seen, last)


def measure(learner, episodes: Episode) -> dict[str, tf.Tensor]:
    """Measure a meta-batch without learning from it.

    Args:
        learner: an `EpisodicLearner`.
        episodes: a meta-batch.

    Returns:
        Loss and accuracy, one value a task; with an inner loop also those before and after it, on support and query.
    """
    if not learner.has_inner_loop:
        return _measure_once(learner, episodes)

    def one_task(episode):
        path = learner.adaptation_path(episode, learner.eval_inner_steps)
        return {name: tf.stack([value[0], value[-1]]) for name, value in path.items()}

    names = path_names(learner, task_spec(episodes))
    ends = map_tasks(one_task, episodes, dict.fromkeys(names, tf.TensorSpec([2], tf.float32)))
    results = {kind: ends[f"query_{kind}"][:, 1] for kind in ("loss", "accuracy") if f"query_{kind}" in names}
    for name in names:
        results[f"{name}_before"], results[f"{name}_after"] = ends[name][:, 0], ends[name][:, 1]
    return results


def _measure_once(learner, episodes: Episode) -> dict[str, tf.Tensor]:
    hits = learner.hits_of(task_spec(episodes))

    def one_task(episode):
        outputs, found = learner.query_outputs(episode), {}
        if hits is not None:
            found["accuracy"] = hits.share(episode.query_y, outputs)
        if learner.method.scores:
            found["loss"] = tf.cast(learner.loss_of(episode.query_y, outputs), tf.float32)
        return found

    names = ["accuracy"] * (hits is not None) + ["loss"] * learner.method.scores
    return map_tasks(one_task, episodes, dict.fromkeys(names, SCALAR))
