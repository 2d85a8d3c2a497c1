"""Checks of tutorial 01: drawing an episode."""

from __future__ import annotations

import numpy as np

from tfmeta.checks.report import Result, judge, require

N_CLASSES, PER_CLASS = 7, 6
DRAWS = 40


def sample_episode(answer) -> Result:
    """Check a function that draws one episode in NumPy.

    Args:
        answer: `answer(images, labels, n_way, k_shot, n_query, rng)` with images `[n, height, width, channels]`,
            integer labels `[n]` and a NumPy generator; returns `support_x` `[n_way * k_shot, ...]`, `support_y`,
            `query_x` `[n_way * n_query, ...]`, `query_y`.

    Returns:
        A `Result`. Rejected with words of their own: classes drawn twice, images drawn twice, an image in both sets,
        labels that are not 0 to `n_way - 1`, labels that do not fit, labels that follow the order of the classes, a
        generator that is not used.

    References:
        Vinyals et al. (2016), section 3. https://arxiv.org/abs/1606.04080
    """
    return judge("sample_episode", answer, _examine)


def _examine(call) -> str:
    n_way, k_shot, n_query = 5, 2, 3
    # Every image is its own name: pixel 0 is the class, pixel 1 the number within the class. Labels start at 10.
    classes = np.repeat(np.arange(N_CLASSES), PER_CLASS)
    images = np.zeros((len(classes), 2, 1, 1), np.float32)
    images[:, 0, 0, 0], images[:, 1, 0, 0] = classes, np.tile(np.arange(PER_CLASS), N_CLASSES)
    labels = classes + 10
    in_order, drawn = True, []
    for seed in range(DRAWS):
        episode = call(images, labels, n_way, k_shot, n_query, np.random.default_rng(seed))
        assigned = _one_episode(episode, n_way, k_shot, n_query)
        in_order &= bool(np.all(np.diff(assigned) > 0))
        drawn.append(np.concatenate([np.ravel(np.asarray(part)) for part in episode]))
    again = call(images, labels, n_way, k_shot, n_query, np.random.default_rng(0))
    again = np.concatenate([np.ravel(np.asarray(part)) for part in again])
    require(
        np.array_equal(again, drawn[0]),
        "the same generator state gave two different episodes. Draw everything from `rng`, nothing from `np.random`: "
        "an experiment that cannot be repeated cannot be believed.",
    )
    require(
        any(not np.array_equal(drawn[0], other) for other in drawn[1:]),
        "every generator gave the same episode. Draw the classes and the images from `rng`.",
    )
    require(
        not in_order,
        "classes are always numbered in the order of the data set. Deal the labels at random, or a learner can "
        "recognise a class by its label instead of reading the support set. (Sorted, perhaps by np.unique?)",
    )
    return (
        f"{DRAWS} episodes have distinct classes, distinct images, no image in both sets, and labels 0 to n_way - 1 "
        "dealt at random."
    )


def _one_episode(episode, n_way: int, k_shot: int, n_query: int) -> np.ndarray:
    """Refuse one wrong episode; returns the class behind each label."""
    require(len(episode) == 4, f"return support_x, support_y, query_x, query_y: four arrays, not {len(episode)}.")
    support_x, support_y, query_x, query_y = (np.asarray(part) for part in episode)
    for name, x, y, each in (("support", support_x, support_y, k_shot), ("query", query_x, query_y, n_query)):
        wanted = (n_way * each, 2, 1, 1)
        require(
            x.shape == wanted and y.shape == wanted[:1],
            f"{name}_x must have shape {wanted} and {name}_y {wanted[:1]} for {n_way} classes with {each} images each; "
            f"yours have {x.shape} and {y.shape}.",
        )
        require(
            not np.any(y >= 10),
            f"{name}_y holds the data set's own labels ({sorted(set(y.tolist()))}). In an episode classes are "
            f"relabelled 0 to {n_way - 1}: what a label means is told by the support set alone.",
        )
        require(
            np.array_equal(np.bincount(y.astype(int), minlength=n_way), [each] * n_way),
            f"every label from 0 to {n_way - 1} must occur {each} times in {name}_y; yours: {np.sort(y).tolist()}.",
        )
    support_ids, query_ids = _identities(support_x), _identities(query_x)
    behind = [{c for (c, _), y in zip(support_ids, support_y, strict=True) if y == k} for k in range(n_way)]
    require(
        all(len(found) == 1 for found in behind),
        "support images of different classes share a label. Label k must mean one class throughout the episode.",
    )
    assigned = [found.pop() for found in behind]
    require(
        len(set(assigned)) == n_way,
        "one class occurs twice under two labels: the classes were drawn with replacement. No learner can tell two "
        "labels of one class apart. (rng.choice draws with replacement unless told otherwise.)",
    )
    require(
        all(assigned[int(y)] == c for (c, _), y in zip(query_ids, query_y, strict=True)),
        "a query image has the label of another class. Support and query must be labelled by the same dealing.",
    )
    require(
        not set(support_ids) & set(query_ids),
        "an image is in the support set and in the query set: images were drawn with replacement, or twice. A learner "
        "that remembers its support set then scores without having understood anything.",
    )
    require(
        len(set(support_ids)) == len(support_ids) and len(set(query_ids)) == len(query_ids),
        "an image occurs twice within one set: images were drawn with replacement. Two copies of one example are one "
        "example.",
    )
    return np.asarray(assigned)


def _identities(x: np.ndarray) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in x[:, :, 0, 0]]
