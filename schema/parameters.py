"""JSON Schemas of arguments: where their subschemas are, and what providers write that is not what
they mean. Every bridge shows what is mended here, so that all doors describe a function alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_ONE = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_NAMED = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties"}
)
_PYTHON_TYPES: Final = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}

Schema = dict[str, Any]
Path = tuple[str, ...]


def mend_habits(schema: Schema) -> None:
    """Undo what hypha-rpc writes that is not what its user meant.

    - For a parameter without annotation it writes ``string`` with an empty description. A model
      that believes it sends "2" and gets "2" + "3"; untyped, it sends 2.
    - An undecorated ``*args`` or ``**kwargs`` becomes a required parameter of that name.
    - It takes ``context`` out of the properties but leaves it required; the gateway supplies it.
    - Without pydantic it writes Python's names of types.
    """
    properties: Schema = schema["properties"]
    for name, declared in list(properties.items()):
        if not isinstance(declared, dict):
            continue
        if declared == {"type": "string", "description": ""}:
            if name in ("args", "kwargs"):
                del properties[name]
            else:
                properties[name] = {}
        elif isinstance(declared.get("type"), str) and declared["type"] in _PYTHON_TYPES:
            declared["type"] = _PYTHON_TYPES[declared["type"]]
    required = schema.get("required")
    if isinstance(required, list):
        supplied = {"context", "args", "kwargs"} - properties.keys()
        schema["required"] = [name for name in required if name not in supplied]


_INDEPENDENT = frozenset(
    {"$comment", "$defs", "$id", "$schema", "additionalProperties", "definitions", "description",
     "examples", "id", "patternProperties", "properties", "required", "title", "type"}
)  # fmt: skip
"""Keywords of a root that says nothing about several arguments together."""


def defaults_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of single arguments, of the types that these are to have. None where an argument
    more can make a difference to the others; null means that none was given."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not schema.keys() <= _INDEPENDENT:
        return {}
    return {
        name: declared["default"]
        for name, declared in properties.items()
        if isinstance(declared, Mapping)
        and declared.get("default") is not None
        and _is_of_type(declared["default"], declared.get("type"))
    }


def _is_of_type(value: object, declared: object) -> bool:
    names = declared if isinstance(declared, list) else [declared]
    kinds = [_KINDS.get(_PYTHON_TYPES.get(name, name)) for name in names if isinstance(name, str)]
    if not kinds or None in kinds:  # it is said in another way
        return True
    is_whole = isinstance(value, float) and value.is_integer() and int in kinds
    is_one = any(isinstance(value, kind) for kind in kinds if kind is not None)
    return (is_one or is_whole) and (bool in kinds or not isinstance(value, bool))


_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": (list, tuple),
    "object": Mapping,
    "null": type(None),
}


def schema_positions(root: Any) -> Iterator[tuple[Path | None, Schema]]:
    """Every subschema with its chain of property names; the chain is None where anything but
    ``properties`` was crossed on the way. Data (``enum``, ``default``, ...) is not entered."""
    pending: list[tuple[Path | None, Any]] = [((), root)]
    while pending:
        path, node = pending.pop()
        if not isinstance(node, dict):
            continue
        yield path, node
        for name, child in properties_of(node):
            pending.append(((*path, name) if path is not None else None, child))
        pending.extend((None, child) for child in applied(node))


def properties_of(node: Schema) -> Iterator[tuple[str, Any]]:
    """Subschemas under ``properties``, with their names."""
    properties = node.get("properties")
    if isinstance(properties, dict):
        yield from properties.items()


def applied(node: Schema) -> Iterator[Any]:
    """Subschemas under every keyword but ``properties``."""
    for keyword, value in node.items():
        if isinstance(value, dict):
            if keyword in _ONE:
                yield value
            elif keyword in _NAMED:
                yield from value.values()
        elif isinstance(value, list) and keyword in _MANY:
            yield from value
