"""The operations of an OpenAPI document as functions: what each takes, and where that goes. Pure.

Everything that an operation takes is an argument by its own name: parameters in the path, the
query, headers and cookies, and the members of a body that is an object. Where two would be called
alike the later one also says where it goes (``id`` and ``id_body``), so no two are mixed up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from gateway.upstreams.openapi.document import BadDocument, Document
from gateway.upstreams.openapi.schemas import Schemas, required_of

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_OPERATIONS: Final = 2_000
MAX_DESCRIPTION: Final = 2_000

BODY: Final = "body"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

_NO_WORD: Final = re.compile(r"[^A-Za-z0-9]+")
_PLACES: Final = ("path", "query", "header", "cookie")
_NOT_ARGUMENTS: Final = frozenset({"accept", "content-type", "authorization"})
"""Headers that are no parameters (OpenAPI 3.1.1, section 4.8.12.2)."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument, and where it goes."""

    name: str
    place: str
    """``path``, ``query``, ``header``, ``cookie`` or ``body``."""
    wire_name: str
    """What it is called there; empty for a whole body."""
    schema: Any
    required: bool = False
    style: str = ""
    explode: bool = False
    is_json: bool = False
    """It travels as JSON text (``content`` in place of ``schema``)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    name: str
    method: str
    path: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    media_type: str | None = None
    """Of the body."""
    definitions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What people know it by."""
        return f"{self.method.upper()} {self.path}"

    def tool(self) -> dict[str, Any]:
        """The operation in the form in which an MCP server lists a tool."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {argument.name: argument.schema for argument in self.arguments},
        }
        required = [argument.name for argument in self.arguments if argument.required]
        if required:
            schema["required"] = required
        if self.definitions:
            schema["$defs"] = dict(self.definitions)
        tool = {
            "name": self.name,
            "description": self.description or self.label,
            "inputSchema": schema,
            "annotations": hints_of(self.method),
        }
        if self.title:
            tool["title"] = self.title
        return tool


def hints_of(method: str) -> dict[str, bool]:
    """What the semantics of a method promise (RFC 9110, sections 9.2.1 and 9.2.2)."""
    hints = {"readOnlyHint": method in ("get", "head", "options", "trace"), "openWorldHint": True}
    if not hints["readOnlyHint"]:
        hints["destructiveHint"] = method == "delete"
    hints["idempotentHint"] = hints["readOnlyHint"] or method in ("put", "delete")
    return hints


def operations(
    document: Document,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    configured: Collection[str] = (),
) -> tuple[list[Operation], dict[str, str]]:
    """The operations that patterns choose, and why others cannot be offered, by ``METHOD /path``.
    ``configured`` are names of headers that are sent anyway, and so are no arguments.

    Raises BadDocument.
    """
    raw = list(_raw(document))
    wanted = [_declared_name(op) or _plain_name(method, path) for method, path, _, op in raw]
    counted = Counter(wanted)
    found: list[Operation] = []
    omitted: dict[str, str] = {}
    for name, (method, path, item, operation) in zip(wanted, raw, strict=True):
        label = f"{method.upper()} {path}"
        if not _is_chosen(name, label, include, exclude):
            continue
        distinct = name if counted[name] == 1 else f"{name} {label}"
        try:
            made = _operation(document, distinct, method, path, item, operation)
            found.append(_without_headers(made, configured))
        except BadDocument as error:
            omitted[label] = error.message
    if len(found) > MAX_OPERATIONS:
        raise BadDocument(
            f"The document has {len(found)} operations, more than {MAX_OPERATIONS}: choose with "
            "'include'"
        )
    return found, omitted


def _without_headers(operation: Operation, names: Collection[str]) -> Operation:
    sent = {name.lower() for name in names}
    kept = [
        argument
        for argument in operation.arguments
        if not (argument.place == "header" and argument.wire_name.lower() in sent)
    ]
    return replace(operation, arguments=tuple(kept))


def _raw(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    paths = document.content.get("paths")
    for path, node in (paths if isinstance(paths, Mapping) else {}).items():
        item = document.resolve(node)
        if not isinstance(item, Mapping) or not str(path).startswith("/"):
            continue
        for method in METHODS:
            operation = item.get(method)
            if isinstance(operation, Mapping):
                yield method, str(path), item, operation


def _declared_name(operation: Mapping[str, Any]) -> str:
    name = operation.get("operationId")
    return name.strip() if isinstance(name, str) else ""


def _plain_name(method: str, path: str) -> str:
    return _NO_WORD.sub("_", f"{method}_{path}").strip("_")


def _is_chosen(name: str, label: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    def fits(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(name, p) or fnmatchcase(label, p) for p in patterns)

    return (not include or fits(include)) and not fits(exclude)


def _operation(
    document: Document,
    name: str,
    method: str,
    path: str,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
) -> Operation:
    schemas = Schemas(document)
    naming = _Naming()
    arguments = [
        naming.named(argument) for argument in _parameters(document, schemas, item, operation)
    ]
    media_type, body = _body(document, schemas, operation)
    arguments += [naming.named(argument) for argument in body]
    summary, text = operation.get("summary"), operation.get("description")
    texts = [t.strip() for t in (summary, text) if isinstance(t, str) and t.strip()]
    return Operation(
        name=name,
        method=method,
        path=path,
        title=summary.strip() if isinstance(summary, str) else "",
        description="\n\n".join(dict.fromkeys(texts))[:MAX_DESCRIPTION],
        arguments=tuple(arguments),
        media_type=media_type,
        definitions=schemas.definitions,
    )


class _Naming:
    """Gives every argument a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def named(self, argument: Argument) -> Argument:
        name, count = argument.name, 1
        while name in self._taken:
            suffix = argument.place if count == 1 else f"{argument.place}_{count}"
            name = f"{argument.name}_{suffix}"
            count += 1
        self._taken.add(name)
        if name == argument.name:
            return argument
        return replace(argument, name=name)


