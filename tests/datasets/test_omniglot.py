import errno
import shutil
import warnings

import numpy as np
import pytest

from tfmeta.datasets import load_omniglot, omniglot_source
from tfmeta.datasets import omniglot as module
from tfmeta.datasets.cache import read_arrays
from tfmeta.machine import threads


@pytest.fixture(scope="module")
def real_cache(tmp_path_factory):
    """One folder for the cache of the real data, so that it is packed once for all tests."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def data_dir(omniglot, tmp_path, real_cache):
    return real_cache if omniglot.real else tmp_path / "data"


def test_vinyals_split(omniglot, data_dir):
    plain, turned = load_omniglot(data_dir=data_dir, rotations=False), load_omniglot(data_dir=data_dir)
    for part, n_characters in omniglot.vinyals.items():
        classes, four = getattr(plain, part), getattr(turned, part)
        assert (classes.n_classes, four.n_classes) == (n_characters, 4 * n_characters)
        assert classes.image_shape == (28, 28, 1)
        assert classes.images.dtype == np.uint8
        assert set(classes.counts) == set(four.counts) == {omniglot.drawings}
        assert classes.name == four.name == f"omniglot vinyals {part}"
        np.testing.assert_array_equal(four.images[-1], np.rot90(classes.images[-1], 3))
    if omniglot.real:
        assert [part.n_classes for part in turned] == [4112, 688, 1692]
    names = [set(part.class_names) for part in plain]
    assert len(set.union(*names)) == sum(omniglot.vinyals.values()), "a character is in two parts"
    assert {"Gurmukhi/character41"} <= names[0]
    assert {"Gurmukhi/character42"} <= names[2]
    assert set(plain.validation.alphabets) == {
        "Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)"
    }  # fmt: skip


def test_lake_split_has_no_validation_part(omniglot, data_dir):
    splits = load_omniglot("lake", data_dir=data_dir, rotations=False)
    assert splits.validation is None
    assert {"train": splits.train.n_classes, "test": splits.test.n_classes} == omniglot.lake
    assert not set(splits.train.alphabets) & set(splits.test.alphabets)
    assert splits.test.name == "omniglot lake test"


def test_ink_is_bright_on_dark(omniglot, data_dir):
    images = load_omniglot(data_dir=data_dir, rotations=False).train.images
    assert np.median(images) == 0
    assert np.mean(images == 0) > 0.6
    assert images.max() == 255
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.mean(corners == 0) > 0.99


def test_images_belong_to_their_names(omniglot, data_dir):
    """Every drawing is compared with the original of the same character, read apart from the loader."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(omniglot.root / "omniglot" / "3.0.0"))
    names = builder.info.features["alphabet"].names
    splits = load_omniglot("lake", data_dir=data_dir, rotations=False)
    for example in builder.as_dataset(split="test").take(40):
        name = f"{names[int(example['alphabet'])]}/character{int(example['alphabet_char_id']) + 1:02d}"
        ink = 255.0 - tf.cast(example["image"][None, ..., :1], tf.float32)
        expected = tf.image.resize(ink, (28, 28), method="area")[0].numpy()
        label = splits.test.class_names.index(name)
        distance = np.abs(splits.test.images[splits.test.labels == label] - expected).max((1, 2, 3))
        assert distance.min() <= 0.51, name


