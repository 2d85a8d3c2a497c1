"""Single pictures: every mode of pixels comes out as what one sees, or as an error that names the file."""

import numpy as np
import pytest
from PIL import Image

from tfmeta.datasets.picture_files import is_picture, read_picture

QUARTERS = np.array([[10, 60], [120, 240]], np.uint8).repeat(8, 0).repeat(8, 1)  # tells all eight turns apart


def write(path, picture, **options):
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(path, **options)
    return path


def read(path, grayscale=False):
    return read_picture(path, None, grayscale).values


SUFFIXES = ["png", "jpg", "JPEG", "jfif", "webp", "tif", "TIFF", "bmp", "gif", "jp2", "tga", "pgm", "ppm", "pcx", "sgi"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_formats(tmp_path, suffix):
    file = write(tmp_path / f"x.{suffix}", QUARTERS)
    assert is_picture(file)
    np.testing.assert_allclose(read(file, grayscale=True)[4::8, 4::8], QUARTERS[4::8, 4::8], atol=4)


@pytest.mark.parametrize("suffix", ["txt", "pdf", "heic", "mp4", "mpeg", "npy", "h5", "eps", "db"])
def test_other_files(tmp_path, suffix):
    file = tmp_path / f"x.{suffix}"
    file.write_bytes(b"whatever")
    assert not is_picture(file)


def test_without_a_suffix_the_first_bytes_tell(tmp_path):
    assert is_picture(write(tmp_path / "photo", QUARTERS, format="PNG"))
    for name, content in (("README", b"words"), ("LICENSE", b""), ("data", b"P3 1 1 255 0 0 0")):
        (tmp_path / name).write_bytes(content)
        assert not is_picture(tmp_path / name)


# By how much NumPy must turn the stored pixels to the left, and whether they are a mirror image first.
TURNS = {
    1: (0, False),
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (1, True),
    6: (3, False),
    7: (3, True),
    8: (1, False),
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_photos_are_turned_upright(tmp_path, suffix):
    for orientation, (turns, mirrored) in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = QUARTERS[:, :12]
        file = write(tmp_path / f"{orientation}.{suffix}", stored, exif=exif)
        upright = np.rot90(stored[:, ::-1] if mirrored else stored, turns)
        found = read(file, grayscale=True)
        assert found.shape == upright.shape, orientation
        assert np.mean(np.abs(found.astype(int) - upright)) < 5, orientation


# -- transparency: what shows through is paper -------------------------------------------------------------------------
def dot(channels, colour):
    picture = np.zeros((5, 5, channels), np.uint8)
    picture[2, 2] = colour
    return picture


ON_PAPER = np.where(np.eye(5)[2][:, None] * np.eye(5)[2] > 0, 0, 255)


@pytest.mark.parametrize("picture", [dot(4, [0, 0, 0, 255]), dot(2, [0, 255])])
def test_transparent_parts_are_white(tmp_path, picture):
    found = read_picture(write(tmp_path / "x.png", picture), None, False)
    assert found.values.tolist() == ON_PAPER.tolist()
    assert not found.vanished


def test_half_transparent_ink_is_half_as_dark_and_colour_stays(tmp_path):
    assert read(write(tmp_path / "half.png", dot(4, [0, 0, 0, 128])))[2, 2] == 127
    assert read(write(tmp_path / "red.png", dot(4, [255, 0, 0, 255])))[2, 2].tolist() == [255, 0, 0]


def test_transparency_of_a_palette_a_grey_value_and_a_colour(tmp_path):
    palette = Image.fromarray((ON_PAPER == 0).astype(np.uint8))  # 0: red and transparent, 1: black
    palette.putpalette([255, 0, 0, 0, 0, 0])
    wide = Image.fromarray(np.where(ON_PAPER == 0, 0, 300).astype(np.uint16))
    black_grey = Image.fromarray(np.where(ON_PAPER == 0, 0, 77).astype(np.uint8))
    colour = Image.fromarray(np.stack([np.where(ON_PAPER == 0, 0, 9)] * 3, -1).astype(np.uint8))
    for picture, transparent in ((palette, 0), (black_grey, 77), (wide, 300), (colour, (9, 9, 9))):
        file = write(tmp_path / "x.png", picture, transparency=transparent)
        assert read(file).tolist() == ON_PAPER.tolist(), picture.mode


@pytest.mark.parametrize("picture", [dot(4, [255, 255, 255, 255]), dot(4, [0, 0, 0, 0])])
def test_white_ink_vanishes_on_paper_and_that_is_said(tmp_path, picture):
    found = read_picture(write(tmp_path / "x.png", picture), None, False)
    assert found.vanished
    assert set(found.values.flat) == {255}


def test_a_blank_picture_without_transparency_has_lost_nothing(tmp_path):
    assert not read_picture(write(tmp_path / "x.png", np.full((3, 3, 4), 255, np.uint8)), None, False).vanished


# -- other modes of pixels ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_divided_by_257(tmp_path, suffix):
    wide = np.array([[0, 257 * 100], [65535, 128]], np.uint16)
    assert read(write(tmp_path / f"x.{suffix}", wide)).tolist() == [[0, 100], [255, 0]]


def test_floating_point_runs_from_0_to_1_and_32_bits_have_no_known_scale(tmp_path):
    assert read(write(tmp_path / "f.tif", np.array([[0, 0.5, 1]], np.float32))).tolist() == [[0, 128, 255]]
    for values, words in (
        (np.array([[0, 200]], np.float32), "between 0 and 1; divide them by 255"),
        (np.array([[0, np.nan]], np.float32), "must be finite"),
        (np.array([[0, 70000]], np.int32), "must have 8 or 16 bits, and these run from 0 to 70000"),
        (np.array([[-1, 7]], np.int32), "must have 8 or 16 bits, and these run from -1 to 7"),
    ):
        file = write(tmp_path / "bad.tif", values)
        with pytest.raises(ValueError, match=rf"must be readable .*{words}.*Received: {file}"):
            read(file)


def test_black_and_white_palettes_and_print_colours(tmp_path):
    assert (
        read(write(tmp_path / "bits.png", Image.fromarray(np.eye(3, dtype=bool)))).tolist()
        == (255 * np.eye(3)).tolist()
    )
    palette = Image.fromarray(np.eye(2, dtype=np.uint8))
    palette.putpalette([0, 0, 255, 255, 128, 0])
    assert read(write(tmp_path / "p.png", palette)).tolist() == [
        [[255, 128, 0], [0, 0, 255]],
        [[0, 0, 255], [255, 128, 0]],
    ]
    for suffix in ("jpg", "tif"):
        red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
        np.testing.assert_allclose(read(write(tmp_path / f"cmyk.{suffix}", red))[4, 4], [255, 0, 0], atol=4)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_several_frames_the_first_is_read_and_they_are_counted(tmp_path, suffix):
    frames = [Image.new("RGB", (6, 6), (value, 0, 0)) for value in (250, 100, 20)]
    file = write(tmp_path / f"x.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    found = read_picture(file, None, False)
    assert found.frames == 3
    np.testing.assert_allclose(found.values[3, 3], [250, 0, 0], atol=6)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tif", "bmp"])
def test_a_damaged_file_is_read_or_named_and_nothing_else(tmp_path, suffix):
    """Fifty damages of each kind of file: cut off, bytes flipped, emptied."""
    rng = np.random.default_rng(0)
    file = write(tmp_path / f"x.{suffix}", rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    good, named = file.read_bytes(), []
    for k in range(50):
        content = bytearray(good)
        if k % 5 == 0:
            del content[rng.integers(len(content)) :]
        else:
            for place in rng.integers(0, min(len(content), 400 if k % 2 else len(content)), 4):
                content[place] ^= int(rng.integers(1, 256))
        file.write_bytes(content)
        try:
            read(file)
        except ValueError as error:
            named.append(str(error))
    assert 0 < len(named) <= 50
    for message in named:
        assert message.startswith("an image must be readable")
        assert message.endswith(f"Received: {file}")
