"""Several adapted models for one task."""

from __future__ import annotations

import keras

from tfmeta.training import finishing, inputs, judging


def sample_adapted(learner, support_x, support_y, inner_steps: int | None = None) -> list[keras.Model]:
    """Adapt several models to one task: those whose mean prediction `learner.adapt` gives.

    Args:
        learner: one that has several models for a task, such as `PLATIPUS` or `MAMLEnsemble`.
        support_x: `[n_way * k_shot, ...]`, scaled as in training.
        support_y: labels `[n_way * k_shot]`, or targets.
        inner_steps: inner steps; `eval_inner_steps` by default.

    Returns:
        Ordinary Keras models, as many as `learner.samples` says.

    Raises:
        TypeError: if the learner has one model for a task.
        ValueError: if inputs and labels do not fit the learner.

    References:
        Finn, Xu, Levine (2018), algorithm 2: sampling models at test time. https://arxiv.org/abs/1806.02817
    """
    if learner.method.samples == 1:
        raise TypeError(
            "learner must have several models for a task, as PLATIPUS and MAMLEnsemble have. "
            f"Received: learner={learner.label} with one"
        )
    task = inputs.support_task(learner, support_x, support_y, inner_steps)
    models = judging.adapted_models(learner, task, inner_steps)
    return [finishing.finish(model, task.support_x, learner.input_scale, None) for model in models]
