"""What is said when a scene has ended and the caller is still there: praise, what was reached, one phrase, what next.

Built from the call's facts alone, so that it can be spoken at once; the debrief comes later, by text. At A1 and A2 in
the learner's own language, at B1 in both, from B2 on in the one being learned wherever the catalogue can say it there
(tutoring.md §5.5). Knows no keypad and no call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tutor.learning import achievements
from tutor.learning.debrief import plain
from tutor.learning.facts import LEAST_TURNS, Facts
from tutor.learning.said import Said, estimate_s
from tutor.script.language import Language
from tutor.script.scene import Scene

LIMIT_S: Final = 20.0
"""The whole of it, good-bye included (tutoring.md §5.5)."""

_OWN_LANGUAGE: Final = frozenset({"A1", "A2"})
_BOTH: Final = frozenset({"B1"})
_ASKED_AGAIN: Final = "234"
"""Keys with which a caller makes sure to understand: slower, again, translate."""


def wrap_up(
    facts: Facts, scene: Scene, offered: Sequence[str], keys: Mapping[str, str], achieved: Sequence[str] = ()
) -> tuple[Said, ...]:
    """What is said, without the good-bye, which may have to wait for a question; with it at most ``LIMIT_S`` long.

    When it would be longer, can-dos are left out until one is left, then the key, that one, and what comes next; the
    praise, what was achieved and the phrase stay. Beside a phrase so long that they do not fit, what was achieved is
    told by its name, if need be in place of the praise. Of turns and goals never a count, never a "but"
    (``tutor.learning.wording``).

    Args:
        offered: ids of the scenes of the next call, the recommended one first; may be empty.
        keys: the keys that start them in the next call's menu, by scene.
        achieved: ids of what was achieved with the call, the most telling first, which is told; may be empty.
    """
    room_s = LIMIT_S - estimate_s([goodbye(scene)])
    praise, keep = _praise(facts, scene), _keep(facts, scene, offered)
    openings: list[tuple[Said, ...]] = [(praise,)]
    if achieved:
        whole, short = _celebrated(scene, achieved[0])
        openings = [(praise, whole), (praise, short), (short,), (praise,)]
    tellings = (lines for opening in openings for lines in _shorter(facts, scene, offered, keys, opening))
    return next((lines for lines in tellings if estimate_s(lines) <= room_s), keep)


def goodbye(scene: Scene) -> Said:
    """The last sentence."""
    if scene.level.name in _OWN_LANGUAGE:
        return Said.of(scene.native.say("wrapup.bye"), scene.native)
    return Said.of(scene.target.target["until_next"], scene.target)


def _shorter(
    facts: Facts, scene: Scene, offered: Sequence[str], keys: Mapping[str, str], praise: tuple[Said, ...]
) -> Iterator[tuple[Said, ...]]:
    """The whole of it, and what is left of it step by step.

    Args:
        praise: what it begins with.
    """
    keep = _keep(facts, scene, offered)
    following, its_key = _next(facts, scene, offered, keys)
    tellings = [_did(scene, goals) for goals in _fewer(facts, scene)]
    yield from ((*praise, did, *keep, following, *its_key) for did in tellings)
    yield from ((*praise, did, *keep, following) for did in tellings[-1:])
    yield (*praise, *keep, following)
    yield (*praise, *keep)


def _fewer(facts: Facts, scene: Scene) -> Iterator[list[str]]:
    """What was reached, and ever less of it: without what is optional, then without what every scene begins with."""
    optional = {goal.id for goal in scene.scenario.goals if goal.optional}
    order = {goal.id: goal.order for goal in scene.scenario.goals}
    reached = sorted(facts.reached, key=lambda goal: order[goal])
    while reached:
        yield list(reached)
        reached.remove(next((goal for goal in reached if goal in optional), reached[0]))


def _praise(facts: Facts, scene: Scene) -> Said:
    key = _earned(facts, scene)
    if scene.level.name in _OWN_LANGUAGE:
        return Said.of(scene.native.say(f"wrapup.{key}"), scene.native)
    return Said.of(scene.target.target[key], scene.target)


def _celebrated(scene: Scene, achievement: str) -> tuple[Said, Said]:
    """An achievement with what was done for it, and by its name; only languages that people call in have these."""
    own = scene.level.name in _OWN_LANGUAGE | _BOTH or not scene.target.is_native
    language = scene.native if own else scene.target
    whole, short = achievements.tellings(achievement, language)
    return Said.of(whole, language), Said.of(short, language)


def _earned(facts: Facts, scene: Scene) -> str:
    """The praise that the facts support: for what was got across, for how it was done, for having talked at all."""
    if facts.goals:
        needed = {goal.id for goal in scene.scenario.goals if not goal.optional}
        if needed <= set(facts.reached):
            return "praise_all"
        if facts.hints:
            return "praise_hint"
        if any(facts.keys.get(key) for key in _ASKED_AGAIN):
            return "praise_again"
        return "praise_alone"
    return "praise_talk" if facts.turns >= LEAST_TURNS else "praise_call"


def _did(scene: Scene, reached: Sequence[str]) -> Said:
    language = _telling(scene)
    can_dos = language.scenes[scene.scenario.id].can_do
    return Said.of(
        language.say("wrapup.did", can_dos=language.enumerate([can_dos[goal] for goal in reached])), language
    )


def _keep(facts: Facts, scene: Scene, offered: Sequence[str]) -> tuple[Said, ...]:
    """One phrase, slowly, in the language being learned: the one the plain debrief would choose."""
    phrase = Said.of(plain(facts, scene, offered).keep, scene.target, slow=True)
    if scene.level.name in _OWN_LANGUAGE | _BOTH:
        return Said.of(scene.native.say("wrapup.keep"), scene.native), phrase
    return Said.of(scene.target.target["keep_this"], scene.target), phrase


def _next(facts: Facts, scene: Scene, offered: Sequence[str], keys: Mapping[str, str]) -> tuple[Said, tuple[Said, ...]]:
    """The rest of this scene while there is some, else the next one; and its key where it has one."""
    language = _telling(scene)
    debrief = plain(facts, scene, offered)
    left = [goal.id for goal in scene.scenario.goals if goal.id not in facts.reached and not goal.optional]
    if left and debrief.next_scenario == scene.scenario.id:
        text = language.say("wrapup.step", can_do=language.scenes[scene.scenario.id].can_do[left[0]])
    else:
        text = language.say("wrapup.next", title=language.scenes[debrief.next_scenario].title)
    key = keys.get(debrief.next_scenario)
    its_key = () if key is None else (Said.of(language.say("wrapup.key", key=key), language),)
    return Said.of(text, language), its_key


def _telling(scene: Scene) -> Language:
    """The language in which can-dos and titles are told: only one with a native part has them."""
    own = scene.level.name in _OWN_LANGUAGE | _BOTH
    return scene.native if own or not scene.target.tells(scene.scenario.id) else scene.target
