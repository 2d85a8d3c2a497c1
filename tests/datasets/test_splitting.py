import numpy as np
import pytest

from tfmeta.datasets import from_arrays, split_classes


@pytest.fixture
def twenty():
    names = [f"{alphabet}/{c}" for alphabet in "ABCDE" for c in range(4)]
    return from_arrays(np.zeros((40, 2, 2), np.uint8), np.repeat(np.arange(20), 2), names, name="mine")


def test_split_is_disjoint_and_complete(twenty):
    parts = split_classes(twenty)
    assert [part.n_classes for part in parts] == [12, 4, 4]
    assert set().union(*(part.class_names for part in parts)) == set(twenty.class_names)
    assert [part.name for part in parts] == ["mine train", "mine validation", "mine test"]


def test_split_depends_on_the_seed_alone(twenty):
    first, again, other = split_classes(twenty), split_classes(twenty), split_classes(twenty, seed=1)
    assert first.test.class_names == again.test.class_names != other.test.class_names


def test_split_by_alphabet(twenty):
    parts = split_classes(twenty, by_alphabet=True)
    assert [len(set(part.alphabets)) for part in parts] == [3, 1, 1]
    assert [part.n_classes for part in parts] == [12, 4, 4]


@pytest.mark.parametrize("n", [3, 4, 5, 7])
@pytest.mark.parametrize("fractions", [(0.98, 0.01, 0.01), (0.01, 0.01, 0.98), (0.01, 0.98, 0.01), (0.2, 0.4, 0.4)])
def test_no_part_is_empty(twenty, n, fractions):
    parts = split_classes(twenty.select(range(n)), fractions)
    assert min(part.n_classes for part in parts) >= 1
    assert sum(part.n_classes for part in parts) == n


def test_too_few_to_split(twenty):
    with pytest.raises(ValueError, match=r"at least 3 classes.*2 are enough.*Received: 2 classes in 'mine'"):
        split_classes(twenty.select([0, 1]))
    with pytest.raises(ValueError, match=r"at least 3 alphabets.*2 are enough.*Received: 2 alphabets"):
        split_classes(twenty.select(range(8)), by_alphabet=True)


@pytest.mark.parametrize(
    "fractions",
    [
        (1.0,),
        (0.5, 0.6),
        (1.0, 0.0),
        0.5,
        (0.25,) * 4,
        (0.5, 0.6, -0.1),
        (0.5, 0.5, 0.0),
        (0.5, 0.2, 0.2),
        (np.nan, 0.5, 0.5),
    ],
)
def test_bad_fractions(twenty, fractions):
    with pytest.raises(ValueError, match=r"add up to 1. Received: fractions="):
        split_classes(twenty, fractions)


def test_bad_seed(twenty):
    with pytest.raises(ValueError, match=r"Received: seed=-1"):
        split_classes(twenty, seed=-1)


@pytest.mark.parametrize("n", [2, 3, 7, 20])
@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.99, 0.01), (0.01, 0.99)])
def test_two_shares_make_no_validation_part(twenty, n, fractions):
    parts = split_classes(twenty.select(range(n)), fractions, seed=3)
    assert parts.validation is None
    assert min(parts.train.n_classes, parts.test.n_classes) >= 1
    assert {*parts.train.class_names, *parts.test.class_names} == set(twenty.class_names[:n])
    assert parts.train.n_classes + parts.test.n_classes == n
    assert (parts.train.name, parts.test.name) == ("mine train", "mine test")
    if n == 20:
        assert parts.test.n_classes == {0.5: 10, 0.01: 1, 0.99: 19}[fractions[1]]


def test_two_alphabets_make_two_parts_and_one_class_none(twenty):
    parts = split_classes(twenty.select(range(8)), (0.5, 0.5), by_alphabet=True)
    assert {len(set(part.alphabets)) for part in (parts.train, parts.test)} == {1}
    with pytest.raises(ValueError, match=r"two parts need at least 2 classes.*Received: 1 class in 'mine'"):
        split_classes(twenty.select([0]), (0.5, 0.5))


def test_the_division_into_three_is_as_it_always_was(twenty):
    parts = split_classes(twenty, seed=5)
    order = np.random.default_rng(5).permutation(20)
    for part, members in zip(parts, (order[8:], order[:4], order[4:8]), strict=True):
        assert part.class_names == tuple(twenty.class_names[k] for k in sorted(members))


def test_arrays_are_no_classes():
    with pytest.raises(TypeError, match=r"classes must be an ImageClasses.*Received: classes of type ndarray"):
        split_classes(np.zeros((3, 2, 2)))
