"""How every page of ours leaves the house: escaped, small, of one piece, never kept and never found by a search engine.

Templates hold no words; those come from the catalogue, in the reader's language. Knows no database.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any, Final

from fastapi import Response
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tutor.script.language import Language

MOST_BYTES: Final = 30_000
"""A page opens on a telephone with a weak connection (tutoring.md §5.7)."""

_TEMPLATES: Final = Path(__file__).parent / "templates"
_CSS: Final = (_TEMPLATES / "page.css").read_text("utf-8").replace("\n", "")
_CSS_HASH: Final = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()

HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; media-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}
"""No script, no picture, no other site, no sound but our own; the one style sheet is known by its hash."""

_RIGHT_TO_LEFT: Final = frozenset({"Arab", "Hebr"})


def direction(language: Language) -> str:
    """In which direction a language is written, as HTML calls it."""
    return "rtl" if language.script in _RIGHT_TO_LEFT else "ltr"


class Pages:
    """The templates, read and compiled once."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        for name in self._environment.list_templates(extensions=["html"]):
            self._environment.get_template(name)

    def html(self, template: str, language: Language, title: str, **values: Any) -> str:
        """A page in a reader's language. ``values`` are escaped where the template puts them."""
        return self._environment.get_template(f"{template}.html").render(
            lang=language.tag,
            dir=direction(language),
            title=title,
            css=Markup(_CSS),  # noqa: S704  # our own file, which holds no "<"
            say=language.say,
            **values,
        )


def answer(html: str, status: int = 200) -> Response:
    """A page as an answer, with the headers that all of them have."""
    return HTMLResponse(_tight(html), status, headers=HEADERS)


def sound(path: Path) -> Response:
    """A sound file as an answer; in parts, where a player asks for those."""
    return FileResponse(path, headers=HEADERS, media_type="audio/wav")


def elsewhere(path: str) -> Response:
    """Sends a browser on to ``path``, relative to where it posted."""
    return Response(status_code=303, headers={**HEADERS, "Location": path})


def _tight(html: str) -> str:
    """Without the empty lines that templates leave."""
    return re.sub(r"\n\s*\n+", "\n", html)
