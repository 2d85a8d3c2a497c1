"""The split by Omniglot's public table of alphabets; test_omniglot.py checks the same on the images."""

import numpy as np
import pytest

from tfmeta.datasets.omniglot_split import lake_parts, vinyals_parts

SIZES = {
    "Alphabet_of_the_Magi": 20, "Angelic": 20, "Anglo-Saxon_Futhorc": 29, "Arcadian": 26, "Armenian": 41,
    "Asomtavruli_(Georgian)": 40, "Atemayar_Qelisayer": 26, "Atlantean": 26, "Aurek-Besh": 26, "Avesta": 26,
    "Balinese": 24, "Bengali": 46, "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14, "Braille": 26,
    "Burmese_(Myanmar)": 34, "Cyrillic": 33, "Early_Aramaic": 22, "Futurama": 26, "Ge_ez": 26, "Glagolitic": 45,
    "Grantha": 43, "Greek": 24, "Gujarati": 48, "Gurmukhi": 45, "Hebrew": 22,
    "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16, "Japanese_(hiragana)": 52, "Japanese_(katakana)": 47,
    "Kannada": 41, "Keble": 26, "Korean": 40, "Latin": 26, "Malay_(Jawi_-_Arabic)": 40, "Malayalam": 47,
    "Manipuri": 40, "Mkhedruli_(Georgian)": 41, "Mongolian": 30, "N_Ko": 33,
    "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14, "Old_Church_Slavonic_(Cyrillic)": 45, "Oriya": 46, "Sanskrit": 42,
    "Sylheti": 28, "Syriac_(Estrangelo)": 23, "Syriac_(Serto)": 23, "Tagalog": 17, "Tengwar": 25, "Tibetan": 42,
    "Tifinagh": 55, "ULOG": 26,
}  # fmt: skip
LAKE_EVALUATION = {
    "Angelic", "Atemayar_Qelisayer", "Atlantean", "Aurek-Besh", "Avesta", "Ge_ez", "Glagolitic", "Gurmukhi",
    "Kannada", "Keble", "Malayalam", "Manipuri", "Mongolian", "Old_Church_Slavonic_(Cyrillic)", "Oriya", "Sylheti",
    "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG",
}  # fmt: skip


@pytest.fixture
def table():
    alphabets = [name for name, n in SIZES.items() for _ in range(n)]
    characters = [c + 1 for n in SIZES.values() for c in range(n)]
    return np.array(alphabets), np.array(characters)


def test_vinyals_counts_and_disjointness(table):
    parts = vinyals_parts(*table)
    assert {name: len(classes) for name, classes in parts.items()} == {"train": 1028, "validation": 172, "test": 423}
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(1623))


def test_vinyals_divides_only_gurmukhi(table):
    alphabets, characters = table
    of = {name: set(alphabets[classes]) for name, classes in vinyals_parts(*table).items()}
    assert of["train"] & of["test"] == {"Gurmukhi"}
    assert not of["validation"] & (of["train"] | of["test"])
    assert (len(of["train"]), len(of["validation"]), len(of["test"])) == (33, 5, 13)
    test = vinyals_parts(*table)["test"]
    assert set(characters[test][alphabets[test] == "Gurmukhi"]) == {42, 43, 44, 45}


def test_lake_counts(table):
    parts = lake_parts([name not in LAKE_EVALUATION for name in table[0]])
    assert {name: len(classes) for name, classes in parts.items()} == {"train": 964, "test": 659}
    assert len(set(table[0][parts["train"]])) == 30
    assert len(LAKE_EVALUATION) == 20


def test_table_is_that_of_the_data(omniglot, tmp_path):
    """The table above is the real data's; the miniature has some of its alphabets, with fewer characters."""
    from tfmeta.datasets import load_omniglot

    splits = load_omniglot("lake", data_dir=tmp_path, rotations=False)
    names, counts = np.unique(splits.train.alphabets + splits.test.alphabets, return_counts=True)
    found = dict(zip(names, counts, strict=True))
    assert sum(found.values()) == sum(omniglot.lake.values())
    assert set(splits.test.alphabets) == LAKE_EVALUATION & set(found)
    assert not set(splits.train.alphabets) & LAKE_EVALUATION
    if omniglot.real:
        assert found == SIZES
    else:
        assert all(count <= SIZES[name] for name, count in found.items())


def test_missing_alphabet_is_named(table):
    alphabets = np.where(table[0] == "ULOG", "Latin", table[0])
    with pytest.raises(ValueError, match=r"Received: missing=\['ULOG'\]"):
        vinyals_parts(alphabets, table[1])


def test_wrong_counts_are_refused(table):
    with pytest.raises(ValueError, match=r"1028.*Received: \{'train': 1027"):
        vinyals_parts(table[0][1:], table[1][1:])
    with pytest.raises(ValueError, match=r"964.*Received"):
        lake_parts(np.ones(1623, bool))
