"""One language: what the line says in it, and what a role and a learner say in it.

A language has a native part (what the line says to people who speak it), a target part (greetings, hints, fixed
phrases for people who learn it), or both. Knows no scenario beyond its id, and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NATIVE_STRINGS: Mapping[str, frozenset[str]] = {
    key: frozenset(parameters)
    for key, parameters in {
        "menu.notice": ("school",),
        "menu.welcome_back": ("school",),
        "menu.recommended": ("title", "preview"),
        "menu.option": ("key", "title"),
        "menu.free_talk": (),
        "menu.more": (),
        "menu.settings": (),
        "menu.wrong_key": (),
        "menu.no_input": (),
        "menu.goodbye": (),
        "menu.settings_menu": (),
        "menu.privacy": (),
        "menu.slower_set": (),
        "menu.normal_set": (),
        "menu.connecting": (),
        "door.closed": (),
        "door.busy": (),
        "door.minutes_used": (),
        "door.budget_spent": (),
        "door.minutes_used_month": (),
        "door.budget_spent_month": (),
        "door.unavailable": (),
        "after.well_done": (),
        "after.goodbye": (),
        "after.trouble": (),
        "after.restart": (),
        "call.end_confirm": (),
        "call.goals_done": ("done",),
        "call.goals_left": ("left",),
        "call.goals_all_done": (),
        "call.goals_none_done": (),
        "call.hint_keyword": ("phrase",),
        "call.hint_start": ("phrase",),
        "call.hint_whole": ("phrase",),
        "call.hint_none": (),
        "call.safe_exit": (),
        "call.still_there": (),
        "call.silence_goodbye": (),
        "call.time_warning": (),
        "call.time_up": (),
        "call.holding": (),
        "call.lost": (),
        "debrief.turns": ("count",),
        "debrief.did": ("can_dos",),
        "debrief.keep": ("phrase",),
        "debrief.next": ("title",),
        "debrief.next_key": ("title", "key"),
        "debrief.step": ("can_do",),
        "debrief.praise_all": (),
        "debrief.praise_some": (),
        "debrief.praise_talk": (),
        "debrief.praise_call": (),
        "debrief.stop": (),
        "page.title": (),
        "page.family_title": (),
        "page.did": (),
        "page.family_did": (),
        "page.earned": (),
        "page.keep": (),
        "page.next": (),
        "page.again": (),
        "page.key": ("key", "title"),
        "page.help": (),
        "page.graph": (),
        "page.graph_turns": ("turns",),
        "page.graph_done": ("count",),
        "page.graph_star": (),
        "page.transcript": (),
        "page.transcript_note": (),
        "page.transcript_more": (),
        "page.own_voice": (),
        "page.role": (),
        "page.helper": (),
        "page.sound": (),
        "page.sound_until": ("until",),
        "page.report": (),
        "page.report_why": (),
        "page.reported": (),
        "page.delete": (),
        "page.delete_why": (),
        "page.delete_ask": (),
        "page.delete_what": (),
        "page.delete_yes": (),
        "page.delete_no": (),
        "page.deleted": (),
        "page.to_page": (),
        "page.ends": (),
        "page.ai": (),
        "page.gone": (),
        "page.later": (),
        "told.family_did": ("can_dos",),
        "told.family_called": (),
        "sms.first": ("school",),
        "sms.help": ("school",),
        "keeping.settings": (),
        "keeping.sound_ask": (),
        "keeping.sound_on": (),
        "keeping.sound_agreed": (),
        "keeping.sound_ended": (),
        "keeping.facts_ask": (),
        "keeping.facts_on": (),
        "keeping.facts_agreed": (),
        "keeping.facts_ended": (),
        "keeping.back": (),
        "keeping.hello": ("name",),
        "keeping.welcome_back": ("school",),
        "keeping.privacy": (),
        "consent.ask": (),
        "consent.yes": (),
        "consent.no": (),
        "safety.care": ("helpline",),
        "safety.care_no_helpline": (),
        "safety.told": (),
        "safety.stop": (),
        "safety.kid_notice": (),
        "safety.exit_reported": (),
        "briefing.goals": ("can_dos",),
        "briefing.phrases": (),
        "briefing.keys": (),
        "wrapup.praise_all": (),
        "wrapup.praise_alone": (),
        "wrapup.praise_hint": (),
        "wrapup.praise_again": (),
        "wrapup.praise_talk": (),
        "wrapup.praise_call": (),
        "wrapup.did": ("can_dos",),
        "wrapup.keep": (),
        "wrapup.next": ("title",),
        "wrapup.step": ("can_do",),
        "wrapup.key": ("key",),
        "wrapup.bye": (),
        "badge.told": ("reason", "name"),
        "badge.coffee_expert": (),
        "badge.world_tour": (),
        "badge.a_hurdle": (),
        "badge.in_full_flow": (),
        "badge.new_horizons": (),
        "badge.solo_flight": (),
        "badge.first_scene": (),
        "achievement.coffee_expert": ("count",),
        "achievement.world_tour": ("count",),
        "achievement.a_hurdle": (),
        "achievement.in_full_flow": (),
        "achievement.new_horizons": ("count",),
        "achievement.solo_flight": (),
        "achievement.first_scene": (),
        "insight.faster_week": ("percent",),
        "insight.faster_lately": ("percent",),
        "insight.longer_week": ("percent",),
        "insight.longer_lately": ("percent",),
        "insight.help_week": ("percent",),
        "insight.help_lately": ("percent",),
        "insight.alone": (),
        "insight.understood_week": (),
        "insight.understood_lately": (),
        "insight.ready": ("level",),
        "insight.success": ("count", "percent"),
        "growth.can_do": ("can_do",),
        "growth.longer": (),
        "growth.alone": (),
        "growth.clear": (),
        "people.ask": (),
        "people.person": ("name", "key"),
        "people.first": ("key",),
        "people.second": ("key",),
        "people.third": ("key",),
        "people.fourth": ("key",),
        "people.fifth": ("key",),
        "people.another": ("key",),
        "pin.ask": (),
        "pin.unknown": (),
        "pin.closed": (),
        "pin.welcome": (),
        "voice.set": ("number", "count"),
        "teacher.intro": (),
        "teacher.nobody": (),
        "teacher.week": ("callers", "minutes", "scenes"),
        "teacher.titles": ("titles",),
        "teacher.goals": ("can_dos",),
        "teacher.keys": (),
        "teacher.speak": (),
        "teacher.heard": ("text",),
        "teacher.confirm": (),
        "teacher.kept": (),
        "teacher.unheard": (),
        "teacher.scene": ("title", "minutes"),
        "teacher.reached": ("can_dos",),
        "teacher.helped": ("can_dos",),
        "teacher.open": ("can_dos",),
        "teacher.words": ("words",),
        "teacher.words_open": ("words",),
        "teacher.patterns": ("patterns",),
        "teacher.early": (),
        "family.done": ("can_dos",),
        "family.nothing": (),
        "family.phrase": (),
        "family.help": (),
        "family.keys": (),
        "callers.language": ("key",),
        "callers.target_ask": (),
        "callers.target": ("language", "key"),
        "callers.level": ("target",),
        "callers.settings": (),
        "callers.hello": ("name",),
        "callers.broke_off": ("title",),
        "callers.go_on": (),
        "callers.bigger": (),
        "callers.bigger_yes": (),
        "callers.bigger_no": (),
        "callers.confidence": ("target",),
        "callers.confidence_child": ("target",),
        "callers.confidence_thanks": (),
        "assigned.preview": (),
        "satisfaction.ask": (),
        "satisfaction.thanks": (),
        "keys.word_ask": ("native", "target"),
        "keys.word_none": (),
        "keys.pause": (),
        "keys.pause_over": (),
        "keys.restart": (),
        "keys.noisy": (),
        "keys.reminder": (),
        "keys.skipped": ("can_do",),
        "listen.offer": (),
        "listen.offer_month": (),
        "listen.intro": (),
        "listen.keys": (),
        "listen.meaning": ("can_do",),
        "listen.done": (),
        "listen.later": (),
        "listen.later_month": (),
    }.items()
}
"""Every sentence the line itself says, with the parameters it takes. Each native language has all of them."""

CALL_PHRASES = ("encourage", "more_time", "one_moment", "goodbye")
"""What the role says by itself while the learner thinks, waits or leaves; fit for any register."""

WRAPUP_PHRASES = (
    "praise_all",
    "praise_alone",
    "praise_hint",
    "praise_again",
    "praise_talk",
    "praise_call",
    "keep_this",
    "until_next",
)
"""What the line says in the language being learned once a scene has ended."""

TARGET_PHRASES = (*CALL_PHRASES, *WRAPUP_PHRASES)


ASK_KINDS = (
    "hint",
    "slower",
    "repeat",
    "translate",
    "word",
    "goals",
    "faster",
    "pause",
    "uncomfortable",
    "end",
    "restart",
    "meaning",
    "unclear",
    "polite",
)
"""What learners may ask for in words: of the keys, from 1 to 9, 0 and star; of the line's meaning; politeness."""

