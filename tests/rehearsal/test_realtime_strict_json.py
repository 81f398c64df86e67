"""Strict JSON Schema: which schemas are allowed, which values conform, and a small value of each."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.strict_json import instance, mismatch, problem


def root(**properties: Any) -> dict[str, Any]:
    """Returns an allowed root object with these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


TREE = {
    **root(node={"$ref": "#/$defs/node"}),
    "$defs": {"node": root(name={"type": "string"}, next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})},
}
ALLOWED: list[dict[str, Any]] = [
    root(),
    root(a={"type": "string", "description": "A word.", "pattern": ".+"}),
    root(a={"type": ["string", "null"]}, b={"enum": ["x", "y"]}, c={"const": 3}),
    root(a={"type": "array", "items": root(b={"type": "integer", "minimum": 3}), "minItems": 2}),
    root(a={"type": "number", "exclusiveMinimum": 0}, b={"type": "integer", "multipleOf": 5, "minimum": 7}),
    root(a={"anyOf": [{"type": "boolean"}, {"type": "string", "format": "date"}]}),
    root(day={"type": "string", "format": "date"}, low={"type": "integer", "maximum": -4}),
    TREE,
]


@pytest.mark.parametrize("schema", ALLOWED)
def test_allowed_schemas_have_a_small_instance_that_conforms(schema: dict[str, Any]) -> None:
    """What strict mode allows has an instance, and the instance is what the schema says."""
    assert problem(schema) is None
    assert mismatch(instance(schema), schema) is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "must be a JSON Schema of 'type: \"object\"'"),
        ({"type": "array", "items": {"type": "string"}}, "must be a JSON Schema of 'type: \"object\"'"),
        ({**root(), "anyOf": [{"type": "object"}]}, "without 'anyOf' at its root"),
        ({**root(), "additionalProperties": True}, "'additionalProperties' is required to be supplied and to be false"),
        ({**root(a={"type": "string"}), "required": []}, "Missing 'a'"),
        ({**root(), "required": ["b"]}, "names 'b', which is not in properties"),
        (root(a={"type": "object", "properties": {}}), "In context=('properties', 'a'), 'additionalProperties'"),
        (root(a={"type": "string", "default": "x"}), "'default' is not permitted"),
        (root(a={"type": "string", "minLength": 2}), "'minLength' is not permitted"),
        (root(a={"allOf": []}), "'allOf' is not permitted"),
        (root(a={}), "schema must have a 'type' key"),
        (root(a={"type": "date"}), "'date' is no type"),
        (root(a={"type": "array"}), "array schema missing items"),
        (root(a={"$ref": "#/$defs/none"}), "reference '#/$defs/none'"),
        (root(a=7), "a schema must be an object"),
    ],
)
def test_other_schemas_are_refused_with_their_place(schema: Any, words: str) -> None:
    """Each thing that strict mode forbids is named with where it stands."""
    assert words in (problem(schema) or "")


def test_deep_nesting_is_refused() -> None:
    """More than ten levels are refused."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(11):
        schema = root(a=schema)
    assert "deeper than 10" in (problem(schema) or "")


@pytest.mark.parametrize(
    ("value", "schema", "words"),
    [
        ({}, root(a={"type": "string"}), "$.a is missing"),
        ({"b": 1}, root(), "$.b is not in the schema"),
        ({"a": 1}, root(a={"type": "string"}), "$.a is not of type string"),
        ({"a": True}, root(a={"type": "integer"}), "$.a is not of type integer"),
        ({"a": "z"}, root(a={"enum": ["x"]}), "$.a is not one of ['x']"),
        ({"a": 2}, root(a={"const": 1}), "$.a is not 1"),
        ({"a": "x"}, root(a={"type": "string", "pattern": "^y"}), "$.a does not match '^y'"),
        ({"a": 9}, root(a={"type": "integer", "maximum": 8}), "$.a is out of range"),
        ({"a": 9}, root(a={"type": "integer", "multipleOf": 2}), "$.a is no multiple of 2"),
        ({"a": [1]}, root(a={"type": "array", "items": {"type": "string"}}), "$.a[0] is not of type string"),
        ({"a": []}, root(a={"type": "array", "items": {"type": "string"}, "minItems": 1}), "$.a has 0 members"),
        ({"a": 1}, root(a={"anyOf": [{"type": "string"}, {"type": "null"}]}), "$.a matches none of its choices"),
        ({"node": {"name": "x", "next": {"name": 1, "next": None}}}, TREE, "$.node.next matches none"),
    ],
)
def test_values_that_differ_are_told_with_their_place(value: Any, schema: dict[str, Any], words: str) -> None:
    """The first difference is one short sentence with its path."""
    assert (mismatch(value, schema) or "").startswith(words)
