"""The first lines of the scenes a caller may choose next, so that they are at hand when a key is pressed.

They are fetched while the menu speaks (tutoring.md §1A row 28). Knows no carrier.
"""

from __future__ import annotations

from typing import Final

from telephony.clips import ClipKey
from telephony.ivr.menu import FREE_TALK
from telephony.ivr.record import MenuRecord
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.voice_choice import voice_for
from tutor.talk.setup import starting_speed

OFFERED: Final = 4
"""How many scenes the opening menu names."""


def greetings(catalogue: Catalogue, menu: MenuRecord) -> list[ClipKey]:
    """The greetings of the scenes that the menu offers first, and of free talk, in the voice the caller would hear.

    A scene that the catalogue cannot play any more has none.
    """
    keys = []
    for scenario in (*menu.scenarios[:OFFERED], *((FREE_TALK,) if menu.free_talk else ())):
        try:
            scene = catalogue.scene(scenario, native=menu.native, target=menu.target, level=menu.level)
        except CatalogueError:
            continue
        voice = voice_for(scene.scenario.voice, menu.voice)
        speed = starting_speed(scene.level, slower=menu.slower)
        keys.append(ClipKey(scene.greeting, scene.target.tag, voice, speed))
    return keys
