"""Scenes that the tutor's tests share."""

from __future__ import annotations

from tutor.script import catalogue
from tutor.script.scene import Scene


def cafe(native: str = "en", target: str = "es", level: str = "A1") -> Scene:
    """The café, for an English speaker who begins with Spanish unless told otherwise."""
    return catalogue.load().scene("cafe_order", native=native, target=target, level=level)