def test_cache_is_used(miniature, tmp_path, monkeypatch):
    first = load_omniglot(data_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [module.CACHE_NAME]
    monkeypatch.setattr(omniglot_source, "find_prepared", None)
    monkeypatch.setattr(omniglot_source, "download", None)
    again = load_omniglot(data_dir=tmp_path)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        assert a.class_names == b.class_names


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "text", "header", "other layout"])
def test_damaged_cache_is_rebuilt_with_a_warning(miniature, tmp_path, damage):
    expected = load_omniglot(data_dir=tmp_path)
    path = tmp_path / module.CACHE_NAME
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 0xFF
    elif damage == "truncate":
        del content[len(content) // 2 :]
    elif damage == "empty":
        content.clear()
    elif damage == "text":
        content[:] = b"<html>not found</html>"
    elif damage == "header":
        content[:4] = b"\0\0\0\0"
    path.write_bytes(content)
    if damage == "other layout":
        from tfmeta.datasets.cache import write_arrays

        write_arrays(path, {"images": np.zeros(3)})
    with pytest.warns(UserWarning, match=r"cache is damaged and will be rebuilt"):
        rebuilt = load_omniglot(data_dir=tmp_path)
    np.testing.assert_array_equal(rebuilt.train.images, expected.train.images)
    assert [p.name for p in tmp_path.iterdir()] == [module.CACHE_NAME]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_omniglot(data_dir=tmp_path)


def test_pickle_in_the_cache_is_not_loaded(miniature, tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    (tmp_path / "x").mkdir()
    np.savez(tmp_path / module.CACHE_NAME, images=np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.warns(UserWarning, match=r"damaged"):
        load_omniglot(data_dir=tmp_path)


def test_data_dir_is_searched_first(miniature, tmp_path, monkeypatch):
    shutil.copytree(miniature.root / "omniglot", tmp_path / "omniglot")
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert omniglot_source.find_prepared(tmp_path) == tmp_path / "omniglot" / "3.0.0"
    load_omniglot(data_dir=tmp_path)


def test_home_is_searched_last(miniature, tmp_path, monkeypatch):
    from pathlib import Path

    home = Path.home() / "tensorflow_datasets"
    shutil.copytree(miniature.root, home)
    assert omniglot_source.find_prepared(tmp_path).is_relative_to(miniature.root)
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert omniglot_source.find_prepared(tmp_path).is_relative_to(home)


def test_data_dir_below_a_file(miniature, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"data_dir must be a folder.*TFMETA_DATA_DIR.*Received: data_dir='.*file/data'"):
        load_omniglot(data_dir=tmp_path / "file" / "data")


def test_not_writable_is_said_before_reading(miniature, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(omniglot_source, "read_prepared", lambda *_: pytest.fail("work was started"))
    monkeypatch.setattr(omniglot_source, "find_prepared", lambda *_: None)
    monkeypatch.setattr(omniglot_source, "download", lambda *_: pytest.fail("a download was started"))
    with pytest.raises(OSError, match=r"Received: data_dir="):
        load_omniglot(data_dir=tmp_path / "file")


def test_disk_full_is_said_before_reading(miniature, tmp_path, monkeypatch):
    monkeypatch.setattr(omniglot_source, "read_prepared", lambda *_: pytest.fail("work was started"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5 * 2**20))
    with pytest.raises(OSError, match=r"28 MiB of free disk space, 5 MiB are free.*Received: data_dir=") as caught:
        load_omniglot(data_dir=tmp_path)
    assert caught.value.errno == errno.ENOSPC


def test_disk_full_while_writing_leaves_nothing(miniature, tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"free disk space.*Received: data_dir=") as caught:
        load_omniglot(data_dir=tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_good_cache_needs_no_writable_folder(miniature, tmp_path, monkeypatch):
    load_omniglot(data_dir=tmp_path)
    monkeypatch.setattr(module, "check_writable", lambda *_: pytest.fail("asked for"))
    load_omniglot(data_dir=tmp_path)


def test_damaged_source_is_named(miniature, miniature_root, tmp_path, monkeypatch):
    shutil.copytree(miniature_root, tmp_path / "copy")
    shard = next((tmp_path / "copy/omniglot/3.0.0").glob("omniglot-train.tfrecord*"))
    shard.write_bytes(shard.read_bytes()[:1000])
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "copy"))
    with pytest.raises(ValueError, match=r"must hold the complete Omniglot.*Received: folder='.*copy/omniglot/3.0.0'"):
        load_omniglot(data_dir=tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_unknown_split():
    with pytest.raises(ValueError, match=r"split must be 'vinyals' or 'lake'. Received: split='ravi'"):
        load_omniglot("ravi")


def test_shrink_is_area_averaging():
    image = np.full((1, 56, 84), 255, np.uint8)
    image[0, :2, :3] = 0  # exactly one target pixel
    image[0, 2, 3:6] = 0  # half of another
    small = module.shrink(image)
    assert small.shape == (1, 28, 28)
    assert small[0, 0, 0] == 255
    assert small[0, 1, 1] == 128
    assert np.count_nonzero(small) == 2


def test_shrink_keeps_the_amount_of_ink():
    images = np.where(np.random.default_rng(0).random((3, 105, 105)) < 0.2, 0, 255).astype(np.uint8)
    np.testing.assert_allclose(module.shrink(images).mean((1, 2)), (255.0 - images).mean((1, 2)), atol=0.1)


def test_cache_holds_all_characters(omniglot, data_dir):
    load_omniglot(data_dir=data_dir)
    packed = read_arrays(data_dir / module.CACHE_NAME)
    assert packed["images"].shape == (sum(omniglot.lake.values()) * omniglot.drawings, 28, 28)
    if omniglot.real:
        assert packed["images"].shape == (32460, 28, 28)
        assert (data_dir / module.CACHE_NAME).stat().st_size < 26 * 10**6


def test_threads_are_set_before_tensorflow_datasets_starts_tensorflow(miniature, tmp_path, monkeypatch):
    order = []
    read = omniglot_source.read_prepared
    monkeypatch.setattr(threads, "prefer_tasks", lambda: order.append("threads"))
    monkeypatch.setattr(omniglot_source, "read_prepared", lambda *given: (order.append("read"), read(*given))[1])
    load_omniglot(data_dir=tmp_path)
    load_omniglot(data_dir=tmp_path)
    assert order == ["threads", "read"]


def test_fifty_damages_of_the_cache_are_all_noticed_and_mended(miniature, tmp_path, monkeypatch):
    """Cut off, bytes flipped, emptied, blocks of zeros or of another place: the right images or a rebuilt file."""
    expected = load_omniglot(data_dir=tmp_path, rotations=False)
    path, rng = tmp_path / module.CACHE_NAME, np.random.default_rng(0)
    good, packed = path.read_bytes(), read_arrays(path)
    monkeypatch.setattr(omniglot_source, "read_prepared", lambda *_: packed)  # which would take half a second each
    for k in range(50):
        content, place = bytearray(good), int(rng.integers(len(good)))
        if k % 6 == 0:
            del content[place:]
        elif k % 6 == 1:
            content[place] ^= int(rng.integers(1, 256))
        elif k % 6 == 2:
            for other in rng.integers(0, len(good), 30):
                content[int(other)] ^= int(rng.integers(1, 256))
        elif k % 6 == 3:
            content.clear()
        elif k % 6 == 4:
            content[place : place + 512] = bytes(len(content[place : place + 512]))
        else:
            content[-int(rng.integers(1, 600))] ^= int(rng.integers(1, 256))  # in the list of the archive's files
        path.write_bytes(content)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = load_omniglot(data_dir=tmp_path, rotations=False)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.images, b.images)
            assert (a.class_names, a.labels.tolist()) == (b.class_names, b.labels.tolist())
        noticed = [str(one.message) for one in caught if "damaged" in str(one.message)]
        assert bool(noticed) == (path.read_bytes() == good) or bytes(content) == good, k


def test_a_cache_that_may_not_be_read_is_neither_damaged_nor_replaced(miniature, tmp_path, monkeypatch):
    load_omniglot(data_dir=tmp_path)
    look = open

    def refuse(file, *given, **options):
        if str(file).endswith(module.CACHE_NAME):
            raise PermissionError(errno.EACCES, "Permission denied")
        return look(file, *given, **options)

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(omniglot_source, "read_prepared", lambda *_: pytest.fail("work was started"))
    with pytest.raises(OSError, match=r"be read \(Permission denied\).*Received: data_dir="):
        load_omniglot(data_dir=tmp_path)


@pytest.mark.parametrize("name", ["alphabet.labels.txt", "dataset_info.json", "features.json"])
@pytest.mark.parametrize(
    "damage", [lambda text: "", lambda text: text.replace("Keble", "Kebla").replace('": ', '": x')]
)
def test_a_damaged_description_of_the_source_is_named_and_not_cached(miniature_root, miniature, tmp_path, monkeypatch,
                                                                     name, damage):  # fmt: skip
    shutil.copytree(miniature_root, tmp_path / "copy")
    file = tmp_path / "copy" / "omniglot" / "3.0.0" / name
    file.write_text(damage(file.read_text()))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "copy"))
    for split in ("lake", "vinyals"):
        with pytest.raises(ValueError, match=r"folder must hold .*Received: folder='.*copy/omniglot/3.0.0'"):
            load_omniglot(split, data_dir=tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
