"""Rows as COPY takes them: a table's name, its columns and lines of text. What the rows say is not known here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

NULL: Final = r"\N"
CHUNK: Final = 4_000
"""Things whose rows are made and sent at once."""

_SPECIAL: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one table, in the order in which time would have written them."""

    name: str
    columns: tuple[str, ...]
    things: int
    """How many schools, learners or calls they are made from: their progress."""
    made: Callable[[int, int], Iterator[str]]
    """The lines of some of those things, from the first to before the last; each ends with a line feed."""
    shared: tuple[str, Sequence[str]] | None = None
    """A column of long JSON, and the values that rows share: in that column they have the value's place."""

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """How many things were done, and their lines."""
        for begin in range(0, self.things, CHUNK):
            end = min(self.things, begin + CHUNK)
            yield end - begin, "".join(self.made(begin, end)).encode()


def copied(text: str) -> str:
    """A text as COPY takes it."""
    return text.translate(_SPECIAL)


def line(*values: object) -> str:
    """One row; None is null, texts are copied as they are, truth and bytes as Postgres writes them."""
    return "\t".join(map(_value, values)) + "\n"


def array(values: Sequence[str]) -> str:
    """An array of plain words."""
    return "{" + ",".join(values) + "}"


def times(seconds: npt.NDArray[np.int64]) -> list[str]:
    """Seconds since 1970, as Postgres reads them."""
    return [f"{text}+00" for text in np.datetime_as_string(seconds.astype("datetime64[s]")).tolist()]


def _value(value: object) -> str:
    if value is None:
        return NULL
    if isinstance(value, str):
        return copied(value)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return rf"\\x{value.hex()}"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
