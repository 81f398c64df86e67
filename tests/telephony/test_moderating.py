"""The second listener: what it hears, what it tells, and that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from telephony.moderating import Moderator

FOUND = {"self-harm": True, "violence": False}


async def test_what_was_found_is_told_with_its_item() -> None:
    """The call learns which turn it was."""
    told: list[tuple[str, Mapping[str, bool]]] = []
    came = asyncio.Event()

    async def moderate(text: str) -> Mapping[str, bool]:
        return FOUND if "harm" in text else {"self-harm": False}

    def tell(item: str, found: Mapping[str, bool]) -> None:
        told.append((item, found))
        came.set()

    moderator = Moderator(moderate)
    moderator.listen("u1", "a café con leche", tell)
    moderator.listen("u2", "I will harm somebody", tell)
    async with asyncio.timeout(5):
        await came.wait()
    assert told == [("u2", FOUND)]
    await moderator.close()


async def test_short_words_are_not_sent() -> None:
    """A "sí" is nobody's concern."""
    asked: list[str] = []

    async def moderate(text: str) -> Mapping[str, bool]:
        asked.append(text)
        return {}

    moderator = Moderator(moderate)
    moderator.listen("u1", "sí", lambda *_: None)
    await asyncio.sleep(0)
    assert asked == []
    await moderator.close()


async def test_without_an_endpoint_nobody_listens() -> None:
    """A line without an account works with the word lists alone."""
    moderator = Moderator(None)
    moderator.listen("u1", "a long enough sentence", lambda *_: None)
    await moderator.close()


async def test_an_endpoint_that_fails_or_hangs_disturbs_nobody() -> None:
    """No answer is no finding, and closing does not wait."""
    told: list[object] = []
    began = asyncio.Event()

    async def moderate(text: str) -> Mapping[str, bool]:
        if text.startswith("fail"):
            raise OSError("no route")
        began.set()
        await asyncio.Event().wait()
        return FOUND

    moderator = Moderator(moderate)
    moderator.listen("u1", "fail, please", lambda *found: told.append(found))
    moderator.listen("u2", "hang for ever", lambda *found: told.append(found))
    async with asyncio.timeout(5):
        await began.wait()
        await moderator.close()
    assert told == []
