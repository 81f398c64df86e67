"""What a call's row keeps of its menu: the facts it began with and the caller's answers, in order.

The answers are enough to give any request the same reply again (``replay`` of each menu). When a caller turns out to be
somebody else, another record begins and keeps the one before it. It knows no database.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import msgspec

from telephony.ivr import family, listening, menu, questions, teacher
from telephony.ivr.family import FamilyContext, FamilyState
from telephony.ivr.keeping import NOTHING, Agreed
from telephony.ivr.listening import ListeningContext, ListeningState
from telephony.ivr.menu import Choice, MenuContext, MenuState, Person
from telephony.ivr.questions import Offer, QuestionsContext, QuestionsState
from telephony.ivr.steps import Ask, Begin, Goodbye, Step
from telephony.ivr.teacher import TeacherContext, TeacherState
from tutor.learning.briefing import LIMIT_S, brief
from tutor.learning.listening import Phrase
from tutor.learning.said import Said, estimate_s
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.language import Language

ROLE_WITHIN_S: Final = 45.0
"""From the answer to the role, for whoever calls for the first time (tutoring.md §5.1)."""
_CHOICE_S: Final = 4.0
"""Of that, for hearing the first scene's title and for connecting, when questions went before."""


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence that was made for this call, with the tag of its language."""

    text: str
    language: str
    slow: bool = False


class Questions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked before a menu: languages, and roughly how far the caller is."""

    offers: tuple[Offer, ...]
    """In the order in which the native languages are offered."""
    levels: dict[str, str] = {}
    """How far the caller is, by the target's tag, where that is known."""
    ask_level: bool = True
    greet: bool = True
    """Whether it must still be said who answers."""


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that broke off and can be gone on with."""

    call: str
    """Its id."""
    scenario: str
    level: str


class At(NamedTuple):
    """Where a caller is."""

    native: Language
    state: MenuState | TeacherState | FamilyState | QuestionsState | ListeningState
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
    role: Literal["learner", "teacher", "family", "listener"] = "learner"
    """Whose menu it is; one never leads to another's. A listener is a learner without a model."""
    told: tuple[Told, ...] = ()
    """What a teacher or a family is told, as it stood when they called."""
    phrases: tuple[Phrase, ...] = ()
    """What a listener hears and repeats."""
    rests: Literal["day", "month"] = "day"
    """For how long a listener's budget is used up."""
    proven: bool = False
    """Whether more than a number, which can be forged, says who calls: the carrier's attestation, a PIN, or a SIP
    phone's credentials. Only then is the role told what was talked about in earlier calls, but for one that broke off
    ten minutes ago at the most."""
    newcomer: bool = False
    """Whether nobody is known by this number yet: whoever begins a scene becomes its learner."""
    questions: Questions | None = None
    """What is asked instead of the menu; its answers begin another record."""
    languages: bool = False
    """Whether the settings offer other languages."""
    agreed: Agreed = NOTHING
    """What the caller may agree to have kept, and how that stood as the menu began."""
    recorded: bool = False
    """Whether the caller was told first of all that the sound of this call is kept. Without that, none of it is."""
    asked_s: float = 0.0
    """How long the questions before this menu were, in seconds: its briefing has as much less room."""
    name: str | None = None
    """The first name by which the caller is greeted."""
    again: Again | None = None
    """A call that broke off, to be offered first."""
    bigger: str | None = None
    """The next level, where the caller is to be asked whether they want it."""
    assigned: tuple[str, ...] = ()
    """Scenarios that the caller was given and has not completed, as the call began."""
    turned_away: (
        Literal["door.minutes_used", "door.budget_spent", "door.minutes_used_month", "door.budget_spent_month"] | None
    ) = None
    """Why whoever turned out to call may not practise now: this is said, and the call is over."""
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

    @property
    def listened(self) -> bool:
        """Whether a listener took what was offered."""
        return self.role == "listener" and listening.listened(self.answers)

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
        if self.turned_away is not None:
            return At(native, MenuState(), Goodbye((native.say(self.turned_away),)))
        answers = self.answers if prompts is None else self.answers[: prompts - self.since]
        if self.questions is not None:
            context = self._questions(catalogue, self.questions)
            state, step = questions.replay(context, answers)
            return At(questions.native_of(context, state), state, step)
        if self.role == "learner":
            return At(native, *menu.replay(self._context(catalogue, native), answers))
        if self.role == "listener":
            target = catalogue.language(self.target)
            heard = ListeningContext(native, target, self.phrases, self.slower, self.rests)
            return At(native, *listening.replay(heard, answers))
        told = tuple(Said.of(line.text, catalogue.language(line.language), slow=line.slow) for line in self.told)
        if self.role == "teacher":
            return At(native, *teacher.replay(TeacherContext(native, told), answers))
        return At(native, *family.replay(FamilyContext(native, told), answers))

    def level_of(self, at: At) -> str:
        """Returns the level of the scene that begins at ``at``: the menu's, unless the caller chose another."""
        if isinstance(at.step, Begin) and at.step.again and self.again is not None:
            return self.again.level
        if isinstance(at.state, MenuState) and at.state.bigger and self.bigger is not None:
            return self.bigger
        return self.level

    def heard_s(self, catalogue: Catalogue) -> float:
        """Returns how long everything was that the caller has been asked so far, in seconds, each prompt to its end."""
        steps = (self.at(catalogue, prompts).step for prompts in range(self.since, self.steps))
        return sum(estimate_s(step.says) for step in steps if isinstance(step, Ask))

    def _questions(self, catalogue: Catalogue, asked: Questions) -> QuestionsContext:
        return QuestionsContext(
            natives=tuple(catalogue.language(offer.native) for offer in asked.offers),
            targets={offer.native: offer.targets for offer in asked.offers},
            native=self.native,
            target=self.target,
            level=self.level,
            school=self.school,
            levels=asked.levels,
            ask_level=asked.ask_level,
            greet=asked.greet,
            kids=self.kids,
        )

    def _context(self, catalogue: Catalogue, native: Language) -> MenuContext:
        def briefing(scenario: str) -> tuple[Said, ...]:
            if scenario in self.played:
                return ()
            limit_s = min(LIMIT_S, ROLE_WITHIN_S - _CHOICE_S - self.asked_s) if self.asked_s else LIMIT_S
            try:
                scene = catalogue.scene(scenario, native=self.native, target=self.target, level=self.level)
                return brief(scene, limit_s)
            except CatalogueError:
                # A line that was changed during the call: the scene says what is wrong, if something is.
                return ()

        return MenuContext(
            native=native,
            school=self.school,
            returning=self.returning,
            choices=tuple(_choice(native, scenario, given=scenario in self.assigned) for scenario in self.scenarios),
            free_talk=self.free_talk,
            slower=self.slower,
            voice=self.voice,
            ask_consent=self.ask_consent,
            people=self.people,
            kids=self.kids,
            opening=self.opening,
            name=self.name,
            again=_choice(native, self.again.scenario) if self.again is not None else None,
            bigger=self.bigger is not None,
            languages=self.languages,
            agreed=self.agreed,
            recorded=self.recorded,
            listed=self.asked_s > 0 and self.opening == "",
            brief=briefing,
        )


def _choice(native: Language, scenario: str, *, given: bool = False) -> Choice:
    texts = native.scenes[scenario]
    preview = native.say("assigned.preview") if given else texts.preview
    return Choice(scenario, texts.title, preview)
