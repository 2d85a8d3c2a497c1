"""Whether episodes that are right one by one are also drawn as they should be: all classes, all images, all ways."""

from __future__ import annotations

import numpy as np

from tfmeta.checks.report import require

# Of 40 draws with fixed seeds; a uniform sampler misses each of these marks with a probability below 1e-6.


def examine_coverage(found: list, n_way: int, n_classes: int, per_class: int) -> None:
    """Refuse a sampler that never draws some classes or images, or draws them in one pattern only.

    Args:
        found: for each episode the class behind each label, and the (class, number) of support and of query images.
        n_way: number of classes of an episode.
        n_classes: number of classes of the data set.
        per_class: images of each class.

    Raises:
        WrongAnswerError: with what is wrong.
    """
    _examine_classes([assigned for assigned, _, _ in found], n_way, n_classes)
    support, query = ([_by_class(episode[part]) for episode in found] for part in (1, 2))
    ever = [[_seen(sets, c) for c in range(n_classes)] for sets in (support, query)]
    everywhere = min(len(s | q) for s, q in zip(*ever, strict=True))
    require(
        everywhere == per_class,
        f"some images are never drawn: of a class's {per_class} images only {everywhere} ever occur. Are a class's "
        "first rows taken, or its last ones? Draw which rows to take, too, from all of the class.",
    )
    fewest = [min(len(numbers) for numbers in part) for part in ever]
    for name, other, few in (("support", "query", fewest[0]), ("query", "support", fewest[1])):
        require(
            few >= per_class - 1,
            f"only {few} of a class's {per_class} images ever get into its {name} set; the rest serve as {other} "
            "images only, or never. Draw all k_shot + n_query rows at random and cut them afterwards: any image may "
            f"turn up in either set. A {name} set from fixed rows judges a learner on one lucky or unlucky choice.",
        )
    require(
        any(len({frozenset(numbers) for numbers in episode.values()}) > 1 for episode in support),
        "within an episode all classes take the same rows: one draw of row numbers serves for all of them. In Omniglot "
        "row j of every character is by the same hand, so that the hand would be learned. Draw anew for each class.",
    )
    ways = len({(c, frozenset(numbers)) for episode in support for c, numbers in episode.items()})
    require(
        ways > n_classes * per_class,
        "support images are always neighbours in the data set: a block of rows from a random place. Draw each row by "
        "itself (rng.choice without replacement, or a permutation).",
    )


def _examine_classes(assigned: list, n_way: int, n_classes: int) -> None:
    seen = set().union(*assigned)
    require(
        len(seen) == n_classes,
        f"only {len(seen)} of the data set's {n_classes} classes ever occur, {sorted(c + 10 for c in seen)}. Draw the "
        "classes from all that there are, or the learner never meets the rest.",
    )
    require(
        any(list(np.argsort(one)) != list(np.argsort(assigned[0])) for one in assigned[1:]),
        "classes are always numbered in the order of the data set, or in another order that never changes. Deal the "
        "labels at random, or a learner can recognise a class by its label instead of reading the support set. "
        "(Sorted, perhaps by np.unique?)",
    )
    together = len({frozenset(one) for one in assigned})
    require(
        together > n_classes,
        f"only {together} different groups of {n_way} classes ever occur together, such as neighbours. Draw each class "
        "by itself, without replacement: the number of tasks that can be made is what a few-shot learner lives on.",
    )


def _by_class(identities: list) -> dict:
    sets: dict = {}
    for c, number in identities:
        sets.setdefault(c, set()).add(number)
    return sets


def _seen(sets: list, c: int) -> set:
    return set().union(*(episode.get(c, set()) for episode in sets))
