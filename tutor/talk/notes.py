"""What the role is told during a call, as short system items: instructions never change (it breaks the cache)."""

from __future__ import annotations

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
RESUME = (
    "The telephone line was interrupted and is back. Stay in your role: say in one short sentence that the line is "
    "back and repeat your last question."
)
BACK = (
    "There was a short technical pause and you may have missed the learner's last words. Stay in your role: in one "
    "short sentence, repeat your last question or ask them to say it again."
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
