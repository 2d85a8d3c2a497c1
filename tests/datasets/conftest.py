"""A miniature Omniglot, served over loopback and prepared by tensorflow-datasets, and the real one where at hand."""

import contextlib
import http.server
import io
import threading
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tfmeta.datasets import omniglot_source, omniglot_split

# Two characters in each alphabet that the rule names; Gurmukhi has 42 so that both sides of the divide are met.
BACKGROUND = {"Armenian": 2, "Bengali": 2, "Early_Aramaic": 2, "Hebrew": 2, "Mkhedruli_(Georgian)": 2, "Latin": 3}
EVALUATION = {
    name: 2 for name in sorted(omniglot_split.TEST_ALPHABETS)
} | {"Angelic": 3, "Gurmukhi": 43}  # fmt: skip
DRAWINGS = 2


class Source(NamedTuple):
    """A prepared folder and what it must be read as."""

    root: Path
    vinyals: dict
    lake: dict
    drawings: int
    real: bool


def drawing(label: int, drawer: int) -> np.ndarray:
    """Black-on-white 105x105 image with one inked rectangle that tells the character and the drawer apart."""
    image = np.full((105, 105), 255, np.uint8)
    image[15 : 15 + 1 + label, 30 : 45 + 15 * drawer] = 0
    return image


def archives() -> dict[str, bytes]:
    """The four zip files of the original, in miniature."""
    files, label = {}, 0
    for folder, alphabets in (("images_background", BACKGROUND), ("images_evaluation", EVALUATION)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for alphabet in sorted(alphabets):
                for character in range(1, alphabets[alphabet] + 1):
                    label += 1
                    for drawer in range(1, DRAWINGS + 1):
                        png = io.BytesIO()
                        Image.fromarray(drawing(label - 1, drawer)).convert("1").save(png, "PNG")
                        name = f"{folder}/{alphabet}/character{character:02d}/{label:04d}_{drawer:02d}.png"
                        archive.writestr(name, png.getvalue())
        files[f"{folder}.zip"] = buffer.getvalue()
    for small in ("images_background_small1", "images_background_small2"):
        buffer = io.BytesIO()
        with (
            zipfile.ZipFile(buffer, "w") as archive,
            zipfile.ZipFile(io.BytesIO(files["images_background.zip"])) as big,
        ):
            for name in big.namelist():
                if "/Armenian/" in name:
                    archive.writestr(name.replace("images_background", small), big.read(name))
        files[f"{small}.zip"] = buffer.getvalue()
    return files


@contextlib.contextmanager
def serve(files: dict[str, bytes]):
    """Serve files over HTTP on loopback; yields the address and the list of paths asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = files.get(self.path.lstrip("/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def patch_miniature(patch: pytest.MonkeyPatch) -> Source:
    """Make the library expect the miniature's numbers instead of the real ones."""
    n_background, n_evaluation = sum(BACKGROUND.values()), sum(EVALUATION.values())
    vinyals = {"train": 3 + 3 + 41, "validation": 10, "test": 24 + 2}
    lake = {"train": n_background, "test": n_evaluation}
    patch.setattr(omniglot_source, "N_CHARACTERS", n_background + n_evaluation)
    patch.setattr(omniglot_source, "IMAGES_PER_CHARACTER", DRAWINGS)
    patch.setattr(omniglot_split, "VINYALS_COUNTS", vinyals)
    patch.setattr(omniglot_split, "LAKE_COUNTS", lake)
    return Source(Path(), vinyals, lake, DRAWINGS, real=False)


def patch_download(patch: pytest.MonkeyPatch, address: str):
    """Make tensorflow-datasets fetch the miniature from `address`."""
    from tensorflow_datasets.image_classification import omniglot

    patch.setattr(omniglot, "_NUM_CLASSES", sum(BACKGROUND.values()) + sum(EVALUATION.values()))
    patch.setattr(omniglot, "_NUM_ALPHABETS", len(BACKGROUND) + len(EVALUATION))
    patch.setattr(omniglot, "_DL_URLS", {
        "train": address + "images_background.zip",
        "eval": address + "images_evaluation.zip",
        "small1": address + "images_background_small1.zip",
        "small2": address + "images_background_small2.zip",
    })  # fmt: skip
    patch.setattr(omniglot_source, "reachable", lambda: True)


@pytest.fixture(scope="session")
def miniature_root(tmp_path_factory):
    """A tensorflow-datasets folder with the miniature, made by the library's own download."""
    root = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch, serve(archives()) as (address, _):
        patch_miniature(patch)
        patch_download(patch, address)
        omniglot_source.download(root)
    return root


@pytest.fixture(autouse=True)
def _own_places(monkeypatch, tmp_path):
    """No test finds or leaves anything in the places of the person who runs it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.delenv("TFMETA_DATA_DIR", raising=False)


REAL = omniglot_source.find_prepared(Path("/nonexistent"))


@pytest.fixture
def miniature(miniature_root, monkeypatch):
    """The prepared miniature, found through TFDS_DATA_DIR."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(miniature_root))
    return patch_miniature(monkeypatch)._replace(root=miniature_root)


@pytest.fixture
def download_host(monkeypatch):
    """The miniature's archives on loopback, with tensorflow-datasets told to fetch them; `(files, paths asked for)`."""
    patch_miniature(monkeypatch)
    files = archives()
    with serve(files) as (address, asked):
        patch_download(monkeypatch, address)
        yield files, asked


@pytest.fixture
def archive_address():
    """Address of the miniature's archives, with nothing patched."""
    with serve(archives()) as (address, _):
        yield address


@pytest.fixture(params=["miniature"] if REAL is None else ["miniature", "real"])
def omniglot(request, monkeypatch):
    """The miniature, and the real Omniglot where TFDS_DATA_DIR or the home folder has it."""
    if request.param == "miniature":
        return request.getfixturevalue("miniature")
    monkeypatch.setenv("TFDS_DATA_DIR", str(REAL.parents[1]))
    return Source(REAL.parents[1], omniglot_split.VINYALS_COUNTS, omniglot_split.LAKE_COUNTS, 20, real=True)
