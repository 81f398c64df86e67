"""JSON Schema as far as strict structured outputs go: is a schema allowed, does a value conform, what is a small value.

It knows no HTTP and no script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 10  # levels of nesting the service allows
MOST_PROPERTIES = 5_000

_COMMON = {"type", "enum", "const", "anyOf", "$ref", "$defs", "definitions", "description", "title"}
_BY_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set(),
    "null": set(),
}
_SUPPORTED = _COMMON.union(*_BY_TYPE.values())


def problem(schema: object) -> str | None:
    """Returns why strict mode refuses the schema, as one sentence with the place, or None when it is allowed."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return "In context=(), schema must be a JSON Schema of 'type: \"object\"', without 'anyOf' at its root."
    properties = 0
    for place, depth, part in _parts(schema, (), 0):
        context = f"In context={place}"
        if not isinstance(part, dict):
            return f"{context}, a schema must be an object."
        if depth > DEEPEST:
            return f"{context}, it is nested deeper than {DEEPEST} levels."
        if extra := sorted(part.keys() - _SUPPORTED):
            return f"{context}, '{extra[0]}' is not permitted."
        if not part.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
            return f"{context}, schema must have a 'type' key."
        types = _types(part)
        if unknown := [name for name in types if name not in _BY_TYPE]:
            return f"{context}, {unknown[0]!r} is no type."
        if "$ref" in part and _find(schema, part["$ref"]) is None:
            return f"{context}, reference {part['$ref']!r} can only point to definitions of this schema."
        if "object" in types:
            if part.get("additionalProperties") is not False:
                return f"{context}, 'additionalProperties' is required to be supplied and to be false."
            names = list(part.get("properties", {}))
            properties += len(names)
            if left_out := [name for name in names if name not in part.get("required", ())]:
                return (
                    f"{context}, 'required' is required to be supplied and to be an array including every key in "
                    f"properties. Missing '{left_out[0]}'."
                )
            if extra := [name for name in part.get("required", ()) if name not in names]:
                return f"{context}, 'required' names '{extra[0]}', which is not in properties."
        if "array" in types and "items" not in part:
            return f"{context}, array schema missing items."
    return f"The schema has more than {MOST_PROPERTIES} properties." if properties > MOST_PROPERTIES else None


def mismatch(value: object, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> str | None:
    """Returns where and how a value differs from an allowed schema, or None when it conforms."""
    return next(_mismatches(value, schema, root or schema, "$"), None)


def instance(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None, *, name: str = "value") -> Any:
    """Returns a small value that conforms: first choices, shortest lists, plain words. Patterns are not understood."""
    root = root or schema
    if "$ref" in schema:
        return instance(_find(root, schema["$ref"]) or {}, root, name=name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        # null ends what would otherwise recurse for ever.
        choices = schema["anyOf"]
        return instance(next((one for one in choices if "null" in _types(one)), choices[0]), root, name=name)
    match _types(schema):
        case ["object", *_]:
            return {key: instance(part, root, name=key) for key, part in schema.get("properties", {}).items()}
        case ["array", *_]:
            return [instance(schema["items"], root, name=name) for _ in range(schema.get("minItems", 0))]
        case ["integer" | "number", *_]:
            return _number(schema)
        case ["boolean", *_]:
            return False
        case ["null", *_]:
            return None
        case _:
            return _FORMATS.get(schema.get("format", ""), f"rehearsal {name.replace('_', ' ')}")


_FORMATS = {
    "date-time": "2026-11-20T12:00:00Z",
    "date": "2026-11-20",
    "time": "12:00:00Z",
    "email": "nobody@example.org",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def _number(schema: Mapping[str, Any]) -> float:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    value: float = max(lowest, 0) if "maximum" not in schema or schema["maximum"] >= 0 else schema["maximum"]
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        value = schema["exclusiveMinimum"] + 1
    step = schema.get("multipleOf")
    return -(-value // step) * step if step else value


def _types(schema: Mapping[str, Any]) -> list[str]:
    given = schema.get("type", [])
    return [given] if isinstance(given, str) else list(given)


def _parts(schema: Any, place: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], int, Any]]:
    yield place, depth, schema
    if not isinstance(schema, dict):
        return
    for group in ("properties", "$defs", "definitions"):
        for name, part in schema.get(group, {}).items():
            yield from _parts(part, (*place, group, name), depth + (group == "properties"))
    for index, part in enumerate(schema.get("anyOf", ())):
        yield from _parts(part, (*place, "anyOf", str(index)), depth)
    if "items" in schema:
        yield from _parts(schema["items"], (*place, "items"), depth + 1)


def _find(root: Mapping[str, Any], reference: str) -> Mapping[str, Any] | None:
    found: Any = root
    for step in reference.split("/")[1:] if reference.startswith("#") else ["", ""]:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def _is(value: object, kind: str) -> bool:
    return isinstance(value, _PYTHON_TYPES[kind]) and (isinstance(value, bool) == (kind == "boolean"))


def _mismatches(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = _find(root, schema["$ref"]) or {}
    types = _types(schema)
    if types and not any(_is(value, kind) for kind in types):
        yield f"{place} is not of type {' or '.join(types)}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{place} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} is not one of {schema['enum']!r}"
    if "anyOf" in schema and all(mismatch(value, part, root) for part in schema["anyOf"]):
        yield f"{place} matches none of its choices"
    if isinstance(value, str) and "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{place} does not match {schema['pattern']!r}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_mismatches(value, schema, place)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{place} has {len(value)} members"
        for index, member in enumerate(value):
            yield from _mismatches(member, schema.get("items", {}), root, f"{place}[{index}]")
    if isinstance(value, dict) and "properties" in schema:
        properties = schema["properties"]
        yield from (f"{place}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        yield from (f"{place}.{name} is not in the schema" for name in value if name not in properties)
        for name, part in properties.items():
            if name in value:
                yield from _mismatches(value[name], part, root, f"{place}.{name}")


def _number_mismatches(value: float, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    if (
        value < schema.get("minimum", value)
        or value > schema.get("maximum", value)
        or ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
        or ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
    ):
        yield f"{place} is out of range"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield f"{place} is no multiple of {schema['multipleOf']}"
