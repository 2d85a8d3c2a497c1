"""The pictures that the command line writes: an episode, adaptation, an embedding, a training log."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from tfmeta.app.building import Learner
from tfmeta.core.episode import Episode
from tfmeta.datasets import ImageClasses
from tfmeta.evaluation.curves import adaptation_curve
from tfmeta.machine import files
from tfmeta.plotting import BEFORE, COLOURS, plot_adaptation_curve, plot_embeddings, plot_episode
from tfmeta.tasks.sampling import episode_dataset, queries_left, sample_episode

_DRAWN = 8  # queries of a class


def save(axes, path: Path, *, force: bool = False) -> Path:
    """Write the figure of an axes as a PNG, whole or not at all, and close it.

    Args:
        axes: a Matplotlib axes.
        path: the PNG.
        force: replace an existing file.

    Returns:
        The path.

    Raises:
        FileExistsError: if the file exists and `force` is not set.
    """
    import matplotlib.pyplot as plt

    path = Path(path)
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists and is not overwritten; say --force to replace it")
    with files.whole(path) as beside:
        axes.figure.savefig(beside, dpi=100)
    plt.close(axes.figure)
    return path


def predictions(learner: Learner, episode: Episode) -> np.ndarray:
    """Classify an episode's queries after its support set.

    Args:
        learner: a trained learner.
        episode: one task, without a meta-batch axis.

    Returns:
        Predicted labels `[n_way * n_query]`.
    """
    return learner.query_outputs(episode).numpy().argmax(axis=-1)


def draw_episode(learner, data: ImageClasses, path: Path, *, n_way, k_shot, seed, title=None, force=False) -> Path:
    """Draw an episode of unseen classes with the learner's predictions.

    Args:
        learner: a trained learner.
        data: unseen classes.
        path: the PNG.
        n_way: classes in an episode.
        k_shot: support images per class.
        seed: seed of the episodes.
        title: the words before the number of right queries; the learner's label by default.
        force: replace an existing file.

    Returns:
        The path.

    Raises:
        FileExistsError: if the file exists and `force` is not set.
    """
    # All queries together, as many as in the scores: batch norm's statistics depend on it.
    n_query = queries_left(data, k_shot)
    episode = sample_episode(data, n_way=n_way, k_shot=k_shot, n_query=n_query, seed=seed)
    guessed = predictions(learner, episode)
    right = int(np.sum(guessed == episode.query_y.numpy()))
    title = f"{title or learner.label}: {right} of {len(guessed)} queries right"
    if (drawn := n_way * min(_DRAWN, n_query)) < len(guessed):
        title += f", {drawn} drawn"
    return save(plot_episode(episode, predictions=guessed, max_queries=_DRAWN, title=title), path, force=force)


def draw_adaptation(
    learner, data: ImageClasses, path: Path, *, n_way, k_shot, seed, inner_steps=8, force=False
) -> Path:
    """Draw a gradient-based learner's accuracy on unseen classes against inner steps.

    Args:
        learner: a trained learner with an inner loop.
        data: unseen classes.
        path: the PNG.
        n_way: classes in an episode.
        k_shot: support images per class.
        seed: seed of the episodes.
        inner_steps: steps to follow.
        force: replace an existing file.

    Returns:
        The path.

    Raises:
        FileExistsError: if the file exists and `force` is not set.
    """
    n_query = queries_left(data, k_shot)
    episodes = episode_dataset(data, n_way=n_way, k_shot=k_shot, n_query=n_query, meta_batch_size=20, seed=seed)
    return save(plot_adaptation_curve(adaptation_curve(learner, episodes.take(5), inner_steps)), path, force=force)


def draw_embedding(learner, data: ImageClasses, path: Path, *, n_way, k_shot, seed, force=False) -> Path:
    """Draw a metric learner's embedding of the classes of one episode.

    Args:
        learner: a trained learner with an `embed`.
        data: unseen classes.
        path: the PNG.
        n_way: classes in an episode.
        k_shot: support images per class.
        seed: seed of the episodes.
        force: replace an existing file.

    Returns:
        The path.

    Raises:
        FileExistsError: if the file exists and `force` is not set.
    """
    n_query = queries_left(data, k_shot)
    episode = sample_episode(data, n_way=n_way, k_shot=k_shot, n_query=n_query, seed=seed)
    support, query = learner.embed(episode.support_x).numpy(), learner.embed(episode.query_x).numpy()
    axes = plot_embeddings(support, episode.support_y.numpy(), query, episode.query_y.numpy())
    return save(axes, path, force=force)


def draw_log(log: Path, path: Path, *, force=False) -> Path:
    """Draw the accuracies of a run's `log.csv` against epochs, training and validation.

    Args:
        log: the CSV file.
        path: the PNG.
        force: replace an existing file.

    Returns:
        The path.

    Raises:
        FileExistsError: if the file exists and `force` is not set.
    """
    import matplotlib.pyplot as plt

    files.check_sum(log)
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    _, axes = plt.subplots(figsize=(5.0, 3.4), layout="constrained")
    epochs = [int(row["epoch"]) + 1 for row in rows]
    axes.plot(epochs, [100 * float(row["accuracy"]) for row in rows], "--o", color=BEFORE, label="training episodes")
    if rows and rows[0].get("val_accuracy") not in (None, "", "NA"):
        validation = [100 * float(row["val_accuracy"]) for row in rows]
        axes.plot(epochs, validation, "-o", color=COLOURS[0], label="validation episodes")
    axes.set_xlabel("epoch")
    axes.set_ylabel("query accuracy (%)")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.legend(frameon=False)
    return save(axes, path, force=force)


PICTURES = ("log.png", "episode.png", "adaptation.png", "embedding.png")


def draw_run(
    run: Path | None, learner, classes: ImageClasses, out: Path, *, n_way: int, k_shot: int, seed: int = 0,
    force: bool = False,
) -> list[Path]:  # fmt: skip
    """Draw all pictures of a finished run, or of a learner that has no run.

    Args:
        run: the run folder, for its log; `None` where there is none, and then no log is drawn.
        learner: the trained learner.
        classes: unseen classes to draw episodes from.
        out: folder for the PNGs; made if needed.
        n_way: classes in an episode.
        k_shot: support images per class.
        seed: seed of the episode.
        force: replace existing pictures.

    Returns:
        Their paths.

    Raises:
        FileExistsError: if a picture exists and `force` is not set; nothing is drawn then.
        ValueError: if the classes are too few or too small; nothing is written then.
    """
    import matplotlib

    matplotlib.use("Agg")
    out = Path(out)
    draw_last, last = (
        (draw_adaptation, "adaptation.png") if learner.has_inner_loop else (draw_embedding, "embedding.png")
    )
    names = [*(["log.png"] if run is not None else []), "episode.png", last]
    existing = [str(out / name) for name in names if (out / name).exists()]
    if existing and not force:
        raise FileExistsError(f"{', '.join(existing)} exists and is not overwritten; say --force to replace it")
    task = {"n_way": n_way, "k_shot": k_shot, "seed": seed}
    first = sample_episode(classes, **task, n_query=queries_left(classes, k_shot))
    learner.check_episode(Episode(*(part[None] for part in first)))
    out.mkdir(parents=True, exist_ok=True)
    log = [] if run is None else [draw_log(Path(run) / "log.csv", out / "log.png", force=force)]
    return [
        *log,
        draw_episode(learner, classes, out / "episode.png", **task, force=force),
        draw_last(learner, classes, out / last, **task, force=force),
    ]
