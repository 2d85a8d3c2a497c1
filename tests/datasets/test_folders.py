import os

import numpy as np
import pytest
from PIL import Image

from tfmeta.datasets import from_directory, picture_files


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


def test_folder_per_class_of_unequal_size(folder):
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
            save(tmp_path / character / f"{drawer}.png", grey(100 * drawer))
    classes = from_directory(tmp_path, name="mine")
    assert classes.class_names == ("Greek/character01", "Latin/character01", "Latin/character02")
    assert classes.alphabets == ("Greek", "Latin", "Latin")
    assert classes.name == "mine"


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


# what is no image and no class


def test_what_systems_leave_about_is_no_class_and_no_image(folder):
    for litter in ("__MACOSX/cat/._10.png", ".git/x.png", "@eaDir/10.png", "cat/.hidden/1.png", "$RECYCLE.BIN/1.png"):
        save(folder / litter, grey(99)) if "._" not in litter else (folder / litter).parent.mkdir(parents=True)
    for litter in ("__MACOSX/cat/._10.png", "cat/._10.png", "cat/.DS_Store", "ant/Thumbs.db", "desktop.ini", "Icon\r"):
        (folder / litter).write_bytes(b"litter")
    classes = from_directory(folder)  # without a warning
    assert classes.class_names == ("ant", "cat")
    assert 99 not in classes.images


def test_other_files_are_counted_and_a_few_are_named(folder):
    for other in ("labels.csv", "cat/notes.txt", "cat/10.xml", "cat/film.mpeg", "ant/20.heic"):
        (folder / other).write_text("no image")
    with pytest.warns(
        UserWarning, match=r"5 files that are no images were passed over: '.*', '.*', '.*', ..."
    ) as caught:
        assert from_directory(folder).counts.tolist() == [2, 3]
    assert len(caught) == 1
    assert "'labels.csv'" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_folders_without_an_image_are_named(folder):
    (folder / "dog" / "inner" / "deep").mkdir(parents=True)
    (folder / "eel").mkdir()
    (folder / "eel" / "1.heic").write_text("an image that is not read")
    with pytest.warns(UserWarning, match=r".") as caught:
        assert from_directory(folder).class_names == ("ant", "cat")
    messages = sorted(str(one.message) for one in caught)
    assert messages == [
        "1 files that are no images were passed over: 'eel/1.heic'",
        "2 folders hold no images and are no classes: 'dog', 'eel'",
    ]


def test_a_folder_of_other_files_alone_says_so(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.heic").write_text("an image that is not read")
    with pytest.raises(ValueError, match=r"1 file is no image: 'cat/1.heic'. Received: path="):
        from_directory(tmp_path)


def test_a_data_set_in_two_parts_is_no_set_of_twice_the_classes(tmp_path):
    for member in ("train/cat/1.png", "train/cat/2.png", "test/cat/3.png", "test/cat/4.png"):
        save(tmp_path / member, grey(200))
    with pytest.warns(UserWarning, match=r"'test/cat' and 'train/cat' are read as two classes; .* read each part"):
        assert from_directory(tmp_path).n_classes == 2
    assert from_directory(tmp_path / "train").class_names == ("cat",)


def test_links_are_followed_but_not_in_circles(folder, tmp_path_factory):
    elsewhere = save(tmp_path_factory.mktemp("elsewhere") / "1.png", grey(30)).parent
    save(elsewhere / "2.png", grey(31))
    os.symlink(elsewhere, folder / "bee", target_is_directory=True)
    os.symlink(folder, folder / "cat" / "again", target_is_directory=True)
    assert from_directory(folder).class_names == ("ant", "bee", "cat")
    os.symlink(folder / "nowhere.png", folder / "cat" / "13.png")
    with pytest.raises(ValueError, match=r"must be readable .*Received: .*cat/13.png"):
        from_directory(folder)


def test_a_folder_that_cannot_be_looked_into_is_named(folder, monkeypatch):
    look = type(folder).iterdir

    def refuse(path):
        if path.name == "cat":
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(type(folder), "iterdir", refuse)
    with pytest.raises(OSError, match=r"must let itself be read \(Permission denied\). Received: .*cat"):
        from_directory(folder)


# what is said of single files, once for all


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


def test_frames_and_white_ink_are_warned_of(folder):
    frames = [Image.fromarray(grey(value)) for value in (1, 2)]
    frames[0].save(folder / "cat" / "13.tif", save_all=True, append_images=frames[1:])
    white = np.full((6, 4, 4), 255, np.uint8)
    white[..., 3] = np.eye(6, 4) * 255
    save(folder / "ant" / "22.png", white)
    with pytest.warns(UserWarning, match=r".") as caught:
        classes = from_directory(folder)
    assert sorted(str(one.message) for one in caught) == [
        "1 files hold several frames, of which the first was read: 'cat/13.tif'",
        "1 transparent images are blank on white paper (white ink?): 'ant/22.png'",
    ]
    assert classes.images[-1, 0, 0, 0] == 1


def test_masks_of_zero_and_one_and_narrow_values_in_wide_files_are_refused(tmp_path):
    for name, values in (("mask", np.eye(4, dtype=np.uint8)), ("wide", np.eye(4, dtype=np.uint16) * 255)):
        for k in (1, 2):
            save(tmp_path / name / "a" / f"{k}.png", values)
        with pytest.raises(ValueError, match=r"range from 0 \(black\) to 255 \(white\).*Received: images from 0 to 1"):
            from_directory(tmp_path / name)
    for k in (1, 2):
        save(tmp_path / "twelve" / "a" / f"{k}.png", np.eye(4, dtype=np.uint16) * 4095)
    with pytest.warns(UserWarning, match=r"brightest pixel of all images is 16") as caught:
        from_directory(tmp_path / "twelve")
    assert caught[0].filename == __file__


def test_every_suffix_is_read_in_any_case(tmp_path):
    for value, suffix in ((50, "webp"), (100, "TIF"), (150, "Tiff"), (200, "PNG"), (250, "bmp")):
        save(tmp_path / "a" / f"{value:03d}.{suffix}", grey(value, 8, 8))
    save(tmp_path / "b" / "1.GIF", grey(7, 8, 8))
    save(tmp_path / "b" / "2.png", grey(8, 8, 8)).rename(tmp_path / "b" / "2")
    classes = from_directory(tmp_path, grayscale=True)
    assert classes.counts.tolist() == [5, 2]
    np.testing.assert_allclose(classes.images[:, 4, 4, 0], [50, 100, 150, 200, 250, 7, 8], atol=2)
    assert picture_files.is_picture(tmp_path / "b" / "2")
