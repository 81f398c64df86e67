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

_NAME = re.compile(r"[0-9a-f]{32}\.wav")


class AudioFiles:
    """The recordings of one machine."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is made before the first recording is written."""
        self.directory = data_dir / DIRECTORY

    @staticmethod
    def new_name() -> str:
        """A name that says nothing."""
        return f"{secrets.token_hex(16)}.wav"

    def write(self, name: str, sound: bytes) -> None:
        """Writes a new file that only this user can read.

        Raises:
            ValueError: the name is not one of ``new_name``.
            OSError: it cannot be written, or is there already.
        """
        path = self._path(name)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(sound)

    def remove(self, name: str) -> bool:
        """Deletes a file; False when it is gone already.

        Raises:
            ValueError: the name is not one of ``new_name``.
            OSError: it is there and cannot be deleted.
        """
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def remove_old(self, older_than_s: float = LONGEST_S, now: float | None = None) -> int:
        """Deletes what is too old, whether anybody knows of it or not; returns how many that were.

        Args:
            older_than_s: since it was written last.
            now: seconds since 1970; None: this moment.
        """
        before = (time.time() if now is None else now) - older_than_s
        if not self.directory.is_dir():
            return 0
        old = [entry.name for entry in os.scandir(self.directory) if entry.stat().st_mtime < before]
        return sum(self.remove(name) for name in old if _NAME.fullmatch(name))

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("A recording has a random name of its own, without any directory.")
        return self.directory / name
