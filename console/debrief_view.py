"""What the page of one call says, in its reader's language: from what is kept of the call, and no name or number.

What was emptied since, because its time was over, is left out. Pure: knows no template and no request.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from markupsafe import escape

from console import graph
from console.graph import Graph
from console.pages import direction
from db.models import Turn
from db.models_learning import Observation
from db.pages import Audience, PageRecord
from tutor.learning import achievements, figures
from tutor.learning.insights import Seen, growth, insights, ready, success
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.language import Language

TRANSCRIPT_BYTES: Final = 16_000
"""What a page has room for beside everything else; a call of ten minutes has about half of it."""
_LINE_BYTES: Final = 80
"""What the marks around a line take."""
MOST_EARNED: Final = 3
MOST_INSIGHTS: Final = 2
FALLBACK: Final = "en"


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn of the transcript."""

    voice: str
    lang: str
    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording that can be heard."""

    number: int
    """Of those of the call, from 1."""
    until: str


@dataclass(frozen=True, slots=True)
class DebriefView:
    """The page. Empty fields are not shown."""

    native: Language
    title: str
    target: str
    """The tag of the language that was practised."""
    praise: str
    success: str
    """How often the learner spoke, and how much of it got across where that is told."""
    can_dos: tuple[str, ...]
    earned: tuple[str, ...]
    """What was achieved, what has become better, and that a higher level may be tried."""
    keep: str
    meaning: str
    help: str
    growth: tuple[str, ...]
    """What is emerging."""
    next: tuple[str, ...]
    graph: Graph | None
    sounds: tuple[Sound, ...]
    transcript: tuple[Spoken, ...]
    more: bool
    """Whether the transcript goes on beyond what is shown."""
    reported: bool


def reader_of(record: PageRecord, catalogue: Catalogue) -> Language:
    """The language a page is read in: that of the call, else the learner's, else English."""
    for tag in (_text(record.debrief.content, "native"), record.learner.native):
        try:
            language = catalogue.language(tag)
        except CatalogueError:
            continue
        if language.is_native:
            return language
    return catalogue.language(FALLBACK)


def view(
    record: PageRecord, catalogue: Catalogue, audience: Audience, *, here: Container[str] = frozenset()
) -> DebriefView:
    """The page of a call, as its audience may read it.

    Args:
        here: names of the files of its recordings that this machine has; the others are not shown.
    """
    native = reader_of(record, catalogue)
    content = record.debrief.content
    family = audience == "family"
    telling = content.get("family")
    told = _texts(telling.get("lines")) if isinstance(telling, Mapping) else []
    target = _text(content, "target") or record.line.target or record.learner.target
    spoken, more = _transcript(record.transcript, native, target)
    return DebriefView(
        native=native,
        title=native.say("page.family_title" if family else "page.title"),
        target=target,
        praise=" ".join(told[:-1]) if family else _text(content, "praise"),
        success="" if family else _success(record, native),
        can_dos=() if family else _can_dos(content.get("can_dos"), record.call.scenario, native),
        earned=() if family else (*_earned(record.earned, native), *_insights(record, native)),
        growth=() if family else _growth(record, native),
        keep=_text(content, "keep"),
        meaning=_text(content, "keep_meaning"),
        help=native.say("family.help") if family else "",
        next=_next(content, native, audience),
        graph=None if family else _graph(record.observed, native),
        sounds=() if family else _sounds(record, native, here),
        transcript=() if family else spoken,
        more=more,
        reported=record.reported,
    )


def _can_dos(goals: object, scenario: str | None, native: Language) -> tuple[str, ...]:
    strings = native.scenes.get(scenario or "")
    if strings is None or not native.tells(scenario or ""):
        return ()
    return tuple(strings.can_do[goal] for goal in _texts(goals) if goal in strings.can_do)


def _earned(ids: Sequence[str], native: Language) -> tuple[str, ...]:
    return tuple(achievements.told(one, native) for one in achievements.in_order(ids)[:MOST_EARNED])


def _success(record: PageRecord, native: Language) -> str:
    measured = _measured(record)
    if measured is None:
        return ""
    return success(measured.learner_turns, None if measured.noisy else measured.understood_share, native)


def _growth(record: PageRecord, native: Language) -> tuple[str, ...]:
    measured = _measured(record)
    if measured is None:
        return ()
    within_reach = _can_dos(record.debrief.content.get("emerging"), record.call.scenario, native)
    return growth(measured, within_reach, native)


def _measured(record: PageRecord) -> Seen | None:
    return None if record.measured is None else Seen.read(record.measured.at, record.measured.measures)


def _insights(record: PageRecord, native: Language) -> tuple[str, ...]:
    """What has become better up to this call, in words; nothing of calls after it, and nothing that became worse.

    Then that a higher level may be tried, where the learner is to be asked about it.
    """
    if record.measured is None:
        return ()
    known = [seen for one in record.observed if (seen := Seen.read(one.at, one.measures)) is not None]
    found = insights(known, record.call.ended_at or record.call.heartbeat_at)
    higher = () if record.ready_for is None else (ready(record.ready_for, native),)
    return (*(insight.sentence(native) for insight in found[:MOST_INSIGHTS]), *higher)


def _next(content: Mapping[str, Any], native: Language, audience: Audience) -> tuple[str, ...]:
    again = native.say("page.again")
    if audience == "family":
        return (again,)
    lines = [step] if (step := _text(content, "next_step")) else []
    lines.append(again)
    scenario, key = _text(content, "next_scenario"), _text(content, "next_key")
    if key and native.tells(scenario):
        lines.append(native.say("page.key", key=key, title=native.scenes[scenario].title))
    return tuple(lines)


def _graph(observed: Sequence[Observation], native: Language) -> Graph | None:
    if len(observed) < graph.LEAST:
        return None
    talks = [(one.turns, one.completed) for one in observed[-graph.MOST :]]
    width, placed = graph.bars(talks, right_to_left=direction(native) == "rtl")
    finished = sum(done for _, done in talks)
    between = native.list_between if native.script != "Arab" else "، "
    return Graph(
        bars=placed,
        bar_width=width,
        told=native.say("page.graph_turns", turns=between.join(str(turns) for turns, _ in talks)),
        finished=native.say("page.graph_done", count=str(finished)) if finished else "",
    )


def _sounds(record: PageRecord, native: Language, here: Container[str]) -> tuple[Sound, ...]:
    zone = ZoneInfo(record.timezone)
    return tuple(
        Sound(number, figures.weekday_and_time(kept.expires_at.astimezone(zone), native))
        for number, kept in enumerate(record.sounds, 1)
        if kept.path in here
    )


def _transcript(turns: Sequence[Turn], native: Language, target: str) -> tuple[tuple[Spoken, ...], bool]:
    """As many turns as there is room for, and whether more were said."""
    voices = {
        "learner": (native.say("page.own_voice"), target),
        "role": (native.say("page.role"), target),
        "helper": (native.say("page.helper"), native.tag),
    }
    shown: list[Spoken] = []
    left = TRANSCRIPT_BYTES
    for turn in turns:
        voice, lang = voices[turn.speaker]
        text = " ".join((turn.text or "").split())
        left -= len(escape(text).encode()) + len(voice.encode()) + _LINE_BYTES
        if left < 0:
            return tuple(shown), True
        shown.append(Spoken(voice, lang, text))
    return tuple(shown), False


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
