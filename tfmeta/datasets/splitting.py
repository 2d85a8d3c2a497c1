"""Classes divided at random into those to learn from and those to be judged on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfmeta.core.validation import check_flags
from tfmeta.core.words import counted
from tfmeta.datasets.classes import ImageClasses, Splits


def split_classes(
    classes: ImageClasses, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0, by_alphabet: bool = False
) -> Splits:
    """Divide classes at random into train, validation and test; no class is in two parts and no part is empty.

    Args:
        classes: what to divide.
        fractions: shares of train, validation and test, above 0, adding up to 1; or of train and test alone, for data
            with few classes.
        seed: seed of the division, 0 or more.
        by_alphabet: keep the classes of an alphabet together, so that test characters come from unseen alphabets; the
            shares then count alphabets.

    Returns:
        `Splits`, each part named after `classes` with its part's name behind; `validation` is `None` with two shares.

    Raises:
        TypeError: if `classes` is no `ImageClasses`.
        ValueError: if the fractions are not as described or there are fewer classes (or alphabets) than parts.

    References:
        Lake et al. (2015) divide by alphabet, Vinyals et al. (2016), section 4.1.1, by character.
        https://arxiv.org/abs/1606.04080
    """
    if not isinstance(classes, ImageClasses):
        raise TypeError(
            "classes must be an ImageClasses, such as from_arrays(images, labels). "
            f"Received: classes of type {type(classes).__name__}"
        )
    try:
        shares = np.asarray(fractions, float)
    except (TypeError, ValueError):
        shares = np.zeros(0)
    check_flags(by_alphabet=by_alphabet)
    if shares.shape not in ((2,), (3,)) or not np.all(shares > 0) or not np.isclose(shares.sum(), 1):
        raise ValueError(
            "fractions must be three numbers (train, validation, test) or two (train, test) above 0 that add up to 1. "
            f"Received: fractions={fractions}"
        )
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0. Received: seed={seed!r}")
    groups = np.array(classes.alphabets) if by_alphabet else np.arange(classes.n_classes)
    distinct = np.unique(groups)
    unit = ("alphabet", "alphabets") if by_alphabet else ("class", "classes")
    if len(distinct) < len(shares):
        fewer = "; without a validation part 2 are enough: fractions=(0.5, 0.5)" if len(distinct) == 2 else ""
        words = {2: "two", 3: "three"}[len(shares)]
        raise ValueError(
            f"{words} parts need at least {len(shares)} {unit[1]}, because no class is in two{fewer}. "
            f"Received: {counted(len(distinct), *unit)} in {classes.name!r}"
        )
    order = np.random.default_rng(seed).permutation(distinct)
    # At least one each; what rounding leaves over goes to train.
    sizes = [max(1, round(share * len(order))) for share in shares[1:]]
    n_validation, n_test = sizes if len(shares) == 3 else (0, *sizes)
    while n_validation + n_test >= len(order):
        n_validation, n_test = (n_validation - 1, n_test) if n_validation > n_test else (n_validation, n_test - 1)
    chosen = {
        "validation": order[:n_validation],
        "test": order[n_validation : n_validation + n_test],
        "train": order[n_validation + n_test :],
    }
    parts = {
        part: classes.select(np.flatnonzero(np.isin(groups, members)), name=f"{classes.name} {part}")
        for part, members in chosen.items()
        if len(members)
    }
    return Splits(train=parts["train"], validation=parts.get("validation"), test=parts["test"])
