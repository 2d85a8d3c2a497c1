"""A folder of files that a script makes, and that somebody may work in: what was changed there is not overwritten."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pages import FOLDER, write

RECORD = ".tfmeta-export.json"  # what was written into a folder, by its hash


def digest(content: bytes) -> str:
    """What tells a changed file from an unchanged one."""
    return hashlib.sha256(content).hexdigest()


def written_before(folder: Path) -> dict[str, list[str]] | None:
    """Files that an earlier export wrote, with their hashes; `None` for a folder that it did not make."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return {str(name): list(hashes) for name, hashes in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def write_folder(folder: Path, files: dict[str, bytes], force: bool) -> None:
    """Write the files of a folder, unless somebody's work is in their place."""
    folder = folder.resolve()
    if folder == FOLDER or FOLDER in folder.parents or folder in FOLDER.parents:
        raise SystemExit(
            f"copies need a folder of their own, apart from the tutorials. Received: folder={str(folder)!r}"
        )
    if folder.exists() and not folder.is_dir():
        raise SystemExit(
            f"a folder is needed, and this is a file. Received: folder={str(folder)!r}"
        )
    known = written_before(folder)
    there = folder.is_dir() and any(folder.iterdir())
    if there and known is None and not force:
        raise SystemExit(
            f"{folder} is not empty, and was not written by this script: name another folder, or say --force"
        )
    known = known or {}

    def is_ours(name: str) -> bool:
        path, hashes = folder / name, known.get(name, [])
        return path.is_file() and digest(path.read_bytes()) in hashes

    changed = [
        name for name in files if (folder / name).exists() and not is_ours(name)
    ]
    if changed and not force:
        raise SystemExit(
            f"changed since they were written: {', '.join(changed)} in {folder}. Name another folder, or say --force"
        )
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {name: digest(content) for name, content in files.items()}
    # Both the old and the new, so that an export that was interrupted is recognised, too.
    both = {name: [*known.get(name, []), new] for name, new in hashes.items()}
    write(folder / RECORD, json.dumps(known | both))
    for name in set(known) - set(files):  # of a notebook that is gone
        inside = folder in (folder / name).resolve().parents
        if inside and is_ours(name):
            (folder / name).unlink()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, content)
    write(
        folder / RECORD, json.dumps({name: [h] for name, h in hashes.items()})
    )
    print(f"{len(files)} files in {folder}")
