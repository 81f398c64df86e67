"""What a call's row keeps of its menu: the facts it began with and the caller's answers, in order.

The answers are enough to give any request the same reply again (``replay`` of each menu). When a caller turns out to be
somebody else, another record begins and keeps the one before it. It knows no database.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from telephony.ivr import family, menu, teacher
from telephony.ivr.family import FamilyContext, FamilyState
from telephony.ivr.menu import Choice, MenuContext, MenuState, Person
from telephony.ivr.steps import Step
from telephony.ivr.teacher import TeacherContext, TeacherState
from tutor.learning.briefing import brief
from tutor.learning.said import Said
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.language import Language


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence that was made for this call, with the tag of its language."""

    text: str
    language: str
    slow: bool = False


class At(NamedTuple):
    """Where a caller is."""

    native: Language
    state: MenuState | TeacherState | FamilyState
    step: Step


class MenuRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The menu of one call, as JSON in its row."""

    native: str
    school: str
    returning: bool
    scenarios: tuple[str, ...]
    """Scenario ids in the order they are offered, the recommended one first; without free talk."""
    free_talk: bool
    slower: bool
    """As the call began."""
    level: str
    ask_consent: bool = False
    """Whether this call's menu asks if text messages may come."""
    answers: tuple[str, ...] = ()
    """Keys per prompt; empty text is silence. Of a PIN only what became of it, never its digits."""
    token: str | None = None
    """The stream's one-use token, encrypted: a repeated request must be given the same document."""
    target: str = ""
    played: tuple[str, ...] = ()
    """Scenarios that need no briefing any more."""
    voice: int = 0
    """Which of the voices for a role the caller keeps, from 0; as the call began."""
    people: tuple[Person, ...] = ()
    """Who shares the telephone, while it is not known who is calling."""
    kids: bool = False
    """Whether children call here."""
    opening: str | None = None
    """See ``MenuContext.opening``."""
    role: Literal["learner", "teacher", "family"] = "learner"
    """Whose menu it is; one never leads to another's."""
    told: tuple[Told, ...] = ()
    """What a teacher or a family is told, as it stood when they called."""
    earlier: MenuRecord | None = None
    """The menu before it was known who calls."""
    since: int = 0
    """How many answers had been given by then."""

    @classmethod
    def read(cls, value: dict[str, Any]) -> MenuRecord:
        """Reads a row's JSON.

        Raises:
            msgspec.ValidationError: it is none of ours.
        """
        return msgspec.convert(value, cls)

    def write(self) -> dict[str, Any]:
        """Returns the JSON for the row."""
        written: dict[str, Any] = msgspec.to_builtins(self)
        return written

    @property
    def steps(self) -> int:
        """How many answers there are, those to the menus before this one included."""
        return self.since + len(self.answers)

    def answered(self, answer: str) -> MenuRecord:
        """Returns the record with one answer more."""
        return msgspec.structs.replace(self, answers=(*self.answers, answer))

    def with_token(self, token: str) -> MenuRecord:
        """Returns the record with the encrypted token of the scene that its last answer began."""
        return msgspec.structs.replace(self, token=token)

    def after(self, earlier: MenuRecord) -> MenuRecord:
        """Returns this record as what follows the next answer to ``earlier``: now it is known who calls."""
        return msgspec.structs.replace(self, earlier=earlier, since=earlier.steps + 1)

    def at(self, catalogue: Catalogue, prompts: int | None = None) -> At:
        """Returns where the caller is after the first ``prompts`` answers (None: after all).

        Raises:
            CatalogueError, KeyError: a scene or language that was offered does not exist any more.
        """
        if prompts is not None and prompts < self.since and self.earlier is not None:
            return self.earlier.at(catalogue, prompts)
        native = catalogue.language(self.native)
        answers = self.answers if prompts is None else self.answers[: prompts - self.since]
        if self.role == "learner":
            return At(native, *menu.replay(self._context(catalogue, native), answers))
        told = tuple(Said.of(line.text, catalogue.language(line.language), slow=line.slow) for line in self.told)
        if self.role == "teacher":
            return At(native, *teacher.replay(TeacherContext(native, told), answers))
        return At(native, *family.replay(FamilyContext(native, told), answers))

    def _context(self, catalogue: Catalogue, native: Language) -> MenuContext:
        def briefing(scenario: str) -> tuple[Said, ...]:
            if scenario in self.played:
                return ()
            try:
                return brief(catalogue.scene(scenario, native=self.native, target=self.target, level=self.level))
            except CatalogueError:
                # A line that was changed during the call: the scene says what is wrong, if something is.
                return ()

        scenes = [(scenario, native.scenes[scenario]) for scenario in self.scenarios]
        return MenuContext(
            native=native,
            school=self.school,
            returning=self.returning,
            choices=tuple(Choice(scenario, texts.title, texts.preview) for scenario, texts in scenes),
            free_talk=self.free_talk,
            slower=self.slower,
            voice=self.voice,
            ask_consent=self.ask_consent,
            people=self.people,
            kids=self.kids,
            opening=self.opening,
            brief=briefing,
        )
