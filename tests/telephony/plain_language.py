"""A language whose sentences are their own names, so that a test reads which sentence was said and not its wording."""

from __future__ import annotations

from telephony.ivr.menu import Choice, MenuContext
from telephony.ivr.steps import Ask, Begin, Goodbye, Step
from tutor.script.language import NATIVE_STRINGS, TARGET_PHRASES, Language

PLAIN = Language(
    tag="xx",
    name="plain",
    english_name="Plain",
    transcription="xx",
    say_voice="Polly.Plain",
    say_locale="xx-XX",
    espeak="xx",
    script="Latn",
    register="",
    accent="",
    address={},
    teacher_words=(),
    but_words=(),
    list_last=" and ",
    says={
        key: " ".join([key, *(f"{{{parameter}}}" for parameter in sorted(parameters))])
        for key, parameters in NATIVE_STRINGS.items()
    },
    target=dict.fromkeys(TARGET_PHRASES, "…"),
    language_names={},
)


def menu(scenes: int = 9, *, returning: bool = False, free_talk: bool = True, slower: bool = False) -> MenuContext:
    """A menu of ``scenes`` scenes called s1, s2 …"""
    choices = tuple(Choice(f"s{n}", f"S{n}", f"preview of {n}") for n in range(1, scenes + 1))
    return MenuContext(PLAIN, "School", returning, choices, free_talk, slower)


def said(step: Step) -> list[str]:
    """The names of the sentences in a step, those of the menu without their group."""
    if not isinstance(step, Ask | Begin | Goodbye):
        return []
    texts = [line if isinstance(line, str) else line.text for line in step.says]
    return [text.split()[0].removeprefix("menu.") for text in texts]
