"""Who may call a line: whether an operator's setting allows what a line says of its callers' age (tutoring.md §6.3).

Knows no setting and no row.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Minors = Literal["none", "13+", "under13"]
"""none: adults only. 13+: minors from 13 on. under13: children too, which needs zero data retention at the model."""

MINORS: Final[tuple[Minors, ...]] = get_args(Minors)
"""From the narrowest to the widest."""


def minors_allowed(line_minors: str, setting: str) -> bool:
    """Whether a line for these callers may be live under the operator's ``RINGUA_MINORS``.

    Raises ValueError for a word that is none of ``MINORS``.
    """
    for word in (line_minors, setting):
        if word not in MINORS:
            raise ValueError(f"Minors are {', '.join(MINORS)}, not {word!r}.")
    ages: tuple[str, ...] = MINORS
    return ages.index(line_minors) <= ages.index(setting)