NATIVE_FIELDS = ("but_words", "list_last", "language_names", "says")
TARGET_FIELDS = ("accent", "address", "target")
"""The fields of ``Language`` that a part needs; without the part they stay empty."""

NATIVE_SCENE_FIELDS = ("title", "preview", "can_do")
TARGET_SCENE_FIELDS = ("greeting", "hints", "keywords")
"""The same for ``SceneStrings``."""


@dataclass(frozen=True, slots=True)
class SceneStrings:
    """What one language needs for one scenario, once for its speakers and once for its learners."""

    title: str = ""
    """Native: the place, as a menu names it."""
    preview: str = ""
    """Native: one sentence of at most 16 words: the place and what to get done."""
    who: str = ""
    """Native: where the caller is and who answers, for those who play the scene for the first time; may be empty."""
    can_do: Mapping[str, str] = field(default_factory=dict)
    """Native: what each goal is, as a verb phrase that fits into ``call.goals_done``."""
    greeting: str = ""
    """Target: the role's first line."""
    hints: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    """Target: keyword, sentence start and whole phrase for each goal."""
    keywords: tuple[str, ...] = ()
    """Target: words to expect, for the transcriber."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language, or one of its regions laid over it."""

    tag: str
    """BCP 47: ``es``, or ``es-PR`` for a region."""
    name: str
    """In itself: ``español``."""
    english_name: str
    """For the model's instructions: ``Mexican Spanish``."""
    transcription: str
    """ISO 639-1 code for the transcriber."""
    say_voice: str
    """The carrier's voice for fixed sentences (TwiML ``<Say voice>``)."""
    say_locale: str
    """Its language; a voice and a language that do not match make ``<Say>`` fail."""
    espeak: str
    """The rehearsal voice's code."""
    script: str
    """ISO 15924: ``Latn``."""
    register: str
    """How the strings address the caller, for whoever edits them."""
    teacher_words: tuple[str, ...]
    """Words that judge language; no role and no sentence of the line uses them."""

    but_words: tuple[str, ...] = ()
    """Native: words that take a praise back; no sentence of the line uses them."""
    list_between: str = ", "
    """Native: what stands between the items of a spoken list, spaces included."""
    list_last: str = ""
    """Native: what stands before the last item instead: ``" and "``."""
    language_names: Mapping[str, str] = field(default_factory=dict)
    """Native: what this language calls other languages, by tag."""
    says: Mapping[str, str] = field(default_factory=dict)
    """Native: every sentence of ``NATIVE_STRINGS``; empty when the language can only be learned."""

    accent: str = ""
    """Target: how a role should sound and which words it prefers, in English for the model."""
    address: Mapping[str, str] = field(default_factory=dict)
    """Target: how a role addresses the learner when a scene is ``formal`` or ``informal``, in English for the model."""
    target: Mapping[str, str] = field(default_factory=dict)
    """Target: every one of ``TARGET_PHRASES``; empty when the language can only be a learner's own."""

    articles: tuple[str, ...] = ()
    """Target: what stands before a noun in a word list and need not be said with it; empty where there is none."""

    asks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What learners say instead of pressing a key: patterns for each of ``ASK_KINDS``, read by ``tutor.talk.asks``."""

    scenes: Mapping[str, SceneStrings] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The tag without its region: ``es`` for ``es-PR``."""
        return self.tag.partition("-")[0]

    @property
    def is_native(self) -> bool:
        """Whether the line can talk to people who speak it."""
        return bool(self.says)

    @property
    def is_target(self) -> bool:
        """Whether people can learn it."""
        return bool(self.target)

    def say(self, key: str, /, **parameters: str) -> str:
        """The native sentence ``key`` with its parameters filled in.

        Raises:
            KeyError: no such sentence, or a parameter is missing. The loader checks every file against
                ``NATIVE_STRINGS``, so this can only be a slip in the calling code, or a language without a
                native part.
        """
        return self.says[key].format(**parameters)

    def tells(self, scenario_id: str) -> bool:
        """Whether a scene can be offered to people who speak the language: its title and can-dos are there."""
        strings = self.scenes.get(scenario_id)
        return strings is not None and bool(strings.title)

    def plays(self, scenario_id: str) -> bool:
        """Whether a scene can be played in the language: its greeting and hints are there."""
        strings = self.scenes.get(scenario_id)
        return strings is not None and bool(strings.greeting)

    def name_of(self, tag: str) -> str:
        """What this language calls the language ``tag``; a region falls back to its language, then to the tag."""
        return self.language_names.get(tag) or self.language_names.get(tag.partition("-")[0], tag)

    def enumerate(self, items: Sequence[str]) -> str:
        """A spoken list: ``a, b and c``; one item is itself, none is empty."""
        if len(items) < 2:
            return "".join(items)
        return self.list_between.join(items[:-1]) + self.list_last + items[-1]
