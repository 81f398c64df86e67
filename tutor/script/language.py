"""One language: what the line says in it, and what a role and a learner say in it.

The same file serves learners who speak the language (native strings) and learners who learn it (greetings,
hints, fixed phrases). Knows no scenario beyond its id, and no file.
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
        "menu.help": (),
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
        "call.nothing_to_repeat": (),
        "call.nothing_to_translate": (),
        "call.safe_exit": (),
        "call.still_there": (),
        "call.silence_goodbye": (),
        "call.time_warning": (),
        "call.time_up": (),
        "call.holding": (),
        "call.lost": (),
    }.items()
}
"""Every sentence the line itself says, with the parameters it takes. Each language has all of them."""

TARGET_PHRASES = ("encourage", "more_time", "one_moment", "goodbye")
"""What the role says by itself while the learner thinks, waits or leaves; fit for any register."""


@dataclass(frozen=True, slots=True)
class SceneStrings:
    """What one language needs for one scenario, once for its speakers and once for its learners."""

    title: str
    """Native: the place, as a menu names it."""
    preview: str
    """Native: one sentence of at most 16 words: the place and what to get done."""
    can_do: Mapping[str, str]
    """Native: what each goal is, as a verb phrase that fits into ``call.goals_done``."""
    greeting: str
    """Target: the role's first line."""
    hints: Mapping[str, tuple[str, str, str]]
    """Target: keyword, sentence start and whole phrase for each goal."""
    keywords: tuple[str, ...]
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
    """How the native strings address the caller, for whoever edits them."""
    accent: str
    """How a role should sound and which words it prefers, in English for the model."""
    address: Mapping[str, str]
    """How a role addresses the learner when a scene is ``formal`` or ``informal``, in English for the model."""
    teacher_words: tuple[str, ...]
    """Words that judge language; no role and no sentence of the line uses them."""
    but_words: tuple[str, ...]
    """Words that take a praise back; no sentence of the line uses them."""
    list_last: str
    """What stands before the last item of a spoken list, spaces included: ``" and "``."""
    says: Mapping[str, str]
    target: Mapping[str, str]
    language_names: Mapping[str, str]
    """What this language calls other languages, by tag."""
    scenes: Mapping[str, SceneStrings] = field(default_factory=dict)

    def say(self, key: str, /, **parameters: str) -> str:
        """The native sentence ``key`` with its parameters filled in.

        Raises:
            KeyError: no such sentence, or a parameter is missing. The loader checks every file against
                ``NATIVE_STRINGS``, so this can only be a slip in the calling code.
        """
        return self.says[key].format(**parameters)

    def name_of(self, tag: str) -> str:
        """What this language calls the language ``tag``; a region falls back to its language, then to the tag."""
        return self.language_names.get(tag) or self.language_names.get(tag.partition("-")[0], tag)

    def enumerate(self, items: Sequence[str]) -> str:
        """A spoken list: ``a, b and c``; one item is itself, none is empty."""
        if len(items) < 2:
            return "".join(items)
        return ", ".join(items[:-1]) + self.list_last + items[-1]
