"""What a call's row keeps of its menu: the facts it began with and the caller's answers, in order.

The answers are enough to give any request the same reply again (``menu.replay``). It knows no database.
"""

from __future__ import annotations

from typing import Any

import msgspec

from telephony.ivr.menu import Choice, MenuContext, MenuState, Step, replay
from tutor.script.catalogue import Catalogue


class MenuRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The menu of one call, as JSON in its row."""

    native: str
    school: str
    returning: bool
    scenarios: tuple[str, ...]
    """Scenario ids in the order they are offered, the recommended one first; without free talk."""
    free_talk: bool
    slower: bool
    """As the call began."""
    level: str
    ask_consent: bool = False
    """Whether this call's menu asks if text messages may come."""
    answers: tuple[str, ...] = ()
    """Keys per prompt; empty text is silence."""
    token: str | None = None
    """The stream's one-use token, encrypted: a repeated request must be given the same document."""

    @classmethod
    def read(cls, value: dict[str, Any]) -> MenuRecord:
        """Reads a row's JSON.

        Raises:
            msgspec.ValidationError: it is none of ours.
        """
        return msgspec.convert(value, cls)

    def write(self) -> dict[str, Any]:
        """Returns the JSON for the row."""
        written: dict[str, Any] = msgspec.to_builtins(self)
        return written

    def answered(self, keys: str, token: str | None = None) -> MenuRecord:
        """Returns the record with one answer more, and the encrypted token if a scene begins with it."""
        return msgspec.structs.replace(self, answers=(*self.answers, keys), token=token)

    def at(self, catalogue: Catalogue, prompts: int | None = None) -> tuple[MenuContext, MenuState, Step]:
        """Returns where the caller is after the first ``prompts`` answers (None: after all).

        Raises:
            CatalogueError, KeyError: a scene or language that was offered does not exist any more.
        """
        native = catalogue.language(self.native)
        scenes = [(scenario, native.scenes[scenario]) for scenario in self.scenarios]
        context = MenuContext(
            native=native,
            school=self.school,
            returning=self.returning,
            choices=tuple(Choice(scenario, texts.title, texts.preview) for scenario, texts in scenes),
            free_talk=self.free_talk,
            slower=self.slower,
            ask_consent=self.ask_consent,
        )
        return (context, *replay(context, self.answers[:prompts]))