def _parameters(
    document: Document, schemas: Schemas, item: Mapping[str, Any], operation: Mapping[str, Any]
) -> list[Argument]:
    """Those of the path item, replaced by those of the operation (section 4.8.10)."""
    found: dict[tuple[str, str], Argument] = {}
    for node in [*(item.get("parameters") or []), *(operation.get("parameters") or [])]:
        parameter = document.resolve(node)
        if not isinstance(parameter, Mapping):
            continue
        name, place = str(parameter.get("name", "")), parameter.get("in")
        if place not in _PLACES or not name:
            continue
        if place == "header" and name.lower() in _NOT_ARGUMENTS:
            continue
        found[name, place] = _parameter(schemas, name, place, parameter)
    return sorted(found.values(), key=lambda argument: _PLACES.index(argument.place))


def _parameter(schemas: Schemas, name: str, place: str, parameter: Mapping[str, Any]) -> Argument:
    content = parameter.get("content")
    first = next(iter(content.values()), None) if isinstance(content, Mapping) else None
    is_json = isinstance(first, Mapping)
    raw = first.get("schema") if isinstance(first, Mapping) else parameter.get("schema")
    schema = schemas.convert(raw if raw is not None else {})
    if isinstance(parameter.get("description"), str) and isinstance(schema, dict):
        schema = {**schema, "description": parameter["description"]}
    style = parameter.get("style") or ("form" if place in ("query", "cookie") else "simple")
    explode = parameter.get("explode")
    return Argument(
        name=name,
        place=place,
        wire_name=name,
        schema=schema,
        required=place == "path" or parameter.get("required") is True,
        style=str(style),
        explode=style == "form" if explode is None else explode is True,
        is_json=is_json,
    )


def _body(
    document: Document, schemas: Schemas, operation: Mapping[str, Any]
) -> tuple[str | None, list[Argument]]:
    request = document.resolve(operation.get("requestBody"))
    content = request.get("content") if isinstance(request, Mapping) else None
    if not isinstance(content, Mapping) or not content:
        return None, []
    media_type = _media_type(list(content))
    raw = content[media_type]
    raw = raw.get("schema") if isinstance(raw, Mapping) else None
    required = request.get("required") is True
    target = document.resolve(raw) if isinstance(raw, Mapping) else {}
    converted = schemas.convert(target)
    if _is_plain_object(converted) and is_structured(media_type):
        must = required_of(converted) if required else []
        members = [
            Argument(name, BODY, name, member, required=name in must)
            for name, member in converted["properties"].items()
        ]
        return media_type, members
    schema = schemas.convert(raw) if isinstance(raw, Mapping) else {}
    return media_type, [Argument(BODY, BODY, "", schema, required=required)]


def is_structured(media_type: str) -> bool:
    """Whether a body of this type consists of members with names."""
    plain = media_type.partition(";")[0].strip().lower()
    return is_json_type(plain) or plain in (FORM, MULTIPART)


def is_json_type(media_type: str) -> bool:
    """JSON, or a type that is written in it (RFC 6839, section 3.1)."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain == JSON or plain.endswith("+json")


def _media_type(offered: list[str]) -> str:
    for wanted in (is_json_type, lambda t: t.startswith(FORM), lambda t: t.startswith(MULTIPART)):
        for media_type in offered:
            if wanted(media_type):
                return media_type
    return offered[0]


def _is_plain_object(schema: Any) -> bool:
    return (
        isinstance(schema, dict)
        and schema.get("type", "object") == "object"
        and isinstance(schema.get("properties"), dict)
        and bool(schema["properties"])
        and not any(key in schema for key in ("allOf", "anyOf", "oneOf", "not", "if"))
    )
