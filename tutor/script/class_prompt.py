"""What a teacher wants practised this week: words, structures, a theme. Data, never instructions.

Reads plain text, TOML, or the simple ``field: value`` files teachers paste. Knows no prompt section and no scene.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import NoReturn

MAX_WORDS = 60
MAX_STRUCTURES = 5
MAX_TEXT_CHARS = 600
MAX_TOTAL_CHARS = 1400
"""All fields together: what is left of the model's instructions (8,000 characters) after our own sections."""

_LISTS = ("vocabulary", "grammar", "must_use", "avoid")
_TEXTS = ("theme", "text")
_ALIASES = {"note": "text", "words": "vocabulary", "structures": "grammar"}
_PLANNING = ("class", "from", "to", "scenario_ids", "minutes")
"""Fields of a week's plan that say when and where it applies; they are not for the model."""

_FIELD = re.compile(r"^\s*([A-Za-z_]+)\s*([:=])")


class ClassPromptError(ValueError):
    """A class prompt cannot be used; the message is one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class ClassPrompt:
    """A week's material. Limits: 60 words or phrases, 5 structures, 600 characters of text, 1,400 in all."""

    theme: str = ""
    vocabulary: tuple[str, ...] = ()
    grammar: tuple[str, ...] = ()
    text: str = ""
    must_use: tuple[str, ...] = ()
    """Items the role should make needed in this call, rather than others of the list."""
    avoid: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.vocabulary) > MAX_WORDS:
            _refuse(f"it has {len(self.vocabulary)} words; keep the {MAX_WORDS} that matter most this week")
        if len(self.grammar) > MAX_STRUCTURES:
            _refuse(f"it has {len(self.grammar)} structures; keep at most {MAX_STRUCTURES}")
        if len(self.text) > MAX_TEXT_CHARS:
            _refuse(f"its text has {len(self.text)} characters; shorten it to {MAX_TEXT_CHARS}")
        entries = (self.theme, self.text, *self.vocabulary, *self.grammar, *self.must_use, *self.avoid)
        total = sum(len(entry) + 2 for entry in entries if entry)  # two more each for quoting or a comma
        if total > MAX_TOTAL_CHARS:
            _refuse(f"all its fields together have {total} characters; shorten them to {MAX_TOTAL_CHARS}")
        if not any(entries):
            _refuse("it is empty; write a theme, some words or a few sentences about this week's lesson")

    @classmethod
    def parse(cls, text: str) -> ClassPrompt:
        """Reads a class prompt from what a teacher wrote.

        The first line decides: ``theme = "…"`` means TOML, ``theme: …`` a file of fields (lists after the colon,
        comma-separated or in brackets, or as ``- item`` lines), anything else plain text.

        Raises:
            ClassPromptError: empty, too long, an unknown field or broken TOML; one sentence says which.
        """
        text = text.strip().removeprefix("\ufeff").strip()
        first = _FIELD.match(text)
        if first is None or _canonical(first[1]) not in (*_LISTS, *_TEXTS, "class"):
            return cls(text=text)
        fields = _from_toml(text) if first[2] == "=" else _from_fields(text)
        values: dict[str, list[str]] = {}
        for name, entries in fields.items():
            known = _canonical(name)
            if known in _PLANNING:
                continue
            if known not in (*_LISTS, *_TEXTS):
                _refuse(f'it has an unknown field "{name}"; known are {", ".join((*_TEXTS, *_LISTS))}')
            values.setdefault(known, []).extend(entries)
        texts = {name: " ".join(values.get(name, ())).strip() for name in _TEXTS}
        lists = {name: tuple(entry for entry in values.get(name, ()) if entry) for name in _LISTS}
        return cls(
            theme=texts["theme"],
            text=texts["text"],
            vocabulary=lists["vocabulary"],
            grammar=lists["grammar"],
            must_use=lists["must_use"],
            avoid=lists["avoid"],
        )


def _refuse(what: str) -> NoReturn:
    raise ClassPromptError(f"This class prompt cannot be used: {what}.")


def _canonical(name: str) -> str:
    name = name.lower()
    return _ALIASES.get(name, name)


def _from_toml(text: str) -> dict[str, list[str]]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse(f"it begins like TOML and does not read as TOML ({str(error).rstrip('.')})")
    return {
        name: [str(entry).strip() for entry in (value if isinstance(value, list) else [value])]
        for name, value in raw.items()
    }


def _from_fields(text: str) -> dict[str, list[str]]:
    """``field: value`` lines; an indented line, or one without a field, belongs to the field above."""
    fields: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines():
        match = None if line[:1].isspace() else _FIELD.match(line)
        if match and match[2] == ":":
            current, line = match[1].lower(), line[match.end() :]
            fields.setdefault(current, [])
        fields[current].extend(_entries(_canonical(current), line))
    return fields


def _entries(name: str, line: str) -> list[str]:
    line = line.strip()
    item = line.removeprefix("- ").strip()
    if name in _TEXTS:
        return [_unquoted(line)] if line not in ("", "|", ">") else []
    parts = [item] if item != line else line.strip("[]").split(",")
    return [entry for entry in map(_unquoted, parts) if entry]


def _unquoted(entry: str) -> str:
    entry = entry.strip()
    return entry[1:-1].strip() if len(entry) > 1 and entry[0] == entry[-1] and entry[0] in "\"'" else entry
