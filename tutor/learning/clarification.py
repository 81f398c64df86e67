"""Where somebody was not understood: the learner asks again, or the role asks back. Pure, on transcripts.

What stands alone instead of a key ("More slowly, please") is known to `tutor.talk.asks`; what is said to a role in a
longer turn ("Could you repeat the price?") is in ``tutor/catalogue/speech``. Knows no call and no keypad.
"""

from __future__ import annotations

from tutor.learning import metrics_data
from tutor.safety.tokens import END, tokens
from tutor.talk import asks


def asks_again(text: str, target_tag: str, native_tag: str | None = None) -> bool:
    """Whether a turn of the learner asks to hear something again, slower, in other words, or what it means.

    Args:
        text: the turn as it was transcribed.
        target_tag: the language being learned; in one without lists only what stands alone is known.
        native_tag: the learner's own language, in which they may ask too; None: not known.

    Raises:
        CatalogueError: a language is unknown.
    """
    if asks.is_clarification(text, target_tag, native_tag or target_tag):
        return True
    words = metrics_data.of(target_tag)
    return words is not None and words.find(text, "learner") > 0


def asks_back(text: str, target_tag: str) -> bool:
    """Whether a turn of the role says, or asks, because it did not understand the learner; in the target alone."""
    words = metrics_data.of(target_tag)
    return words is not None and words.find(text, "role") > 0


def only_sounds(text: str, target_tag: str) -> bool:
    """Whether a text has nothing but sounds ("mm", "eh", "uh-huh"), or nothing at all: who makes them takes no turn."""
    said = [token for token in tokens(text) if token != END]
    known = metrics_data.of(target_tag)
    sounds = known.sounds if known is not None else ()
    at = 0
    while at < len(said):
        if set(said[at]) <= set("hm"):
            at += 1
            continue
        sound = next((one for one in sounds if tuple(said[at : at + len(one)]) == one), None)
        if sound is None:
            return False
        at += len(sound)
    return True
