"""What the role is told during a call, as short system items: instructions never change (it breaks the cache)."""

from __future__ import annotations

from tutor.script.prompt import in_words
from tutor.script.scene import Scene

SLOWER = (
    "The learner asked you to speak more slowly. Say your last line again: the same meaning, shorter, easier words, "
    "with clear pauses. Do not comment on it."
)
FASTER = "The learner is comfortable: go back to your normal pace. Say your last line again naturally."
CHOICE = (
    "The learner is quiet and may be stuck. Stay in your role and offer an easy choice between two answers, "
    "in one short sentence."
)
MINUTE_LEFT = "About one minute is left. Bring the scene to a natural close; do not start anything new."
USUAL_LENGTH = (
    "A call like this has usually had its time. Do not hurry: let what is open come to its end, begin nothing new, and "
    "when it fits bring the scene to a friendly close."
)
RESUME = (
    "The telephone line was interrupted and is back. Stay in your role: say in one short sentence that the line is "
    "back and repeat your last question."
)
BACK = (
    "There was a short technical pause and you may have missed the learner's last words. Stay in your role: in one "
    "short sentence, repeat your last question or ask them to say it again."
)
AFTER_PAUSE = (
    "The learner took a short break and is back. Stay in your role: go on with your last question, in one sentence."
)
GO_ON = (
    "A noise interrupted you; the learner did not want to speak. Stay in your role: say your last sentence again, "
    "shorter, and wait."
)
FINISH = "You were cut off in the middle. End your sentence in a few words, then wait. Do not comment on it."
LOOKED_UP = "The learner just asked the helper for a word and may use it now. Give them time."
RESTART = (
    "The learner wants to play the scene again from its beginning. Greet them as at the start, with other words. "
    "What was marked as reached stays reached."
)


def skipped(goal: str, can_do: str) -> str:
    """The learner leaves a goal aside and wants the next."""
    return f"The learner leaves {goal!r} aside for now. Stay in your role and give them an opening to: {can_do}."


def pace(sentences: int, *, faster: bool) -> str:
    """The pace dial moved."""
    cap = "one sentence" if sentences == 1 else f"{in_words(sentences)} sentences"
    if faster:
        return f"The learner follows easily: you may speak a little faster and richer, at most {cap} a turn."
    return f"The learner needs more time: easier words, clear pauses, at most {cap} a turn."


def how_to_say(scene: Scene) -> str:
    """Instructions of the aside behind key 5: a phrase for what the learner wants to say."""
    return (
        f"You are the helper of a language practice line. The learner says in {scene.native.english_name} what they "
        f"want to say. Give the short, natural {scene.target.english_name} phrase for it, at level "
        f"{scene.level.name}: say it once normally and once slowly. Say nothing else."
    )


def reached(goals: list[str]) -> str:
    """What a new session must know of the goals."""
    return f"Already marked as reached: {', '.join(goals)}."


def hinted(goal: str) -> str:
    """The learner was given a hint outside the conversation."""
    return f"The learner was just given a hint for the goal {goal!r}. Give them time; make it easy to say."


def model_phrase(scene: Scene, goal: str) -> str:
    """The last rung of the stuck ladder: the role gives the words."""
    return (
        f"The learner is still quiet. Stay in your role and, kindly, offer words they could use, for example: "
        f'"{scene.hint(goal, 2)}". Then wait.'
    )


def translate(scene: Scene) -> str:
    """Instructions of the aside behind key 4: the last line in the learner's own language."""
    return (
        f"You are the helper of a language practice line. Translate the {scene.target.english_name} line you are "
        f"given into simple spoken {scene.native.english_name}. Say only the translation, calmly, and nothing else."
    )


def paraphrase(scene: Scene) -> str:
    """Instructions of the aside behind key 4's first press from B1 on: the same, easier, in the target."""
    return (
        f"You are the helper of a language practice line. Say the {scene.target.english_name} line you are given "
        f"again in easier {scene.target.english_name}, in one short sentence, slowly. Say nothing else."
    )


def read_aloud(language: str) -> str:
    """Instructions of the aside that speaks a fixed text for which there is no clip yet; the text follows."""
    return (
        f"Read the following text aloud in {language}, word for word, warmly and clearly. "
        "Add nothing, leave nothing out: "
    )
