"""Spells every phrase of the catalogue with hunspell, where it and the language's dictionary are installed.

    apt-get install hunspell hunspell-{de-de,en-gb,en-us,es,fr,it,pt-br,pt-pt}
    python -m tests.spelling [TAG ...]

Dictionaries are too large to keep in the repository. Words that they lack and that are meant (names, loan words,
words of one region) stand in ``tests/tutor/spelling/``, one file a language. Knows nothing of what phrases mean.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.tutor.phrases import phrases
from tutor.script.catalogue import Catalogue, load
from tutor.script.language import Language

LISTS = Path(__file__).parent / "tutor" / "spelling"
COUNTRIES = {"en": "US", "pt": "BR"}
"""Whose spelling a language's own file follows, where the country is not called like the language."""
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def spelled(catalogue: Catalogue) -> tuple[Language, ...]:
    """The languages that are written with an alphabet hunspell's dictionaries serve: the Latin one."""
    return tuple(language for language in map(catalogue.language, catalogue.tags) if language.script == "Latn")


def dictionary(language: Language) -> str:
    """How hunspell calls the dictionary of a language or of its region: ``es_ES``, ``es_PR``, ``en_US``."""
    if language.tag != language.base:
        return language.tag.replace("-", "_")
    return f"{language.base}_{COUNTRIES.get(language.base, language.base.upper())}"


def installed(name: str) -> bool:
    """Whether hunspell is here and has the dictionary ``name``."""
    if shutil.which("hunspell") is None:
        return False
    return subprocess.run(["hunspell", "-d", name, "-l"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def words(language: Language) -> dict[str, str]:
    """Every word of a language with the first place where it stands."""
    found: dict[str, str] = {}
    for where, text in _texts(language):
        for word in WORD.findall(re.sub(r"\{\w+\}", "", text)):
            found.setdefault(word, where)
    return found


def parts(language: Language) -> frozenset[str]:
    """Every word of a language and the parts of those with a hyphen or an apostrophe."""
    return frozenset(part for word in words(language) for part in (word, *_parts(word)))


def exceptions(base: str) -> frozenset[str]:
    """The words that are meant although no dictionary has them; lines beginning with ``#`` say why."""
    file = LISTS / f"{base}.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return frozenset(line for line in lines if line and not line.startswith("#"))


def unknown(language: Language) -> dict[str, str]:
    """The words that neither the dictionary nor the list of exceptions has, with where they stand.

    A word with a hyphen or an apostrophe is known when it is, or when each of its parts is.
    """
    listed, found, name = exceptions(language.base), words(language), dictionary(language)
    doubtful = _misspelled(set(found) - listed, name) - listed
    wrong = _misspelled({part for word in doubtful for part in _parts(word) if len(part) > 1}, name) - listed
    return {part: next(where for word, where in found.items() if part in _parts(word)) for part in sorted(wrong)}


def _parts(word: str) -> list[str]:
    return re.split(r"['’-]", word)


def _texts(language: Language) -> Iterator[tuple[str, str]]:
    yield "name", language.name
    yield from phrases(language)
    for tag, name in language.language_names.items():
        yield f"language_names.{tag}", name
    for scene_id, strings in language.scenes.items():
        yield f"{scene_id}.keywords", "; ".join(strings.keywords)


def _misspelled(candidates: Iterable[str], name: str) -> set[str]:
    command = ["hunspell", "-i", "UTF-8", "-d", name, "-l"]
    lines = "\n".join(candidates)
    found = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8", check=True)
    return set(found.stdout.split())


def main(tags: list[str]) -> int:
    """Prints what is unknown, language by language; 0 when nothing is, 1 when something is or nothing was checked."""
    languages = [language for language in spelled(load()) if not tags or language.tag in tags]
    here = [language for language in languages if installed(dictionary(language))]
    for language in languages:
        if language not in here:
            print(f"{language.tag}: hunspell has no dictionary {dictionary(language)}")
    wrong = [(language.tag, word, where) for language in here for word, where in unknown(language).items()]
    for tag, word, where in wrong:
        print(f"{tag}: {word} ({where})")
    return 1 if wrong or not here else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
