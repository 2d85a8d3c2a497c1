"""Where data sets are kept, and one-file caches of arrays that are written atomically and checked when read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

HASH_KEY = "sha256"


class DamagedCacheError(Exception):
    """A cache file exists but is not what was written: truncated, altered, or of another layout."""


def resolve_data_dir(data_dir: str | os.PathLike | None = None) -> Path:
    """Choose the folder in which data sets are kept.

    Args:
        data_dir: the caller's choice, or `None` for the environment variable `TFMETA_DATA_DIR`, else `data/` of the
            source checkout that the package runs from, else the user's cache folder.

    Returns:
        The absolute path; the folder need not exist yet.

    Raises:
        OSError: if it is to be below a home folder, and there is none, as in some containers.
    """
    chosen = data_dir if data_dir is not None else os.environ.get("TFMETA_DATA_DIR")
    if not isinstance(chosen, str | os.PathLike | None):
        raise TypeError(f"data_dir must be a string or a path. Received: data_dir={data_dir!r}")
    if chosen:
        with _needs_home(chosen):
            return Path(chosen).expanduser().absolute()
    root = Path(__file__).resolve().parents[2]
    project = root / "pyproject.toml"
    # The name is compared because an installed package can also lie next to somebody else's pyproject.toml.
    if project.is_file() and 'name = "tfmeta"' in project.read_text(encoding="utf-8"):
        return root / "data"
    import platformdirs

    with _needs_home(data_dir):
        Path.home()  # older versions of platformdirs go on with a folder named "~"
        return Path(platformdirs.user_cache_dir("tfmeta", appauthor=False))


@contextlib.contextmanager
def _needs_home(data_dir):
    try:
        yield
    except RuntimeError as error:
        raise OSError(
            errno.ENOENT,
            "data_dir must not be below the home folder where there is none (HOME is not set, and the user is not in "
            f"the system's list); pass a data_dir or set TFMETA_DATA_DIR. Received: data_dir={data_dir!r}",
        ) from error


def check_writable(folder: Path, needed_bytes: int) -> None:
    """Create the folder and make sure that it takes a file and has room.

    Args:
        folder: folder to be written to.
        needed_bytes: free space wanted, in bytes.

    Raises:
        OSError: if the folder cannot be created or written to, or has too little free space; the message names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            error.errno or errno.EACCES,
            f"data_dir must be a folder that can be written to ({error.strerror or error}); "
            f"pass another data_dir or set TFMETA_DATA_DIR. Received: data_dir={str(folder)!r}",
        ) from error
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise disk_full(folder, needed_bytes, free)


def disk_full(folder: Path, needed_bytes: int, free: int | None = None) -> OSError:
    """Make the error for a full disk.

    Args:
        folder: folder that was to be written to.
        needed_bytes: space wanted, in bytes.
        free: space left, in bytes, where known.

    Returns:
        The error, to be raised.
    """
    left = "" if free is None else f", {free / 2**20:.0f} MiB are free"
    return OSError(
        errno.ENOSPC,
        f"data_dir needs {needed_bytes / 2**20:.0f} MiB of free disk space{left}; free some, pass another data_dir "
        f"or set TFMETA_DATA_DIR. Received: data_dir={str(folder)!r}",
    )


def content_hash(arrays: dict[str, np.ndarray]) -> str:
    """Hash names, types, shapes and values of arrays.

    Args:
        arrays: the arrays by name, any shapes.

    Returns:
        The SHA-256 as 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        digest.update(f"{key}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.view(np.uint8).reshape(-1).data if array.size else b"")
    return digest.hexdigest()


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays and their hash to one file, which appears complete or not at all.

    Args:
        path: the `.npz` file; an older one is replaced.
        arrays: the arrays by name, any shapes, no object arrays.

    Raises:
        OSError: if the disk is full or the folder cannot be written to; the message names the folder.
    """
    temporary = None
    try:
        # The same folder, because a rename is atomic only inside one file system.
        handle, temporary = tempfile.mkstemp(prefix=path.name + ".tmp-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays, **{HASH_KEY: np.array(content_hash(arrays))})
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a data folder on a shared machine is read by others too.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(path.parent, sum(a.nbytes for a in arrays.values())) from error
        raise OSError(
            error.errno or errno.EIO,
            f"data_dir must take the file {path.name!r} ({error.strerror or error}). "
            f"Received: data_dir={str(path.parent)!r}",
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a file of `write_arrays` and compare its content with the hash inside.

    Args:
        path: the `.npz` file.

    Returns:
        The arrays by name, of the shapes that were written.

    Raises:
        FileNotFoundError, NotADirectoryError: if there is no such file.
        OSError: if it cannot be opened; the message names the folder.
        DamagedCacheError: if it cannot be read or its content does not have the stored hash.
    """
    try:
        # Opened here, because np.load leaves a file open if it is not a zip archive.
        stream = open(path, "rb")  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:  # no damage: a file that may not be read, a name that is too long
        raise OSError(
            error.errno or errno.EIO,
            f"data_dir must let its file {path.name!r} be read ({error.strerror or error}); pass another data_dir or "
            f"set TFMETA_DATA_DIR. Received: data_dir={str(path.parent)!r}",
        ) from error
    try:
        with stream, np.load(stream, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        stored = str(arrays.pop(HASH_KEY))
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, AttributeError, TypeError,
            NotImplementedError, RuntimeError, SyntaxError, MemoryError, OverflowError) as error:  # fmt: skip
        # All of these were met with bytes flipped at random places of a zip archive.
        raise DamagedCacheError(f"{path}: {type(error).__name__}: {error}") from error
    if stored != content_hash(arrays):
        raise DamagedCacheError(f"{path}: the content does not match its SHA-256")
    return arrays
