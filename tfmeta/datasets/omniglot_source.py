"""The original Omniglot: found where tensorflow-datasets prepared it, or downloaded once."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

from tfmeta.datasets.cache import check_writable, disk_full

# The first archive that tensorflow-datasets fetches; it redirects to the host that serves the files, so asking for
# it shows that both can be reached.
PROBE_URL = "https://github.com/brendenlake/omniglot/raw/master/python/images_background_small1.zip"
PROBE_SECONDS = 8.0
DOWNLOAD_BYTES = 200 * 2**20
RELATIVE_DIR = Path("omniglot") / "3.0.0"
SPLITS = ("train", "test")
IMAGES_PER_CHARACTER = 20
N_CHARACTERS = 1623


class OmniglotUnavailableError(RuntimeError):
    """Omniglot is neither on this machine nor can it be downloaded now."""


def find_prepared(data_dir: Path) -> Path | None:
    """Look for Omniglot as tensorflow-datasets leaves it, without using the network.

    Args:
        data_dir: folder to look in first; then come `$TFDS_DATA_DIR` and `~/tensorflow_datasets`.

    Returns:
        The folder `omniglot/3.0.0` that holds all files, or `None`.
    """
    for root in (data_dir, os.environ.get("TFDS_DATA_DIR"), "~/tensorflow_datasets"):
        with contextlib.suppress(RuntimeError):  # where there is no home folder, as in some containers
            if root and is_complete(folder := Path(root).expanduser() / RELATIVE_DIR):
                return folder
    return None


def is_complete(folder: Path) -> bool:
    """Tell whether a folder holds the files of a finished tensorflow-datasets preparation.

    Args:
        folder: an `omniglot/3.0.0` folder.

    Returns:
        Whether the description, the label names and both parts are there.
    """
    names = ("dataset_info.json", "features.json", "label.labels.txt", "alphabet.labels.txt")
    return all((folder / name).is_file() for name in names) and all(
        any(folder.glob(f"omniglot-{split}.*-of-*")) for split in SPLITS
    )


def reachable(url: str = PROBE_URL, seconds: float = PROBE_SECONDS) -> bool:
    """Ask the download host for one byte, within a hard limit of time.

    Args:
        url: address to ask for.
        seconds: longest time to wait in all, name look-up and redirects included.

    Returns:
        Whether the host answered that the file is there.
    """
    answered, done = threading.Event(), threading.Event()

    def ask():
        try:
            request = urllib.request.Request(url, headers={"Range": "bytes=0-0", "User-Agent": "tfmeta"})
            with urllib.request.urlopen(request, timeout=seconds) as response:
                if response.status < 400:
                    answered.set()
        except Exception:  # refusals, time-outs, TLS errors, broken answers: all mean that there is no download now
            return
        finally:
            done.set()

    # A look-up of a name can hang for minutes and cannot be interrupted; a daemon thread can be left behind.
    threading.Thread(target=ask, daemon=True, name="tfmeta-probe").start()
    done.wait(seconds)
    return answered.is_set()


def download(data_dir: Path) -> Path:
    """Download and prepare Omniglot with tensorflow-datasets; the result appears complete or not at all.

    Args:
        data_dir: folder below which `omniglot/3.0.0` is put.

    Returns:
        The prepared folder.

    Raises:
        OmniglotUnavailableError: if the download host cannot be reached, or the download breaks off.
        OSError: if `data_dir` cannot be written to or has too little room.
    """
    # tensorflow-datasets retries for minutes without a network, so it is not started before the host has answered.
    if not reachable():
        raise OmniglotUnavailableError(_advice("the download host does not answer", data_dir))
    check_writable(data_dir, DOWNLOAD_BYTES)
    _remove_abandoned(data_dir)
    temporary = Path(tempfile.mkdtemp(prefix=f".omniglot.tmp-{os.getpid()}-", dir=data_dir))
    final = data_dir / RELATIVE_DIR
    try:
        _prepare(temporary)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists() and not is_complete(final):
            # Kept aside rather than deleted: what is in it was not put there by this function.
            os.replace(final, tempfile.mkdtemp(prefix="3.0.0.incomplete-", dir=final.parent))
        try:
            os.replace(temporary / RELATIVE_DIR, final)
        except OSError:
            if not is_complete(final):  # else another process was faster, and what it put there will do
                raise
    finally:
        _remove(temporary)
    return final


def _prepare(temporary: Path) -> None:
    import tensorflow_datasets as tfds

    try:
        # The class itself: looking it up by name can ask a storage server as well.
        builder = tfds.image_classification.Omniglot(data_dir=str(temporary))
        builder.download_and_prepare(download_dir=str(temporary / "downloads"))
    except Exception as error:
        # TensorFlow reports a full disk with an exception of its own, so the disk itself is asked as well.
        if getattr(error, "errno", None) == errno.ENOSPC or shutil.disk_usage(temporary).free < 2**20:
            raise disk_full(temporary.parent, DOWNLOAD_BYTES) from error
        reason = f"the download broke off ({type(error).__name__}: {error})"
        raise OmniglotUnavailableError(_advice(reason, temporary.parent)) from error


def _remove(folder: Path) -> None:
    # Threads of a failed download may write on for a moment, so one pass can miss a file that appears behind it.
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _remove_abandoned(data_dir: Path) -> None:
    """Remove what a killed download of an earlier process left."""
    for folder in data_dir.glob(".omniglot.tmp-*"):
        process = folder.name.removeprefix(".omniglot.tmp-").split("-")[0]
        if process.isdigit() and not _alive(int(process)):
            _remove(folder)


def _alive(process: int) -> bool:
    if os.name != "posix":
        return True  # asking with signal 0 would end the process on Windows
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _advice(reason: str, data_dir: Path) -> str:
    return (
        f"Omniglot is not on this machine and could not be downloaded: {reason}. Without a network, copy the folder "
        f"'omniglot/3.0.0' that tensorflow-datasets prepared on another machine (~/tensorflow_datasets/omniglot) to "
        f"{str(data_dir / RELATIVE_DIR)!r}, or set TFDS_DATA_DIR to the folder that holds 'omniglot'; or use the "
        f"generated characters of tfmeta.datasets.load_glyphs(). Received: data_dir={str(data_dir)!r}"
    )


def read_prepared(folder: Path, shrink) -> dict[str, np.ndarray]:
    """Read all images of a prepared folder through tensorflow-datasets.

    Args:
        folder: an `omniglot/3.0.0` folder.
        shrink: function from black-on-white uint8 images `[n, 105, 105]` to the images to keep `[n, h, w]`; called
            per batch, because all originals together need 358 MB.

    Returns:
        `images` uint8 `[n, h, w]` sorted by character, and per character, `[1623]` each: `alphabet`, `character`
        (number within its alphabet, from 1), `background` (of Lake's background set) and `count`.

    Raises:
        ValueError: if the folder does not hold the complete Omniglot; the message names it.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from google.protobuf.json_format import ParseError  # of the folder's descriptions

    parts = {"images": [], "label": [], "alphabet": [], "character": [], "background": []}
    try:
        builder = tfds.builder_from_directory(str(folder))
        alphabet_names = builder.info.features["alphabet"].names
        for split in SPLITS:
            data = builder.as_dataset(split=split, shuffle_files=False, decoders={"image": tfds.decode.SkipDecoding()})

            def decode(example):
                image = tf.io.decode_png(example["image"], channels=1)[..., 0]
                return image, example["label"], example["alphabet"], example["alphabet_char_id"]

            for images, label, alphabet, character in data.map(decode, num_parallel_calls=2).batch(1000).prefetch(1):
                parts["images"].append(shrink(images.numpy()))
                parts["label"].append(label.numpy())
                parts["alphabet"].append(alphabet.numpy())
                parts["character"].append(character.numpy() + 1)
                parts["background"].append(np.full(len(label), split == "train"))
        columns = {key: np.concatenate(value) for key, value in parts.items()}
        return _by_character(columns, alphabet_names)
    except (OSError, ValueError, KeyError, IndexError, ParseError, tf.errors.OpError) as error:
        raise ValueError(
            f"the folder must hold the complete Omniglot as tensorflow-datasets prepares it "
            f"({type(error).__name__}: {error}); remove or replace it. Received: folder={str(folder)!r}"
        ) from error


def _by_character(columns: dict[str, np.ndarray], alphabet_names: list[str]) -> dict[str, np.ndarray]:
    order = np.argsort(columns["label"], kind="stable")
    label = columns["label"][order]
    classes, first, count = np.unique(label, return_index=True, return_counts=True)
    if not np.array_equal(classes, np.arange(N_CHARACTERS)) or np.any(count != IMAGES_PER_CHARACTER):
        raise ValueError(
            f"expected {N_CHARACTERS} characters of {IMAGES_PER_CHARACTER} images. "
            f"Received: {len(classes)} characters, {count.min()} to {count.max()} images each"
        )
    one_each = order[first]
    return {
        "images": columns["images"][order],
        "alphabet": np.array(alphabet_names)[columns["alphabet"][one_each]],
        "character": columns["character"][one_each].astype(np.int32),
        "background": columns["background"][one_each],
        "count": count.astype(np.int32),
    }
