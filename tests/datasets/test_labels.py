"""Labels of a user's images: from anything that holds integers or strings, and never a missing one."""

import numpy as np
import pytest
import tensorflow as tf

from tfmeta.datasets import from_arrays


class Column:
    """What a pandas Series, Categorical or string array is to NumPy: something that becomes an array of objects."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype or object)


class NAType:
    """pandas's `NA`: neither equal to anything nor not, and no truth value."""

    def __eq__(self, other):
        return self

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None


def images(n):
    """`n` images that say their number."""
    return np.arange(50, 50 + n, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)


def made(labels, **options):
    classes = from_arrays(images(len(labels)), labels, **options)
    return list(classes.class_names), classes.labels.tolist(), (classes.images[:, 0, 0, 0] - 50).tolist()


@pytest.mark.parametrize(
    "labels",
    [
        ["dog", "cat", "dog"],
        ("dog", "cat", "dog"),
        np.array(["dog", "cat", "dog"]),
        np.array(["dog", "cat", "dog"], object),
        np.array([b"dog", b"cat", b"dog"]),
        np.array(["dog", "cat", "dog"], np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else object),
        np.array([["dog"], ["cat"], ["dog"]]),
        tf.constant(["dog", "cat", "dog"]),
        Column(["dog", "cat", "dog"]),
    ],
    ids=lambda labels: type(labels).__name__,
)  # fmt: skip
def test_strings_are_sorted_and_name_the_classes(labels):
    assert len(np.asarray(labels)) == 3
    classes = from_arrays(images(3), labels)
    assert classes.class_names == ("cat", "dog")
    assert all(type(name) is str for name in classes.class_names)
    assert classes.labels.tolist() == [0, 1, 1]
    assert (classes.images[:, 0, 0, 0] - 50).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "O", ">i4", "list"]
)
def test_integers_of_every_type_and_whole_numbers(dtype):
    values = [9, 3, 9, 5]
    for shape in ((4,), (4, 1)):
        labels = np.reshape(values, shape)
        labels = labels.tolist() if dtype == "list" else labels.astype(dtype)
        assert made(labels) == (["3", "5", "9"], [0, 1, 2, 2], [1, 3, 0, 2])


def test_lists_of_scalars_and_of_tensors():
    expected = (["0", "4"], [0, 1, 1], [1, 0, 2])
    for kind in (np.array, tf.constant, np.int16, np.float32):
        assert made([kind(4), kind(0), kind(4)]) == expected


def test_numbers_beyond_64_bits_are_told_apart():
    assert made([2**63 + 1, 2**63, 7])[0] == ["7", str(2**63), str(2**63 + 1)]
    assert made(np.array([2**64 - 1, 2**64 - 2], np.uint64))[0] == [str(2**64 - 2), str(2**64 - 1)]


def test_gaps_are_closed_and_negative_labels_are_classes_with_a_warning():
    with pytest.warns(
        UserWarning, match=r"the label -1 is taken as a class like any other; leave such images out"
    ) as c:
        assert made([100, -1, 7, -1]) == (["-1", "7", "100"], [0, 0, 1, 2], [1, 3, 2, 0])
    assert c[0].filename.endswith("test_labels.py")


def test_names_of_integers_are_in_ascending_order_and_of_strings_the_strings_in_any():
    assert made([8, 2], class_names=["two", "eight"]) == (["two", "eight"], [0, 1], [1, 0])
    assert made(["b", "a", "b"], class_names=["b", "a"]) == (["b", "a"], [0, 0, 1], [0, 2, 1])
    with pytest.raises(
        ValueError, match=r"must be the labels themselves.*'a', 'b'. Received: class_names=\('x', 'y'\)"
    ):
        made(["b", "a"], class_names=["x", "y"])


def test_names_that_look_alike_are_warned_of():
    with pytest.warns(UserWarning, match=r"differ by spaces or case alone are classes of their own: 'Cat', 'cat '"):
        assert made(["cat ", "Cat"])[0] == ["Cat", "cat "]


MISSING = [None, float("nan"), np.nan, np.datetime64("NaT"), NAType(), "", " ", "nan", "None", "<NA>", "NaT", b""]


@pytest.mark.parametrize("missing", MISSING, ids=[f"{type(m).__name__} {i}" for i, m in enumerate(MISSING)])
@pytest.mark.parametrize("kind", [list, Column])
def test_a_missing_label_is_refused_wherever_it_comes_from(missing, kind):
    present = "a" if isinstance(missing, str | bytes) or missing is None else 3
    message = r"every image must have a label, and 2 of 4 have none, the first of them image 1.*Received: labels\[1\]="
    with pytest.raises(ValueError, match=message):
        from_arrays(images(4), kind([present, missing, present, missing]))


def test_numpy_has_made_strings_of_missing_labels():
    for labels in (np.array(["a", np.nan]), np.array(["a", None], dtype=str), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match=r"1 of 2 have none, the first of them image 1"):
            made(labels)
    with pytest.raises(ValueError, match=r"every image must have a label. Received: labels with masked"):
        made(np.ma.masked_array([1, 2], [0, 1]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 1], r"one per image \(2\). Received: labels.shape=\(3,\)"),
        ("ab", r"one-dimensional.*Received: labels.shape=\(\)"),
        ([[0, 1]], r"one-dimensional.*Received: labels.shape=\(1, 2\)"),
        (np.eye(2), r"one-hot rows become such by labels.argmax\(axis=1\). Received: labels.shape=\(2, 2\)"),
        ([True, False], r"integers or strings.*Received: labels\[0\]=True of type bool"),
        (np.array([True, False]), r"integers or strings. Received: labels.dtype=bool"),
        ([1, True], r"all of one kind. Received: labels\[1\]=True of type bool"),
        ([1, "b"], r"all of one kind. Received: labels\[1\]='b' of type str"),
        ([1.0, 1.5], r"integers or strings.*Received: labels\[1\]=1.5 of type float"),
        ([1.0, float("inf")], r"integers or strings.*Received: labels\[1\]=inf"),
        (np.array([1, 2j]), r"integers or strings.*Received: labels.dtype=complex128"),
        (np.array(["2026-01-01"] * 2, "M8[D]"), r"Received: labels.dtype=datetime64"),
        ([[1], [2, 3]], r"integers or strings.*Received: labels\[0\]=\[1\] of type list"),
    ],
)
def test_what_are_no_labels_is_named(labels, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(images(2), labels)
