"""The class prompt: what teachers write is read, and what is too long is refused with one sentence."""

from __future__ import annotations

import pytest

from tutor.script.class_prompt import ClassPrompt, ClassPromptError

WEEK = ClassPrompt(
    theme="En el mercado",
    vocabulary=("la manzana", "el kilo", "caro"),
    grammar=("¿cuánto cuesta(n)?", "querer + infinitivo"),
    text="Los alumnos van al mercado el viernes.",
    must_use=("el kilo",),
    avoid=("subjuntivo",),
)

TOML = """
class = "4B"
from = 2026-11-23
theme = "En el mercado"
vocabulary = ["la manzana", "el kilo", "caro"]
grammar = ["¿cuánto cuesta(n)?", "querer + infinitivo"]
must_use = ["el kilo"]
avoid = ["subjuntivo"]
text = "Los alumnos van al mercado el viernes."
"""

FIELDS = """
class: 4B
from: 2026-11-23
theme: En el mercado
vocabulary: [la manzana, "el kilo", caro]
grammar:
  - ¿cuánto cuesta(n)?
  - querer + infinitivo
must_use: el kilo
avoid: subjuntivo
note: |
  Los alumnos van al mercado
  el viernes.
"""


@pytest.mark.parametrize("written", [TOML, FIELDS, "\ufeff" + FIELDS], ids=["toml", "fields", "with a byte order mark"])
def test_a_week_s_plan_is_read_from_toml_and_from_plain_fields(written: str) -> None:
    """Both ways of writing the same week give the same prompt; when and for whom is left to the console."""
    assert ClassPrompt.parse(written) == WEEK


@pytest.mark.parametrize(
    "written",
    [
        "This week: ordering food.\nHomework: page 12",
        "Wir üben: einkaufen = comprar",
        "Minutes: five for the talk about <food>",
    ],
)
def test_anything_else_is_plain_text(written: str) -> None:
    """Colons and equals signs in ordinary sentences do not turn them into fields."""
    assert ClassPrompt.parse(written) == ClassPrompt(text=written)


def test_an_indented_line_belongs_to_the_field_above() -> None:
    """A colon inside a note does not begin a field."""
    assert ClassPrompt.parse("theme: Food\ntext:\n  Remember: be polite.").text == "Remember: be polite."


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("  \n ", r"it is empty; write a theme, "),
        ("x" * 601, r"its text has 601 characters; shorten it to 600\."),
        ("vocabulary: " + ", ".join(f"w{n}" for n in range(61)), r"it has 61 words; keep the 60 that matter most"),
        ("grammar: a, b, c, d, e, f", r"it has 6 structures; keep at most 5\."),
        ("vocabulary: " + ", ".join("x" * 40 for _ in range(40)), r"fields together have 1680 characters; .* 1400"),
        ("theme: Food\nvocabluary: a", r'unknown field "vocabluary"; known are theme, text, vocabulary, grammar,'),
        ('theme = "Food', r"begins like TOML and does not read as TOML \(.*\)\."),
        ("class: 4B", r"it is empty"),
    ],
)
def test_what_cannot_be_used_is_refused_with_one_sentence(written: str, sentence: str) -> None:
    """Too long, empty, misspelled or broken: the teacher reads what to change."""
    with pytest.raises(ClassPromptError, match=r"^This class prompt cannot be used: ") as refused:
        ClassPrompt.parse(written)
    assert refused.match(sentence)
    assert "\n" not in str(refused.value)


def test_the_limits_themselves_are_allowed() -> None:
    """Sixty words, five structures and six hundred characters pass."""
    assert ClassPrompt.parse("y" * 600).text == "y" * 600
    assert len(ClassPrompt.parse("vocabulary: " + ", ".join(f"w{n}" for n in range(60))).vocabulary) == 60
    assert len(ClassPrompt.parse("grammar: a, b, c, d, e").grammar) == 5
