"""What a score rests on: few classes, or few images that are drawn over and over, say little about others."""

from __future__ import annotations

from tfmeta.core.words import counted
from tfmeta.datasets import ImageClasses
from tfmeta.evaluation import Score
from tfmeta.tasks.sampling import episode_dataset

FEW_CLASSES, FEW_IMAGES = 10, 200


def note(score: Score, classes: ImageClasses) -> str:
    """Warn of a score that rests on little.

    Args:
        score: over episodes of `classes`, with its seed and sizes as numbers.
        classes: what its episodes were drawn from.

    Returns:
        One line; empty where there are ten classes or more and 200 images or more.
    """
    queries = score.episodes * score.n_way * score.n_query
    few = classes.n_classes < FEW_CLASSES
    if not few and min(len(classes.images), queries) >= FEW_IMAGES:
        return ""
    images = _query_images(score, classes)
    return (
        f"note: this rests on {counted(classes.n_classes, 'class', 'classes')} and {images} distinct query images"
        + (f", asked {queries / images:.0f} times each" if queries >= 2 * images else "")
        + "; other classes may score differently, beyond the interval"
    )


def _query_images(score: Score, classes: ImageClasses) -> int:
    """Count the images that were queries; the episodes are drawn once more."""
    sizes = {"n_way": score.n_way, "k_shot": score.k_shot, "n_query": score.n_query}
    stream = episode_dataset(classes, **sizes, meta_batch_size=1, seed=score.seed, with_ids=True)
    seen: set[int] = set()
    for _, ids in stream.take(score.episodes):
        seen.update(ids.query.numpy().ravel().tolist())
        if len(seen) == len(classes.images):
            break
    return len(seen)
