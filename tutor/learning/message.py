"""A debrief as a text message of at most two segments, in plain typography and with every accent in its place.

What does not fit is left out whole, in a fixed order (tutoring.md §5.6). How segments are counted comes from outside.
Knows no telephone number and no carrier.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tutor.learning.debrief import Debrief
from tutor.learning.facts import Facts
from tutor.script.language import Language

MAX_SEGMENTS = 2

TOLD_TURNS = 8
"""A number of turns is told from here on (tutoring.md §5.6)."""

SCHOOL_CHARACTERS: Final = 30
"""A longer name of a school is cut in a message to a family: it would leave no room for the child."""

_UNSPACED = ("Hans", "Hant", "Jpan")
"""Scripts without a space between sentences."""

_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("‘’‚‛", "'")
    | dict.fromkeys("“”„‟«»", '"')
    | dict.fromkeys("‐‑‒–—―", "-")
    | dict.fromkeys("\u00ad\u200b\u2060\ufeff")
    | {"…": "..."}
)
"""Marks that would make the whole message UCS-2, for the price of half its room, and what stands for them."""


def plain_typography(text: str) -> str:
    """Quotation marks, dashes, ellipses and spaces as a typewriter has them, on one line, composed (NFC)."""
    return unicodedata.normalize("NFC", " ".join(text.translate(_TYPOGRAPHY).split()))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a message may hold, in its order."""

    turns: str
    praise: str
    can_dos: tuple[str, ...]
    keep: str
    meaning: str
    next: str
    link: str
    stop: str
    earned: tuple[str, ...] = ()
    """What was achieved with the call, in ever fewer words; the first of them are told."""
    insight: str = ""
    """What has become better; it never costs anything else its room."""
    success: str = ""
    """What stands for the turns where there is room for it: them, and how much of it got across."""


def compose(
    debrief: Debrief,
    facts: Facts,
    native: Language,
    *,
    count: Callable[[str], int],
    link: str | None = None,
    first: bool = False,
    key: str | None = None,
    success: str = "",
    earned: Sequence[str] = (),
    insight: str = "",
) -> str:
    """The message: turns, what was achieved, an insight, praise, can-dos, the phrase, the next scene, the link, how to
    stop.

    Left out when it would be too long, in this order: how much got across, the insight, the next scene, the meaning of
    the phrase, the praise, what was done for an achievement, the turns, can-dos until one is left, that one, the
    phrase, the name of the achievement; the link only when nothing else helps, how to stop never. What was left out
    comes back when there is room for it after all.

    Args:
        native: the learner's own language, the one the debrief was written in.
        count: how many segments a text is sent in.
        link: to the debrief's page.
        first: whether to say how to stop: in the first message, and in the first of each month.
        key: what starts the next scene in the line's menu; None when it has no key of its own.
        success: the turns with how much of it got across (``insights.success``); empty when only turns are told.
        earned: what was achieved with the call, in ever fewer words (``achievements.tellings``); may be empty.
        insight: what has become better; empty when nothing is to be told. These three in the learner's own language.
    """
    strings = native.scenes.get(facts.scenario)
    can_dos = [goal for goal in debrief.can_dos if strings and goal in strings.can_do]
    whole = _Parts(
        turns=native.say("debrief.turns", count=str(facts.turns)) if facts.turns >= TOLD_TURNS else "",
        praise=debrief.praise,
        can_dos=tuple(strings.can_do[goal] for goal in can_dos) if strings else (),
        keep=debrief.keep,
        meaning=debrief.keep_meaning or "",
        next=_next(debrief.next_scenario, native, key),
        link=link or "",
        stop=native.say("debrief.stop") if first else "",
        earned=tuple(earned),
        insight=insight,
        success=success if facts.turns >= TOLD_TURNS else "",
    )

    return _fitting(whole, lambda parts: _text(parts, native), count)


def compose_family(
    debrief: Debrief,
    facts: Facts,
    native: Language,
    *,
    school: str,
    count: Callable[[str], int],
    link: str | None = None,
    first: bool = False,
) -> str:
    """The message to a learner's family: who writes, what the child did, the phrase, the link, how to stop.

    Shortened like the learner's own. The child is not named, and nothing is said of how the call went otherwise.

    Args:
        native: the family's language, the learner's own.
        school: who writes: the family has not called, so that the sender's number may tell them nothing.
        count: how many segments a text is sent in.
        link: to the page of the call, as a family may read it.
        first: whether to say how to stop.
    """
    strings = native.scenes.get(facts.scenario)
    known = [goal for goal in debrief.can_dos if strings and goal in strings.can_do and not facts.safe_exit]
    whole = _Parts(
        turns="",
        praise="",
        can_dos=tuple(strings.can_do[goal] for goal in known) if strings else (),
        keep="" if facts.safe_exit else debrief.keep,
        meaning="" if facts.safe_exit else debrief.keep_meaning or "",
        next="",
        link=link or "",
        stop=native.say("debrief.stop") if first else "",
    )
    name = plain_typography(school)
    longest = SCHOOL_CHARACTERS if native.script == "Latn" else SCHOOL_CHARACTERS // 2  # half the room in all
    while len(name) > longest:
        name = name.rpartition(" ")[0] or name[:longest]
    colon = "：" if native.script in _UNSPACED else ": "

    def say(parts: _Parts) -> str:
        can_dos = native.enumerate(parts.can_dos)
        did = native.say("told.family_did", can_dos=can_dos) if can_dos else native.say("told.family_called")
        return _joined([f"{name}{colon}{did}" if name else did, _keep(parts, native)], parts, native)

    return _fitting(whole, say, count)


