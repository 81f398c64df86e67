"""Rows of schools and of who belongs to them: lines, material, budgets, learners and their numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from benchmarks.scale.rows import Table, array, line
from benchmarks.scale.world import LEVELS, PAIRS, SCENES, SECRET, TERM, ZONES, World, callers_number, lines_number
from db.keyring import Keyring
from db.limits import window

ACCOUNT: Final = "AC" + "5" * 32
"""The carrier's account that all calls come through."""
CLIPS: Final = 400
CLIPS_OF_A_CALL: Final = 12
CLIP_BYTES: Final = 24_000
"""Three seconds of µ-law."""
PINNED: Final = 5
"""Each so-many-th line has PINs, forty of them."""
PINS: Final = 40
CAPPED: Final = 7
"""Each so-many-th school limits the money of each learner's day too, from the largest on."""
BY_MINUTES: Final = 10
"""Each so-many-th school limits its minutes, from the largest on."""
TEXTED: Final = 0.6
"""Learners who agreed to texts; 0.2 did not."""
FACTS: Final = 8
"""Each so-many-th learner agreed that facts are remembered."""
PLENTY: Final = 10**11
"""Of money or seconds: nobody is turned away, so that all of the call is measured."""


class SchoolRows:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._keyring = Keyring(SECRET)
        sizes = world.sizes
        self.hashes = [self._keyring.hash_number(callers_number(number)) for number in range(sizes.learners)]
        draw = world.draw("consents")
        self.consent = draw.random(sizes.learners)
        self.budget_ids = [draw.bytes(16).hex() for _ in range(sizes.schools * 6)]
        self._days = [sizes.until - TERM + timedelta(days=day) for day in range(TERM.days + 1)]

    def tables(self) -> list[Table]:
        """In an order in which references point to what is there."""
        sizes, world = self._world.sizes, self._world
        return [
            Table("schools", ("id", "name", "timezone"), sizes.schools, self._schools),
            Table("carrier_accounts", ("sid", "kind", "tokens", "rest_base"), 1, self._accounts),
            Table("lines", _LINE, world.lines, self._lines),
            Table("class_prompts", _PROMPT, world.lines, self._prompts),
            Table("learners", _LEARNER, sizes.learners, self._learners),
            Table("caller_identities", _IDENTITY, sizes.learners, self._identities),
            Table("consents", _CONSENT, sizes.learners, self._consents),
            Table("pins", ("id", "school_id", "line_id", "role", "learner_id", "pin_hash"), world.lines, self._pins),
            Table("classes", ("id", "school_id", "name", "line_id"), world.lines, self._classes),
            Table("enrolments", ("class_id", "learner_id", "school_id"), sizes.learners, self._enrolments),
            Table("assignments", _ASSIGNMENT, world.lines, self._assignments),
            Table("sip_domains", ("domain", "school_id", "line_id"), sizes.schools, self._domains),
            Table("clips", ("key", "text", "language", "voice", "speed", "ulaw"), CLIPS, self._clips),
            Table("budgets", _BUDGET, sizes.schools, self._budgets),
            Table("budget_periods", _PERIOD, sizes.schools, self._periods),
        ]

    def _schools(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for school in range(begin, end):
            yield line(world.school_ids[school], f"School {school}", ZONES[world.school_zone[school]])

    def _accounts(self, begin: int, end: int) -> Iterator[str]:
        # A token that nobody reads: a box sealed anew would be another one each time.
        yield line(ACCOUNT, "rehearsal", "{}", "http://127.0.0.1:9")

    def _lines(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for at in range(begin, end):
            native, target = PAIRS[world.line_pair[at]]
            kids = bool(world.line_kids[at])
            yield line(
                world.line_ids[at],
                world.school_ids[world.line_school[at]],
                lines_number(at),
                f"Line {at}",
                native,
                target,
                LEVELS[world.line_level[at]],
                "theme: the city",
                array(SCENES),
                True,
                "under13" if kids else "none",
                kids,
            )

    def _prompts(self, begin: int, end: int) -> Iterator[str]:
        world, weeks = self._world, TERM.days // 7
        draw = world.draw(f"prompts {begin}")
        for at in range(begin, end):
            for version in range(weeks):
                starts = (world.sizes.until - timedelta(days=7 * (weeks - version))).date()
                yield line(
                    draw.bytes(16).hex(),
                    world.school_ids[world.line_school[at]],
                    world.line_ids[at],
                    version + 1,
                    starts,
                    starts + timedelta(days=7),
                    "the city",
                    array(("calle", "plaza", "puente", "semáforo", "esquina")),
                    array(("ser_estar",)),
                )

    def _learners(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for at in range(begin, end):
            on = world.learner_line[at]
            native, target = PAIRS[world.line_pair[on]]
            yield line(
                world.learner_ids[at],
                world.school_ids[world.learner_school[at]],
                native,
                target,
                LEVELS[world.line_level[on]],
                f"Learner {at}" if at % 3 == 0 else None,
                '{"remember": true}' if at % FACTS == 0 else "{}",
                world.sizes.until - TERM,
            )

    def _identities(self, begin: int, end: int) -> Iterator[str]:
        world, draw = self._world, self._world.draw(f"identities {begin}")
        for at in range(begin, end):
            number = int(world.learner_number[at])
            sealed = draw.bytes(100) if self.consent[number] < TEXTED else None
            yield line(
                draw.bytes(16).hex(),
                world.school_ids[world.learner_school[at]],
                world.learner_ids[at],
                self.hashes[number],
                f"{number % 100:02d}",
                sealed,
            )

    def _consents(self, begin: int, end: int) -> Iterator[str]:
        world, draw = self._world, self._world.draw(f"consents {begin}")
        for at in range(begin, end):
            # Whoever shares a telephone shares its answer.
            if world.learner_number[at] == at and self.consent[at] < TEXTED + 0.2:
                yield line(
                    draw.bytes(16).hex(),
                    world.school_ids[world.learner_school[at]],
                    self.hashes[at],
                    "sms",
                    bool(self.consent[at] < TEXTED),
                    f"CAbefore{at}",
                    "en:000000000000",
                )

    def _pins(self, begin: int, end: int) -> Iterator[str]:
        world, draw = self._world, self._world.draw(f"pins {begin}")
        for at in range(begin, end):
            if at % PINNED:
                continue
            for number in range(PINS):
                pin_hash = self._keyring.hash_pin(world.line_ids.uuid(at), f"{9_000 + number}")
                school = world.school_ids[world.line_school[at]]
                yield line(draw.bytes(16).hex(), school, world.line_ids[at], "teacher", None, pin_hash)

    def _classes(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for at in range(begin, end):
            yield line(world.line_ids[at], world.school_ids[world.line_school[at]], f"Class {at}", world.line_ids[at])

    def _enrolments(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for at in range(begin, end):
            class_id = world.line_ids[world.learner_line[at]]
            yield line(class_id, world.learner_ids[at], world.school_ids[world.learner_school[at]])

    def _assignments(self, begin: int, end: int) -> Iterator[str]:
        """Two scenes a week for each class, the last two still open."""
        world, draw = self._world, self._world.draw(f"assignments {begin}")
        for at in range(begin, end):
            for week in range(TERM.days // 7):
                starts = (world.sizes.until - timedelta(days=7 * week + 3)).date()
                for scene in ((at + week) % 6, (at + week + 1) % 6):
                    ids = (draw.bytes(16).hex(), world.school_ids[world.line_school[at]], world.line_ids[at])
                    yield line(*ids, SCENES[scene], starts, starts + timedelta(days=6))

    def _domains(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for school in range(begin, end):
            yield line(domain_of(school), world.school_ids[school], world.line_ids[int(world.first_line[school])])

    def clip_keys(self, at_line: int) -> list[bytes]:
        """What a call on a line says: some of the fixed phrases."""
        return [_clip_key((at_line + number) % CLIPS) for number in range(CLIPS_OF_A_CALL)]

    def _clips(self, begin: int, end: int) -> Iterator[str]:
        draw = self._world.draw(f"clips {begin}")
        for at in range(begin, end):
            yield line(_clip_key(at), f"Phrase {at}", "es", "marin", 1.0, draw.bytes(CLIP_BYTES))

    def _budgets(self, begin: int, end: int) -> Iterator[str]:
        for school in range(begin, end):
            for place, (scope, period, unit) in enumerate(_LIMITS):
                if self._has(school, place):
                    owner = self._world.school_ids[school]
                    yield line(self.budget_ids[school * 6 + place], owner, scope, period, unit, PLENTY)

    def _has(self, school: int, place: int) -> bool:
        """The first three limits have all, the last three some."""
        return place < 3 or (place == 3 and school % CAPPED == 0) or (place > 3 and school % BY_MINUTES == 0)

    def _periods(self, begin: int, end: int) -> Iterator[str]:
        """Days and months of the school and of its lines; a learner's own begin with their calls."""
        world = self._world
        for school in range(begin, end):
            zone, owner = ZONES[world.school_zone[school]], world.school_ids[school]
            days = list(dict.fromkeys(window("day", zone, day) for day in self._days))
            months = list(dict.fromkeys(window("month", zone, day) for day in self._days))
            own = [
                world.line_ids[at]
                for at in range(world.first_line[school], world.first_line[school] + world.school_lines[school])
            ]
            for place, subjects, spans in ((0, [owner], months), (1, [owner], days), (2, own, months)):
                for subject in subjects:
                    for span in spans:
                        budget = self.budget_ids[school * 6 + place]
                        yield line(owner, budget, subject, span.starts_at, span.ends_at, 1_000_000)


def domain_of(school: int) -> str:
    """By which telephones of a school reach its first line."""
    return f"school-{school}.sip.example.org"


def _clip_key(clip: int) -> bytes:
    return hashlib.sha256(f"clip {clip}".encode()).digest()


_LIMITS: Final = (
    ("school", "month", "micro_usd"),
    ("school", "day", "micro_usd"),
    ("line", "month", "micro_usd"),
    ("learner", "day", "micro_usd"),
    ("school", "day", "s"),
    ("school", "month", "s"),
)
_LINE: Final = (
    "id",
    "school_id",
    "number",
    "name",
    "native",
    "target",
    "level",
    "class_prompt",
    "scenarios",
    "open",
    "minors",
    "kids",
)
_PROMPT: Final = (
    "id",
    "school_id",
    "line_id",
    "version",
    "starts_on",
    "ends_on",
    "theme",
    "vocabulary",
    "grammar",
)
_LEARNER: Final = ("id", "school_id", "native", "target", "level", "first_name", "settings", "created_at")
_IDENTITY: Final = ("id", "school_id", "learner_id", "number_hash", "last_two", "number_encrypted")
_CONSENT: Final = ("id", "school_id", "number_hash", "kind", "given", "carrier_sid", "wording")
_ASSIGNMENT: Final = ("id", "school_id", "class_id", "scenario", "starts_on", "ends_on")
_BUDGET: Final = ("id", "school_id", "scope", "period", "unit", "amount")
_PERIOD: Final = ("school_id", "budget_id", "subject", "starts_at", "ends_at", "spent")
