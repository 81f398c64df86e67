"""Small checks that make a shape: an object of fields, a number in a range, one of some words.

A refusal carries the code, the sentence and the parameter path that OpenAI's servers answer with. They know no event
and no session."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

Check = Callable[[object, str], None]
"""Looks at a value found at a path such as `session.audio.input`; raises Refused when it is not what it should be."""


class Refused(Exception):
    """A client event that the protocol does not allow, as the `error` event will tell it."""

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def at(path: str, name: str | int) -> str:
    """Returns the path of a member: `session.audio`, `tools[0]`."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def invalid(path: str, value: object, expected: str) -> Refused:
    """Returns the refusal of a value that is of the right type and not allowed."""
    return Refused("invalid_value", f"Invalid value: {_shown(value)}. {expected}", path)


def wrong_type(path: str, value: object, expected: str) -> Refused:
    """Returns the refusal of a value of the wrong JSON type."""
    return Refused(
        "invalid_type", f"Invalid type for '{path}': expected {expected}, but got {kind(value)} instead.", path
    )


def missing(path: str) -> Refused:
    """Returns the refusal of an object that lacks a required member."""
    return Refused("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def unknown(path: str) -> Refused:
    """Returns the refusal of a member that the protocol does not have."""
    return Refused("unknown_parameter", f"Unknown parameter: '{path}'.", path)


def kind(value: object) -> str:
    """Returns what JSON calls the value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case list():
            return "an array"
        case _:
            return "an object"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def anything(value: object, path: str) -> None:
    """Accepts any JSON."""


def json_object(value: object, path: str) -> None:
    """Accepts any JSON object, such as the parameters of a tool."""
    if not isinstance(value, dict):
        raise wrong_type(path, value, "an object")


def boolean(value: object, path: str) -> None:
    """Accepts true and false."""
    if not isinstance(value, bool):
        raise wrong_type(path, value, "a boolean")


def text(*, longest: int | None = None, pattern: str | None = None) -> Check:
    """Returns a check for a string of at most `longest` characters that matches `pattern` as a whole."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, value, "a string")
        if longest is not None and len(value) > longest:
            raise Refused(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length {longest}, "
                f"but got a string with length {len(value)} instead.",
                path,
            )
        if pattern is not None and re.fullmatch(pattern, value) is None:
            raise invalid(path, value, f"Expected a string that matches the pattern '{pattern}'.")

    return check


def integer(lowest: int | None = None, highest: int | None = None) -> Check:
    """Returns a check for a whole number in a closed range."""

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(path, value, "an integer")
        _in_range(value, path, lowest, highest)

    return check


def number(lowest: float | None = None, highest: float | None = None) -> Check:
    """Returns a check for any number in a closed range."""

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(path, value, "a number")
        _in_range(value, path, lowest, highest)

    return check


def _in_range(value: float, path: str, lowest: float | None, highest: float | None) -> None:
    if lowest is not None and value < lowest:
        raise invalid(path, value, f"Expected a value >= {lowest}.")
    if highest is not None and value > highest:
        raise invalid(path, value, f"Expected a value <= {highest}.")


def choice(*values: str | int) -> Check:
    """Returns a check for one of some words or numbers."""
    supported = f"Supported values are: {', '.join(repr(value) for value in values)}."

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in values:
            raise invalid(path, value, supported)

    return check


def nullable(inner: Check) -> Check:
    """Returns a check that lets null pass as well."""

    def check(value: object, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def either(first: Check, second: Check) -> Check:
    """Returns a check that passes when one of two passes; objects are judged by the second, all else by the first."""

    def check(value: object, path: str) -> None:
        (second if isinstance(value, dict) else first)(value, path)

    return check


def array(inner: Check, *, least: int = 0, most: int | None = None) -> Check:
    """Returns a check for a list and each of its members."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, value, "an array")
        if len(value) < least or (most is not None and len(value) > most):
            raise invalid(path, value, f"Expected {least} to {most if most is not None else 'any number of'} members.")
        for index, member in enumerate(value):
            inner(member, at(path, index))

    return check


def mapping(*, most: int, longest_key: int, longest_value: int) -> Check:
    """Returns a check for an object of strings, such as metadata."""
    short = text(longest=longest_value)

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, value, "an object")
        if len(value) > most:
            raise invalid(path, value, f"Expected at most {most} pairs.")
        for key, member in value.items():
            text(longest=longest_key)(key, at(path, key))
            short(member, at(path, key))

    return check


def obj(fields: Mapping[str, Check], *, required: Iterable[str] = ()) -> Check:
    """Returns a check for an object that has no other members than `fields` and all of `required`."""
    needed = tuple(required)

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path or "event", value, "an object")
        for name in needed:
            if name not in value:
                raise missing(at(path, name))
        for name, member in value.items():
            if name not in fields:
                raise unknown(at(path, name))
            fields[name](member, at(path, name))

    return check


def tagged(shapes: Mapping[str, Check], *, tag: str = "type") -> Check:
    """Returns a check for an object whose `tag` says which of some shapes it has."""
    known = choice(*shapes)

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, value, "an object")
        if tag not in value:
            raise missing(at(path, tag))
        known(value[tag], at(path, tag))
        shapes[value[tag]](value, path)

    return check