def confirmation(school: str, native: Language, *, count: Callable[[str], int]) -> str:
    """The message that answers a consent: who writes, how often, how to stop. A long name of a school is cut."""
    return _from_school("sms.first", school, native, count)


def help_reply(school: str, native: Language, *, count: Callable[[str], int]) -> str:
    """The answer to HELP. A long name of a school is cut."""
    return _from_school("sms.help", school, native, count)


def _fitting(whole: _Parts, say: Callable[[_Parts], str], count: Callable[[str], int]) -> str:
    """As much of the message as fits."""

    def fits(parts: _Parts) -> bool:
        return count(say(parts)) <= MAX_SEGMENTS

    parts = next(filter(fits, _shorter(whole)), _Parts("", "", (), "", "", "", "", whole.stop))
    for fuller in _put_back(whole):
        parts = fuller(parts) if fits(fuller(parts)) else parts
    return say(parts)


def _shorter(whole: _Parts) -> Iterator[_Parts]:
    """The message, and what is left of it step by step."""
    for link in (whole.link, ""):
        linked = replace(whole, link=link)
        # An achievement comes once and a phrase with every call: it goes before the phrase, which is on the page.
        for earned in (whole.earned, ()) if whole.earned else ((),):
            celebrated = replace(linked, earned=earned)
            bare = replace(whole, next="", meaning="", praise="", turns="", can_dos=(), insight="", success="")
            bare = replace(bare, link=link, earned=earned[-1:])
            yield from _steps(celebrated)
            yield bare
            yield from _steps(replace(celebrated, keep="", insight="", success=""))
            yield replace(bare, keep="")


def _steps(parts: _Parts) -> Iterator[_Parts]:
    """The fixed order, down to one can-do."""
    yield parts
    yield (parts := replace(parts, success=""))
    yield (parts := replace(parts, insight=""))
    yield (parts := replace(parts, next=""))
    yield (parts := replace(parts, meaning=""))
    yield (parts := replace(parts, praise=""))
    yield (parts := replace(parts, earned=parts.earned[-1:]))
    yield (parts := replace(parts, turns=""))
    shortest = min(parts.can_dos, key=len, default=None)
    while len(parts.can_dos) > 1:
        # Scenes begin with a greeting and end with a goodbye: what lies between tells more.
        even = len(parts.can_dos) % 2 == 0
        parts = replace(parts, can_dos=parts.can_dos[:-1] if even else parts.can_dos[1:])
        yield parts
    if shortest is not None:
        yield replace(parts, can_dos=(shortest,))


def _put_back(whole: _Parts) -> Iterator[Callable[[_Parts], _Parts]]:
    """What may come back, the most valuable first: what was left out later may have been what halved the room."""
    yield lambda parts: replace(parts, turns=whole.turns)
    yield lambda parts: replace(parts, earned=parts.earned or whole.earned[-1:])
    yield lambda parts: replace(parts, earned=whole.earned)
    yield lambda parts: replace(parts, praise=whole.praise)
    yield lambda parts: replace(parts, meaning=whole.meaning)
    yield lambda parts: replace(parts, next=whole.next)
    yield lambda parts: replace(parts, insight=whole.insight)
    yield lambda parts: replace(parts, success=whole.success)


def _text(parts: _Parts, native: Language) -> str:
    sentences = [
        parts.success or parts.turns,
        *parts.earned[:1],
        parts.insight,
        parts.praise,
        native.say("debrief.did", can_dos=native.enumerate(parts.can_dos)) if parts.can_dos else "",
        _keep(parts, native),
        parts.next,
    ]
    return _joined(sentences, parts, native)


def _joined(sentences: Sequence[str], parts: _Parts, native: Language) -> str:
    between = "" if native.script in _UNSPACED else " "
    said = between.join(sentence for sentence in sentences if sentence)
    # An address ends at a space, whatever the script.
    return plain_typography(" ".join(part for part in (said, parts.link, parts.stop) if part))


def _keep(parts: _Parts, native: Language) -> str:
    if not parts.keep:
        return ""
    phrase = f'"{parts.keep}"' + (f" ({parts.meaning})" if parts.meaning else "")
    return native.say("debrief.keep", phrase=phrase)


def _next(scenario: str, native: Language, key: str | None) -> str:
    strings = native.scenes.get(scenario)
    if strings is None:
        return ""
    if key is None:
        return native.say("debrief.next", title=strings.title)
    return native.say("debrief.next_key", title=strings.title, key=key)


def _from_school(string: str, school: str, native: Language, count: Callable[[str], int]) -> str:
    """The name of the school, shortened word by word and then letter by letter until the message fits."""
    name = plain_typography(school)
    while True:
        text = plain_typography(native.say(string, school=name))
        if not name or count(text) <= MAX_SEGMENTS:
            return text
        name = name.rpartition(" ")[0] or name[:-1]
