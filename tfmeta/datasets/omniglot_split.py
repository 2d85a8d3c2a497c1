"""Which Omniglot character belongs to which part: the Vinyals split and Lake's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

VALIDATION_ALPHABETS = frozenset({"Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)"})
TEST_ALPHABETS = frozenset(
    {
        "Kannada",
        "Keble",
        "Malayalam",
        "Manipuri",
        "Mongolian",
        "Old_Church_Slavonic_(Cyrillic)",
        "Oriya",
        "Sylheti",
        "Syriac_(Serto)",
        "Tengwar",
        "Tibetan",
        "ULOG",
    }
)
# Gurmukhi is the one alphabet that the split divides: characters 1-41 are train, 42-45 test.
DIVIDED_ALPHABET, FIRST_TEST_CHARACTER = "Gurmukhi", 42
VINYALS_COUNTS = {"train": 1028, "validation": 172, "test": 423}
LAKE_COUNTS = {"train": 964, "test": 659}


def vinyals_parts(alphabets: Sequence[str], characters: Sequence[int]) -> dict[str, np.ndarray]:
    """Divide the 1623 characters into the parts used by most few-shot papers.

    Args:
        alphabets: alphabet of each character, `[1623]`.
        characters: number of each character within its alphabet, counted from 1, `[1623]`.

    Returns:
        Class indices of `"train"` `[1028]`, `"validation"` `[172]` and `"test"` `[423]`, ascending.

    Raises:
        ValueError: if an alphabet of the rule is missing, or the parts do not have these sizes.

    References:
        Vinyals et al. (2016), "Matching Networks for One Shot Learning", section 4.1.1 (1200 characters to train on);
        its division of them was published with Snell, Swersky, Zemel (2017), "Prototypical Networks for Few-shot
        Learning", section 3.1. https://arxiv.org/abs/1606.04080 https://arxiv.org/abs/1703.05175
    """
    missing = (VALIDATION_ALPHABETS | TEST_ALPHABETS | {DIVIDED_ALPHABET}) - set(alphabets)
    if missing:
        raise ValueError(f"alphabets must include all that the split names. Received: missing={sorted(missing)}")
    part = np.array(
        [
            "validation"
            if alphabet in VALIDATION_ALPHABETS
            else "test"
            if alphabet in TEST_ALPHABETS or (alphabet == DIVIDED_ALPHABET and character >= FIRST_TEST_CHARACTER)
            else "train"
            for alphabet, character in zip(alphabets, characters, strict=True)
        ]
    )
    return _checked({name: np.flatnonzero(part == name) for name in VINYALS_COUNTS}, VINYALS_COUNTS)


def lake_parts(background: Sequence[bool]) -> dict[str, np.ndarray]:
    """Divide the characters as Omniglot's authors did, into a background and an evaluation set.

    Args:
        background: whether a character is of the background set, `[1623]`.

    Returns:
        Class indices of `"train"` `[964]` (background, 30 alphabets) and `"test"` `[659]` (evaluation, 20 alphabets).

    Raises:
        ValueError: if the parts do not have these sizes.

    References:
        Lake, Salakhutdinov, Tenenbaum (2015), "Human-level concept learning through probabilistic program induction",
        Science 350. https://doi.org/10.1126/science.aab3050
    """
    chosen = np.asarray(background, bool)
    return _checked({"train": np.flatnonzero(chosen), "test": np.flatnonzero(~chosen)}, LAKE_COUNTS)


def _checked(parts: dict[str, np.ndarray], counts: dict[str, int]) -> dict[str, np.ndarray]:
    received = {name: len(classes) for name, classes in parts.items()}
    if received != counts:
        raise ValueError(f"the split must have {counts} characters. Received: {received}")
    return parts
