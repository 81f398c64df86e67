"""Which languages a line speaks with its callers, which it practises with them, and which scenes each pair has.

It knows the catalogue, no learner, no database and no key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol
from uuid import UUID

import structlog

from db.models import LineSettings
from telephony.ivr.questions import MOST_LANGUAGES, MOST_TARGETS, Offer
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.language import Language

FALLBACK_LANGUAGES: Final = ("en", "es")
"""Spoken where the caller's language is not known, one after the other."""

log = structlog.get_logger(__name__)


class LineOffer(LineSettings, Protocol):
    """What a line offers, in which languages, and whether to children."""

    @property
    def id(self) -> UUID: ...
    @property
    def kids(self) -> bool: ...
    @property
    def natives(self) -> list[str]: ...
    @property
    def targets(self) -> list[str]: ...


def native_of(line: LineSettings, catalogue: Catalogue) -> Language:
    """Returns the language of a line's callers; the first fallback, and a warning, where that cannot be spoken."""
    try:
        native = catalogue.language(line.native or "")
    except CatalogueError:
        native = None
    if native is not None and native.is_native:
        return native
    if line.native:
        log.warning("language_unsupported", language=line.native, spoken=FALLBACK_LANGUAGES[0])
    return catalogue.language(FALLBACK_LANGUAGES[0])


def natives_of(line: LineOffer) -> tuple[str, ...]:
    """Returns the tags of the languages that a line's callers may speak, in the line's order, its own among them."""
    return _with_own(line.natives, line.native, MOST_LANGUAGES)


def targets_of(line: LineOffer) -> tuple[str, ...]:
    """Returns the tags of the languages that a line practises, in the line's order, its own among them."""
    return _with_own(line.targets, line.target, MOST_TARGETS)


def target_for(line: LineOffer, wanted: str) -> str:
    """Returns the line's variety of a language that somebody practises; the line's own where it has none of it."""
    offered = targets_of(line)
    if wanted in offered:
        return wanted
    return next((tag for tag in offered if _base(tag) == _base(wanted)), line.target or "")


def same_language(one: str, other: str) -> bool:
    """Whether two tags are one language, or regions of one."""
    return _base(one) == _base(other)


def offered_on(line: LineOffer, catalogue: Catalogue) -> list[str]:
    """Returns the scenarios of a line, in its order, that can be played in its own languages; see ``offered_in``."""
    return offered_in(line, catalogue, native=line.native or "", target=line.target or "")


def offered_in(line: LineOffer, catalogue: Catalogue, *, native: str, target: str) -> list[str]:
    """Returns the scenarios of a line that can be played in a pair of languages; for children only those for them."""
    able = playable(line.scenarios, native, target, line.level, catalogue)
    return [scenario for scenario in able if not line.kids or catalogue.scenario(scenario).kid_ok]


def offers_of(line: LineOffer, catalogue: Catalogue) -> tuple[Offer, ...]:
    """Returns what callers of each language can practise on a line, without the languages that leave nothing."""
    offers = (
        Offer(
            native,
            tuple(target for target in targets_of(line) if offered_in(line, catalogue, native=native, target=target)),
        )
        for native in natives_of(line)
    )
    return tuple(offer for offer in offers if offer.targets)


def playable(
    scenarios: Iterable[str], native: str | None, target: str | None, level: str | None, catalogue: Catalogue
) -> list[str]:
    """Returns those scenarios, in their order, that the catalogue has for this pair of languages and level."""
    try:
        pair = catalogue.pair(native or "", target or "")
        catalogue.level(level or "")
    except CatalogueError:
        return []
    known = catalogue.offers(*pair)
    return [scenario for scenario in dict.fromkeys(scenarios) if scenario in known]


def _with_own(tags: Iterable[str], own: str | None, most: int) -> tuple[str, ...]:
    every = tuple(dict.fromkeys(tags))
    if own and own not in every:
        every = (own, *every)
    return every[:most]


def _base(tag: str) -> str:
    return tag.replace("_", "-").partition("-")[0].lower()
