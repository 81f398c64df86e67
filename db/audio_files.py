"""The files in which the sound of calls waits for its end: random names, nobody else may read them.

It knows a directory and nothing of whose sound it is. Blocks: from async code use ``asyncio.to_thread``.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path
from typing import Final

DIRECTORY: Final = "audio"
"""In the data directory."""
LONGEST_S: Final = 24 * 3600.0
"""No recording lives longer, whatever is known of it (tutoring.md §6.3)."""
LEFT_BEHIND_S: Final = 3600.0
"""A recording that is being made is written to every few seconds: after an hour without, its process is dead."""

_NAME: Final = re.compile(r"[0-9a-f]{32}\.wav")
_UNFINISHED: Final = re.compile(r"[0-9a-f]{32}\.part")
_NO_NAME: Final = "A recording has a random name of its own, without any directory."


class AudioFiles:
    """The recordings of one machine."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is made before the first recording is written."""
        self.directory = data_dir / DIRECTORY

    @staticmethod
    def new_name() -> str:
        """A name that says nothing."""
        return f"{secrets.token_hex(16)}.wav"

    def spool(self) -> Spool:
        """Begins a recording.

        Raises:
            OSError: there is no room for it.
        """
        return Spool(self.directory)

    def find(self, name: str) -> Path | None:
        """The file of this name; None when it is gone, or on another machine.

        Raises:
            ValueError: the name is not one of ``new_name``.
        """
        path = self._path(name)
        return path if path.is_file() else None

    def remove(self, name: str) -> bool:
        """Deletes a file; False when it is gone already.

        Raises:
            ValueError: the name is not one of ``new_name``.
            OSError: it is there and cannot be deleted.
        """
        return _unlink(self._path(name))

    def remove_old(self, older_than_s: float = LONGEST_S, now: float | None = None) -> int:
        """Deletes what is too old, whether anybody knows of it or not; returns how many that were.

        What a process that died had not finished goes after ``LEFT_BEHIND_S``.

        Args:
            older_than_s: since it was written last.
            now: seconds since 1970; None: this moment.
        """
        at = time.time() if now is None else now
        if not self.directory.is_dir():
            return 0
        lasts = ((_NAME, older_than_s), (_UNFINISHED, min(older_than_s, LEFT_BEHIND_S)))
        removed = 0
        for entry in list(os.scandir(self.directory)):
            most_s = next((most_s for kind, most_s in lasts if kind.fullmatch(entry.name)), None)
            if most_s is not None and _written_at(entry, at) < at - most_s:
                removed += _unlink(self.directory / entry.name)
        return removed

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(_NO_NAME)
        return self.directory / name


class Spool:
    """A recording while it is being made: not one yet, and none at all unless it is kept."""

    def __init__(self, directory: Path) -> None:
        """Makes a file that only this user can read.

        Raises:
            OSError: it cannot be made.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = directory / f"{secrets.token_hex(16)}.part"
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(self, sound: bytes) -> None:
        """Adds to its end.

        Raises:
            OSError: the disk takes no more.
        """
        self._file.write(sound)
        self._file.flush()

    def keep(self, name: str, head: bytes) -> None:
        """Puts ``head`` over its first bytes and makes it the recording of this name.

        Raises:
            ValueError: the name is not one of ``AudioFiles.new_name``.
            OSError: it cannot be finished, or is gone.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(_NO_NAME)
        self._file.seek(0)
        self._file.write(head)
        self._file.close()
        self._path.rename(self._path.with_name(name))

    def discard(self) -> None:
        """Deletes it, unless it was kept. Idempotent.

        Raises:
            OSError: it cannot be deleted.
        """
        try:
            self._file.close()
        finally:
            self._path.unlink(missing_ok=True)


def _written_at(entry: os.DirEntry[str], otherwise: float) -> float:
    """When a file was written last, in seconds since 1970; ``otherwise`` when it has just gone."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return otherwise


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
