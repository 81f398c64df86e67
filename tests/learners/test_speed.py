"""How long the conversation core thinks about a turn. It shares its loop with the audio of every other call."""

from __future__ import annotations

import statistics
import time

from tests.tutor.desk import Desk
from tutor.talk.rules import Rules

TURNS = 200
LIMIT_MS = 10.0
"""Ten times the millisecond that the design allows: a test's machine may be busy."""

LINES = (
    ("Hola, buenos días, quisiera un café con leche, por favor.", "Claro que sí. ¿Lo quiere grande o pequeño?"),
    ("Grande y para llevar, por favor, y también un cruasán.", "Perfecto. Hoy los tenemos con chocolate o sin nada."),
    ("Entonces uno con chocolate. ¿Cuánto es todo junto?", "Son cinco euros con veinte. ¿Paga con tarjeta?"),
    ("Sí, con tarjeta. ¿Y a qué hora cierran hoy?", "Cerramos a las ocho. Mañana abrimos a las siete y media."),
)


def test_a_turn_costs_the_core_less_than_ten_milliseconds() -> None:
    """The median of 200 turns: voice, transcript, a claimed goal and the role's answer, all checks included."""
    desk = Desk(rules=Rules(24 * 60 * 60_000)).open()
    took_ms = []
    for number in range(TURNS):
        said, answered = LINES[number % len(LINES)]
        began = time.perf_counter()
        desk.learner(f"{said} {number}")
        desk.tool("mark_goal", '{"goal":"order_drink","quote":"un café con leche"}', f"c{number}")
        desk.role(answered)
        took_ms.append((time.perf_counter() - began) * 1000)
        desk.wait(800)
    assert statistics.median(took_ms) < LIMIT_MS
    assert len(desk.timeline.of("learner_said")) == TURNS
