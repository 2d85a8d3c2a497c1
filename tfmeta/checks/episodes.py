"""Checks of tutorial 01: drawing an episode."""

from __future__ import annotations

import numpy as np

from tfmeta.checks.coverage import examine_coverage
from tfmeta.checks.report import SECONDS, Result, StoppedError, judge, require
from tfmeta.checks.values import as_array, as_list

N_CLASSES, PER_CLASS = 7, 6
DRAWS = 40
HINTS = (
    (
        "larger sample",
        "(This data set has 6 images of each class, labelled from 10. Pick a class's rows by its label.)",
    ),
    ("cannot be empty", "(This data set's labels start at 10: which of them there are is told by np.unique(labels).)"),
    ("must be greater than 0", "(This data set's labels start at 10: which there are is told by np.unique(labels).)"),
    ("out of bounds", "(Labels are names, not positions: pick a class's rows by np.flatnonzero(labels == c).)"),
)


def sample_episode(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check a function that draws one episode in NumPy.

    Args:
        answer: `answer(images, labels, n_way, k_shot, n_query, rng)` with images `[n, height, width, channels]`,
            integer labels `[n]` and a NumPy generator; returns `support_x` `[n_way * k_shot, ...]`, `support_y`,
            `query_x` `[n_way * n_query, ...]`, `query_y`. Images may be scaled or inverted on the way, all alike.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: classes drawn twice, images drawn twice, an image in both sets,
        labels that are not 0 to `n_way - 1`, labels that do not fit, labels that follow the order of the classes, a
        generator that is not used, classes or images that are never drawn, a support or query set that is always the
        same, neighbours drawn in a block, one draw of rows for all classes, rows taken by position instead of label, a
        data set that was changed.

    References:
        Vinyals et al. (2016), section 3. https://arxiv.org/abs/1606.04080
    """
    return judge("sample_episode", answer, _examine, HINTS, quiet=quiet, seconds=seconds)


def _data_set(order=None):
    """Every image is its own name: pixels 0 and 1 tell class and number; 2 and 3, black and white, undo a scaling."""
    classes, numbers = np.repeat(np.arange(N_CLASSES), PER_CLASS), np.tile(np.arange(PER_CLASS), N_CLASSES)
    pixels = [20 * classes + 10, 20 * numbers + 10, 0 * classes, 0 * classes + 255]
    images = np.stack(pixels, axis=1).reshape(-1, 2, 2, 1).astype(np.float32)
    order = np.arange(len(images)) if order is None else order
    return images[order], classes[order] + 10  # labels start at 10


def _examine(call) -> str:
    n_way, k_shot, n_query = 5, 2, 3
    images, labels = _data_set()
    before = images.copy(), labels.copy()
    drawn, found = [], []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        episode = call(images, labels, n_way, k_shot, n_query, rng)
        require(
            np.array_equal(images, before[0]) and np.array_equal(labels, before[1]),
            "your function changed the data set itself (shuffled or scaled in place). Everyone who draws after it gets "
            "other data: draw row numbers, and index with them.",
        )
        found.append(_one_episode(episode, n_way, k_shot, n_query))
        drawn.append(_flat(episode))
        if seed == 0:
            next_one = _flat(call(images, labels, n_way, k_shot, n_query, rng))
    again = _flat(call(images, labels, n_way, k_shot, n_query, np.random.default_rng(0)))
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
        not np.array_equal(drawn[0], next_one),
        "two episodes drawn one after the other from one generator are the same: `rng` was copied, so that it does not "
        "move on. Draw from `rng` itself.",
    )
    examine_coverage(found, n_way, N_CLASSES, PER_CLASS)
    _examine_shuffled(call, n_way, k_shot, n_query)
    return (
        f"{DRAWS} episodes have distinct classes, distinct images, no image in both sets, and labels 0 to n_way - 1 "
        "dealt at random; every class and every image gets its turn."
    )


def _examine_shuffled(call, n_way: int, k_shot: int, n_query: int) -> None:
    """A data set whose rows are in no order, and whose classes differ in size."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.setdiff1d(np.arange(N_CLASSES * PER_CLASS), [5, 12]))
    by_position = (
        "this works only where the rows of a class lie together and all classes have the same number of images. "
        "Nothing "
        "promises that: pick a class's rows by their label, np.flatnonzero(labels == c)."
    )
    for seed in range(4):
        try:
            episode = call(*_data_set(rows), n_way, k_shot, n_query, np.random.default_rng(seed))
        except StoppedError as stopped:
            require(False, f"{by_position} On shuffled rows {stopped}")
        _one_episode(episode, n_way, k_shot, n_query, mixed=by_position)


def _parts(episode) -> list[np.ndarray]:
    count = len(episode) if hasattr(episode, "__len__") else "one value"
    return as_list(episode, 4, f"return support_x, support_y, query_x, query_y: four arrays, not {count}.")


def _flat(episode) -> np.ndarray:
    return np.concatenate([np.ravel(as_array(part)) for part in _parts(episode)])


def _one_episode(episode, n_way: int, k_shot: int, n_query: int, mixed: str | None = None):
    """Refuse one wrong episode; returns the class behind each label, and (class, number) of each image of both sets."""
    support_x, support_y, query_x, query_y = (as_array(part) for part in _parts(episode))
    for name, x, y, each in (("support", support_x, support_y, k_shot), ("query", query_x, query_y, n_query)):
        wanted = (n_way * each, 2, 2, 1)
        require(
            x.shape == wanted and y.shape == wanted[:1],
            f"{name}_x must have shape {wanted} and {name}_y {wanted[:1]} for {n_way} classes with {each} images each; "
            f"yours have {x.shape} and {y.shape}.",
        )
        require(
            not np.any(y >= 10),
            f"{name}_y holds the data set's own labels ({sorted(set(y.astype(int).tolist()))}). In an episode classes "
            f"are relabelled 0 to {n_way - 1}: what a label means is told by the support set alone.",
        )
        require(
            np.array_equal(np.sort(y), np.repeat(np.arange(n_way), each)),
            f"every label from 0 to {n_way - 1} must occur {each} times in {name}_y; yours: {np.sort(y).tolist()}.",
        )
    support_ids, query_ids = _identities(support_x, "support"), _identities(query_x, "query")
    behind = [{c for (c, _), y in zip(support_ids, support_y, strict=True) if y == k} for k in range(n_way)]
    require(
        all(len(found) == 1 for found in behind),
        mixed
        or "support images of different classes share a label. Label k must mean one class throughout the episode.",
    )
    assigned = [found.pop() for found in behind]
    require(
        len(set(assigned)) == n_way,
        "one class occurs twice under two labels: the classes were drawn with replacement. No learner can tell two "
        "labels of one class apart. (rng.choice draws with replacement unless told otherwise.)",
    )
    require(
        all(assigned[int(y)] == c for (c, _), y in zip(query_ids, query_y, strict=True)),
        mixed
        or "a query image has the label of another class. Support and query must be labelled by the same dealing.",
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
    return assigned, support_ids, query_ids


def _identities(x: np.ndarray, name: str) -> list[tuple[int, int]]:
    """(class, number) of each image, whatever was added to all its pixels or multiplied with them."""
    pixels = x.reshape(len(x), 4)
    unknown = (
        f"{name}_x holds an image that is not in the data set. Return rows of `images`; scaling all pixels alike is "
        "fine."
    )
    span = pixels[:, 3] - pixels[:, 2]
    require(np.all(np.abs(span) > 1e-9), unknown)
    code = (255 * (pixels[:, :2] - pixels[:, 2:3]) / span[:, None] - 10) / 20
    found = np.rint(code).astype(int)
    require(np.all(np.abs(code - found) < 0.1), unknown)
    require(np.all((found >= 0) & (found < [N_CLASSES, PER_CLASS])), unknown)
    return [(int(c), int(number)) for c, number in found]
