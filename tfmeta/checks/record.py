"""What has been answered in this notebook: exercises, predictions, quiz."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Entry:
    """One exercise, prediction or quiz, as it stands.

    Args:
        kind: `"exercise"`, `"prediction"` or `"quiz"`.
        status: in words.
        done: whether nothing is left to do.
        tries: answers given so far.
    """

    kind: str
    status: str
    done: bool
    tries: int = 0


_entries: dict[str, Entry] = {}


def note(name: str, kind: str, status: str, *, done: bool, tried: bool = True) -> None:
    """Keep how an exercise stands; once it is done it stays so.

    Args:
        name: of the exercise.
        kind: `"exercise"`, `"prediction"` or `"quiz"`.
        status: in words.
        done: whether nothing is left to do.
        tried: whether there was an answer.
    """
    entry = _entries.setdefault(name, Entry(kind, status, done=False))
    entry.tries += tried and not entry.done
    if not entry.done:
        entry.status, entry.done = status, done


def progress() -> None:
    """Print how each exercise, prediction and quiz of this notebook stands, in the order in which they were met.

    It knows what ran in this kernel, so run the notebook's cells first; after a restart it begins anew.

    References:
        Hattie, Timperley (2007), "The Power of Feedback": where am I going, how am I going, where to next?
        https://doi.org/10.3102/003465430298487
    """
    if not _entries:
        print("Nothing has been checked yet: run the notebook's cells first.")
        return
    width = max(map(len, _entries))
    for name, entry in _entries.items():
        tries = f" ({entry.tries} {'try' if entry.tries == 1 else 'tries'})" if entry.tries else ""
        print(f"[{'ok' if entry.done else '  '}] {name:{width}}  {entry.kind}: {entry.status}{tries}")
    done = sum(entry.done for entry in _entries.values())
    print(f"{done} of {len(_entries)} done")


def forget() -> None:
    """Forget everything, as after a restart."""
    _entries.clear()
