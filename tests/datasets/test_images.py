import numpy as np
import pytest
from PIL import Image

from tfmeta.datasets import from_arrays, from_directory, split_classes


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def grey(value, height=6, width=4):
    return np.full((height, width), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of unequal size, grey PNG files of 6x4 pixels."""
    for name, values in {"cat": (10, 11, 12), "ant": (20, 21)}.items():
        for value in values:
            save(tmp_path / name / f"{value}.png", grey(value))
    return tmp_path


# from_arrays


def test_arrays_are_sorted_by_class_and_keep_their_order():
    images = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 3, 2), np.uint8)
    classes = from_arrays(images, np.array([7, -1, 7, 3, -1]), name="mine")
    assert classes.class_names == ("-1", "3", "7")
    assert classes.images[:, 0, 0, 0].tolist() == [1, 4, 3, 0, 2]
    assert classes.counts.tolist() == [2, 1, 2]
    assert classes.image_shape == (3, 2, 1)
    assert classes.name == "mine"


def test_arrays_with_names_and_alphabets():
    classes = from_arrays(np.zeros((2, 3, 3, 3), np.uint8), [1, 0], class_names=["Latin/a", "plain"])
    assert classes.class_names == ("Latin/a", "plain")
    assert classes.alphabets == ("Latin", "plain")
    assert classes.image_shape == (3, 3, 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_images_become_uint8(dtype):
    images = np.array([0.0, 0.25, 1.0], dtype).reshape(3, 1, 1)
    assert from_arrays(images, [0, 1, 2]).images.ravel().tolist() == [0, 64, 255]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((0, 3, 3)), [], r"at least one image.*Received: images.shape=\(0, 3, 3\)"),
        (np.zeros((3, 3)), [0, 1, 2], r"\[n, h, w\].*Received: images.shape=\(3, 3\)"),
        (np.full((2, 3, 3), np.nan), [0, 1], "image 0 has NaN or infinite values. Received: 18"),
        (np.full((2, 3, 3), np.inf), [0, 1], "NaN or infinite"),
        (np.full((2, 3, 3), 255.0), [0, 1], "between 0 and 1. Received: images from 255 to 255"),
        (np.full((2, 3, 3), -0.5), [0, 1], "between 0 and 1. Received: images from -0.5"),
        (np.zeros((2, 3, 3), np.int64), [0, 1], "must be uint8.*Received: images.dtype=int64"),
        (np.zeros((2, 3, 3)), [0, 1, 1], r"one per image \(2\). Received: labels.shape=\(3,\)"),
        (np.zeros((2, 3, 3)), [[0], [1]], r"one-dimensional.*Received: labels.shape=\(2, 1\)"),
        (np.zeros((2, 3, 3)), [0.0, 1.0], "must be integers. Received: labels.dtype=float64"),
        (np.zeros((2, 3, 3)), ["a", "b"], "must be integers. Received: labels.dtype=<U1"),
        (np.zeros((2, 3, 3)), [True, False], "must be integers. Received: labels.dtype=bool"),
    ],
)
def test_bad_arrays(images, labels, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(images, labels)


def test_images_of_mixed_shapes():
    with pytest.raises(
        ValueError, match=r"must all have the same shape. Received: images of shapes \[\(3, 3\), \(3, 4\)\]"
    ):
        from_arrays([np.zeros((3, 3)), np.zeros((3, 4))], [0, 1])


@pytest.mark.parametrize("class_names", [["a"], ["a", "b", "c"], ["a", "a"]])
def test_bad_class_names(class_names):
    with pytest.raises(ValueError, match=r"2 distinct names.*Received: class_names="):
        from_arrays(np.zeros((2, 3, 3)), [0, 1], class_names=class_names)


# from_directory


def test_folder_per_class_of_unequal_size(folder):
    (folder / "cat" / "notes.txt").write_text("passed over")
    (folder / "cat" / ".hidden.png").write_text("passed over")
    classes = from_directory(folder)
    assert classes.class_names == ("ant", "cat")
    assert classes.counts.tolist() == [2, 3]
    assert classes.image_shape == (6, 4, 1)
    assert classes.images[:, 0, 0, 0].tolist() == [20, 21, 10, 11, 12]
    assert classes.name == folder.name


def test_omniglots_own_layout(tmp_path):
    for character in ("Latin/character01", "Latin/character02", "Greek/character01"):
        for drawer in (1, 2):
            save(tmp_path / character / f"{drawer}.png", grey(drawer))
    classes = from_directory(tmp_path, name="mine")
    assert classes.class_names == ("Greek/character01", "Latin/character01", "Latin/character02")
    assert classes.alphabets == ("Greek", "Latin", "Latin")
    assert classes.name == "mine"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".gif"])
def test_formats(tmp_path, suffix):
    for value in (0, 200):
        save(tmp_path / "a" / f"{value}{suffix}", grey(value, 8, 8))
    classes = from_directory(tmp_path)
    assert classes.image_shape == (8, 8, 1)
    np.testing.assert_allclose(classes.images[:, 4, 4, 0], [0, 200], atol=2)


def test_colour_is_kept_and_grey_files_join_it(folder):
    red = np.zeros((6, 4, 3), np.uint8)
    red[..., 0] = 200
    save(folder / "bee" / "1.png", red)
    save(folder / "bee" / "2.png", red)
    classes = from_directory(folder)
    assert classes.image_shape == (6, 4, 3)
    assert classes.images[classes.labels == 1][0, 0, 0].tolist() == [200, 0, 0]
    assert classes.images[0, 0, 0].tolist() == [20, 20, 20]
    assert from_directory(folder, grayscale=True).image_shape == (6, 4, 1)


def test_transparency_is_paper(tmp_path):
    ink = np.zeros((5, 5, 4), np.uint8)
    ink[2, 2] = [0, 0, 0, 255]
    for name in ("1.png", "2.png"):
        save(tmp_path / "a" / name, ink)
    classes = from_directory(tmp_path)
    assert classes.image_shape == (5, 5, 1)
    assert classes.images[0, :, :, 0].tolist() == [[0 if (r, c) == (2, 2) else 255 for c in range(5)] for r in range(5)]


def test_sixteen_bits_are_scaled(tmp_path):
    for name, value in (("1.png", 0), ("2.png", 65535), ("3.png", 257 * 100)):
        save(tmp_path / "a" / name, np.full((4, 4), value, np.uint16))
    assert from_directory(tmp_path).images[:, 0, 0, 0].tolist() == [0, 255, 100]


def test_resizing_averages_over_areas(tmp_path):
    checks = np.zeros((8, 8), np.uint8)
    checks[::2, ::2] = 200  # a quarter of every 4x4 block
    save(tmp_path / "a" / "1.png", checks)
    save(tmp_path / "a" / "2.png", grey(7, 3, 5))
    classes = from_directory(tmp_path, image_size=2)
    assert classes.images[0, :, :, 0].tolist() == [[50, 50], [50, 50]]
    assert from_directory(tmp_path, image_size=(4, 2)).image_shape == (4, 2, 1)
    assert from_directory(tmp_path, image_size=20).image_shape == (20, 20, 1)


def test_mixed_shapes_name_two_files(folder):
    odd = save(folder / "cat" / "zz.png", grey(1, 6, 5))
    with pytest.raises(
        ValueError, match=r"image_size is given. Received: .*20.png with .*6, 4.*zz.png with .*6, 5"
    ) as e:
        from_directory(folder)
    assert str(odd) in str(e.value)
    assert from_directory(folder, image_size=6).n_classes == 2


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_unreadable_file_is_named(folder, content):
    bad = folder / "cat" / "11.png"
    bad.write_bytes(content)
    with pytest.raises(ValueError, match=rf"an image must be readable.*Received: {bad}"):
        from_directory(folder)


def test_truncated_file_is_named(folder):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    bad = save(folder / "cat" / "11.png", noise)
    bad.write_bytes(bad.read_bytes()[:1000])
    with pytest.raises(ValueError, match=rf"Received: {bad}"):
        from_directory(folder, image_size=8)


def test_class_with_one_image(folder):
    alone = save(folder / "dog" / "1.png", grey(1))
    with pytest.raises(ValueError, match=rf"class 'dog' must have at least 2 images.*Received: {alone} alone"):
        from_directory(folder)


def test_errors_come_before_any_image_is_read(folder, monkeypatch):
    save(folder / "dog" / "1.png", grey(1))
    monkeypatch.setattr(Image, "open", lambda _: pytest.fail("read"))
    with pytest.raises(ValueError, match=r"class 'dog'"):
        from_directory(folder)


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"must hold a folder of images.*Received: path="):
        from_directory(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"must hold a folder of images.*Received: path="):
        from_directory(tmp_path)


def test_images_outside_a_class_folder(folder, tmp_path_factory):
    save(folder / "loose.png", grey(1))
    with pytest.raises(ValueError, match=r"folder of its class. Received: .*loose.png"):
        from_directory(folder)
    flat = tmp_path_factory.mktemp("flat")
    save(flat / "1.png", grey(1))
    with pytest.raises(ValueError, match=r"'1.png' lies in no class folder"):
        from_directory(flat)


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Received: path='.*nowhere'"):
        from_directory(tmp_path / "nowhere")


@pytest.mark.parametrize("image_size", [0, -3, (3,), (3, 0), (2.5, 2), (1, 2, 3), 2.5, "28"])
def test_bad_image_size(folder, image_size):
    with pytest.raises(ValueError, match=r"one or two positive integers. Received: image_size="):
        from_directory(folder, image_size=image_size)


# split_classes


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
    with pytest.raises(ValueError, match=r"at least 3 classes. Received: 2 classes"):
        split_classes(twenty.select([0, 1]))
    with pytest.raises(ValueError, match=r"at least 3 alphabets. Received: 2 alphabets"):
        split_classes(twenty.select(range(8)), by_alphabet=True)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.5, 0.0), (0.5, 0.2, 0.2), (np.nan, 0.5, 0.5)]
)
def test_bad_fractions(twenty, fractions):
    with pytest.raises(ValueError, match=r"add up to 1. Received: fractions="):
        split_classes(twenty, fractions)


def test_bad_seed(twenty):
    with pytest.raises(ValueError, match=r"Received: seed=-1"):
        split_classes(twenty, seed=-1)
