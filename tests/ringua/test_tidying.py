"""Each serving process takes its own machine's old recordings away, whoever runs the sweep of all schools."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from db.audio_files import AudioFiles
from ringua.service import TIDY_EVERY_S, tidy
from tests import virtual_time


class Disk(AudioFiles):
    """A directory in which something old is found, or that cannot be read."""

    def __init__(self, *found: int | None) -> None:
        super().__init__(Path("/nowhere"))
        self.found = list(found)
        self.at_s: list[float] = []
        self.done = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def remove_old(self, older_than_s: float = 0.0, now: float | None = None) -> int:
        """The next thing that was to be found; None is an error of the disk."""
        self.at_s.append(self._loop.time())
        removed = self.found.pop(0)
        if not self.found:
            self._loop.call_soon_threadsafe(self.done.set)
        if removed is None:
            raise PermissionError(13, "Permission denied")
        return removed


def test_old_recordings_go_by_the_hour() -> None:
    """At the start, for what a dead process left, and every hour from then on, whatever one round said."""

    async def run() -> None:
        disk = Disk(0, 2, None, 1)
        with capture_logs() as said:
            tidying = asyncio.create_task(tidy(disk))
            await disk.done.wait()
            tidying.cancel()
            await asyncio.gather(tidying, return_exceptions=True)
        assert [round(at_s / TIDY_EVERY_S) for at_s in disk.at_s] == [0, 1, 2, 3]
        assert [(line["event"], line.get("count"), line.get("problem")) for line in said][:2] == [
            ("recordings.removed", 2, None),
            ("recordings.not_removed", None, "PermissionError"),
        ]

    virtual_time.run(run())
