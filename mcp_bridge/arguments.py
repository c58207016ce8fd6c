"""Arguments of a call against the schema of a tool: check, mend what models commonly get wrong,
explain the rest. Pure; one ``ArgumentCheck`` is compiled per tool and kept.

What is not given gets the default that its schema names, for functions that have none of their own.
The function itself is the last judge: nothing else is added, and no unknown argument taken away.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import jsonschema_rs
import orjson

from mcp_bridge.schemas import Cost, Refused
from mcp_bridge.text import cut
from schema.integers import has_wide_integer
from schema.parameters import Schema, defaults_of

MAX_PROBLEMS: Final = 5
_MAX_DETAIL: Final = 20_000
"""Nodes of the arguments times subschemas up to which the validator lists its errors. It makes
all of them, with all branches, before it gives the first."""
_MAX_CHECKED: Final = 20_000_000
"""Bytes of the arguments times subschemas up to which they are checked at all (some 0.2 s)."""
_BACKTRACK_LIMIT: Final = 10_000
"""Only patterns with look-around or back-references backtrack; the others run in linear time."""
_PATTERN_BYTES: Final = 256 * 1024
"""Of a compiled pattern: ``(a{300}){300}`` is short to send and takes long to compile."""
_MAX_MESSAGE: Final = 200
_MAX_EXPECTED: Final = 1_500

Location = Sequence[str | int]
_KEPT = frozenset(
    {
        "$defs",
        "$schema",
        "additionalProperties",
        "definitions",
        "patternProperties",
        "properties",
        "type",
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the arguments, in a form that a model can act on."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def _validator(schema: Schema) -> jsonschema_rs.Validator:
    # The format keyword is left unchecked, as JSON Schema 2020-12 has it by default.
    options = jsonschema_rs.FancyRegexOptions(_BACKTRACK_LIMIT, _PATTERN_BYTES)
    return jsonschema_rs.validator_for(schema, offline=True, pattern_options=options)


def compiled(schema: Schema) -> jsonschema_rs.Validator:
    """The validator of a schema. Raises Refused if it is not a valid one."""
    try:
        return _validator(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise Refused(str(getattr(error, "message", error)).partition("\n")[0]) from None


class ArgumentCheck:
    """The compiled schema of one tool. Raises Refused if it does not compile."""

    def __init__(self, schema: Schema, cost: Cost) -> None:
        self._schema = schema
        self._cost = cost
        self._validator = compiled(schema)

    def fill_in(self, arguments: dict[str, Any]) -> None:
        """Give what is missing the default of its schema."""
        for name, value in self._defaults.items():
            if name not in arguments:
                arguments[name] = copy.deepcopy(value)

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        """Those that fit their schemas."""
        found = defaults_of(self._schema)
        return {n: v for n, v in found.items() if _is_valid(self._each, {n: v})} if found else {}

    def problems(self, arguments: dict[str, Any], size: int) -> list[Problem]:
        """What is wrong with the arguments, at most five; empty if they fit or fit after mending.

        ``size`` is the length of the message they came in. Mending changes ``arguments`` in
        place: strings that hold the number, boolean, object or array the schema asks for, and null
        where it does not.
        """
        if size * self._cost.expanded > _MAX_CHECKED or _is_valid(self._validator, arguments):
            return []
        if self._drop_nulls(arguments) and _is_valid(self._validator, arguments):
            return []
        for _ in range(2):  # an object written as a string may itself hold such strings
            if not self._mend(arguments):
                break
            if _is_valid(self._validator, arguments):
                return []
        return self._explain(arguments)

    @property
    def expected(self) -> str:
        """The arguments the schema asks for, short enough for an error message."""
        required = self._schema.get("required", ())
        shape = {
            name: _expectation(declared, name in required)
            for name, declared in self._schema["properties"].items()
        }
        return cut(orjson.dumps(shape).decode(), _MAX_EXPECTED)

    def _drop_nulls(self, arguments: dict[str, Any]) -> bool:
        """Take away null where something else is wanted: models write it for "not given", and the
        strict form of a schema asks them to. True if any was taken."""
        if not self._is_affordable(arguments):
            return False
        errors = list(self._validator.iter_errors(arguments))
        paths = {tuple(e.instance_path) for e in errors if e.instance is None and e.instance_path}
        changed = False
        for *above, last in paths:
            parent: Any = arguments
            for step in above:
                parent = parent[step]
            if isinstance(parent, dict):
                changed = parent.pop(str(last), 0) is None or changed
        return changed

    def _mend(self, arguments: dict[str, Any]) -> bool:
        """Replace strings that are JSON of a wanted type; True if any was replaced."""
        changed = False
        for path, wanted in self._suspects(arguments):
            parent: Any = arguments
            for step in path[:-1]:
                parent = parent[step]
            value = _parsed(parent[path[-1]])
            if value is not None and (wanted is None or _type_of(value) & wanted):
                parent[path[-1]] = value
                changed = True
        return changed

    def _suspects(self, arguments: dict[str, Any]) -> list[tuple[Location, set[str] | None]]:
        """Places of strings that do not fit, with the types that would (None: not known)."""
        if self._is_affordable(arguments):
            return [
                (error.instance_path, wanted)
                for error in self._validator.iter_errors(arguments)
                if isinstance(error.instance, str)
                and error.instance_path
                and (wanted := _wanted(error))
            ]
        return [
            ([name], None)
            for name, value in arguments.items()
            if isinstance(value, str)
            and not _is_valid(self._each, {name: value})
            and _is_valid(self._each, {name: _parsed(value)})
        ]

    def _explain(self, arguments: dict[str, Any]) -> list[Problem]:
        if self._is_affordable(arguments):
            errors = self._validator.iter_errors(arguments)
            return [
                Problem(_dotted(error.instance_path), cut(error.message, _MAX_MESSAGE))
                for _, error in zip(range(MAX_PROBLEMS), errors, strict=False)
            ]
        missing = [
            Problem("(root)", f'"{name}" is a required property')
            for name in self._schema.get("required", ())
            if name not in arguments
        ]
        unfit = (
            Problem(name, "does not fit its schema")
            for name, value in arguments.items()
            if not _is_valid(self._each, {name: value})
        )
        found = [
            *missing,
            *(problem for _, problem in zip(range(MAX_PROBLEMS), unfit, strict=False)),
        ]
        return found[:MAX_PROBLEMS] or [Problem("(root)", "the arguments do not fit the schema")]

    def _is_affordable(self, arguments: Mapping[str, Any]) -> bool:
        if self._cost.is_recursive:
            return False
        return _is_smaller(arguments, _MAX_DETAIL // self._cost.expanded)

    @cached_property
    def _each(self) -> jsonschema_rs.Validator:
        """A validator for one argument alone: what the root says of them together is left out."""
        return _validator({key: value for key, value in self._schema.items() if key in _KEPT})


def _is_valid(validator: jsonschema_rs.Validator, instance: Any) -> bool:
    try:
        return validator.is_valid(instance)
    except ValueError:  # nested deeper than the validator follows
        return False


def _is_smaller(value: Any, limit: int) -> bool:
    """True if a JSON value has fewer than ``limit`` nodes; stops counting there."""
    pending, count = [value], 0
    while pending:
        node = pending.pop()
        count += 1
        if count >= limit:
            return False
        if isinstance(node, dict):
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return True


def _wanted(error: jsonschema_rs.ValidationError) -> set[str]:
    """The types that would have been accepted where a string was found."""
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Type):
        return set(kind.types)
    if isinstance(
        kind,
        jsonschema_rs.ValidationErrorKind.AnyOf | jsonschema_rs.ValidationErrorKind.OneOfNotValid,
    ):
        return {
            wanted
            for branch in kind.context
            for nested in branch
            if nested.instance_path == error.instance_path
            for wanted in _wanted(nested)
        }
    return set()


def _parsed(text: str) -> Any:
    """The number, boolean, object or array that a string spells, or None."""
    if text in ("True", "False"):  # how Python, and models that think in it, write them
        return text == "True"
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if has_wide_integer(text.encode()):
        return None  # it would change its value
    return None if isinstance(value, str) else value


def _type_of(value: Any) -> set[str]:
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    if isinstance(value, float):
        return {"integer", "number"} if value.is_integer() else {"number"}
    return {"object"} if isinstance(value, dict) else {"array"}


def _expectation(declared: Any, is_required: bool) -> str:
    """One argument in words: ``integer, required``."""
    if not isinstance(declared, dict):
        declared = {}
    type_ = declared.get("type")
    if isinstance(type_, list):
        type_ = " or ".join(map(str, type_))
    if type_ is None and isinstance(branches := declared.get("anyOf", declared.get("oneOf")), list):
        type_ = " or ".join(str(b.get("type", "any")) for b in branches if isinstance(b, dict))
    words = [str(type_ or "any")]
    if isinstance(choices := declared.get("enum"), list):
        words.append(cut("one of " + ", ".join(map(str, choices[:20])), _MAX_MESSAGE))
    words.append("required" if is_required else "optional")
    return ", ".join(words)


def _dotted(path: Iterable[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "(root)"
