"""A document of Swagger 2.0 as one of OpenAPI 3.0. Pure.

What it refers to stays where it is (``#/definitions/...``), so references need no change: only what
version 3 says in another way is said anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_NO_SCHEMA: Final = frozenset(
    {"name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "schema"}
)
_STYLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "multi": {"style": "form", "explode": True},
    "ssv": {"style": "spaceDelimited", "explode": False},
    "pipes": {"style": "pipeDelimited", "explode": False},
}
_LIST: Final = {"style": "form", "explode": False}
"""``csv``, which is the usual one."""


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """The document in the form of version 3.0."""
    kept = {key: value for key, value in content.items() if key not in ("swagger", "paths")}
    paths = content.get("paths")
    return {
        **kept,
        "openapi": "3.0.3",
        "servers": [{"url": url} for url in _servers(content)],
        "paths": {
            path: _item(content, item) if isinstance(item, Mapping) else item
            for path, item in (paths if isinstance(paths, Mapping) else {}).items()
        },
    }


def _servers(content: Mapping[str, Any]) -> Iterator[str]:
    base = content.get("basePath")
    path = base if isinstance(base, str) and base.startswith("/") else "/"
    host, schemes = content.get("host"), content.get("schemes")
    if not isinstance(host, str) or not host:
        yield path
        return
    # The safer one first, whatever the order.
    for scheme in ("https", "http"):
        if isinstance(schemes, list) and scheme in schemes:
            yield f"{scheme}://{host}{path}"
    if not isinstance(schemes, list) or not schemes:
        yield f"//{host}{path}"  # that of the document


def _item(content: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    shared = _parameters(content, item)
    return {
        key: _operation(content, value, shared)
        if key in METHODS and isinstance(value, Mapping)
        else value
        for key, value in item.items()
        if key != "parameters"
    }


def _operation(
    content: Mapping[str, Any], operation: Mapping[str, Any], shared: list[Mapping[str, Any]]
) -> dict[str, Any]:
    own = _parameters(content, operation)
    named = {(each.get("name"), each.get("in")) for each in own}
    given = [p for p in shared if (p.get("name"), p.get("in")) not in named] + own
    consumes = operation.get("consumes", content.get("consumes"))
    media_types = [m for m in consumes if isinstance(m, str)] if isinstance(consumes, list) else []
    made: dict[str, Any] = {
        **operation,
        "parameters": [_parameter(p) for p in given if p.get("in") not in ("body", "formData")],
    }
    body = next((p for p in given if p.get("in") == "body"), None)
    form = [p for p in given if p.get("in") == "formData"]
    if body is not None:
        media_type = _JSON if not media_types or _JSON in media_types else media_types[0]
        schema = {"schema": body.get("schema", {})}
        required = body.get("required") is True
        made["requestBody"] = {"required": required, "content": {media_type: schema}}
    elif form:
        made["requestBody"] = _form(form, media_types)
    return made


def _parameters(content: Mapping[str, Any], holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of a path or an operation, in place of references to them."""
    listed, shared = holder.get("parameters"), content.get("parameters")
    found = []
    for parameter in listed if isinstance(listed, list) else ():
        reference = parameter.get("$ref") if isinstance(parameter, Mapping) else None
        if isinstance(reference, str) and isinstance(shared, Mapping):
            parameter = shared.get(reference.removeprefix("#/parameters/"), parameter)
        if isinstance(parameter, Mapping):
            found.append(parameter)
    return found


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in parameter:
        return dict(parameter)
    made = {key: parameter[key] for key in ("name", "in", "required") if key in parameter}
    schema = _schema(parameter)
    if schema.get("type") == "array" and parameter.get("in") == "query":
        made |= _STYLES.get(str(parameter.get("collectionFormat")), _LIST)
    if "description" in parameter:
        made["description"] = parameter["description"]
    return {**made, "schema": schema}


def _schema(parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in parameter.items() if key not in _NO_SCHEMA}
    if schema.get("type") == "file":
        schema |= {"type": "string", "format": "binary"}
    return schema


def _form(parameters: list[Mapping[str, Any]], media_types: list[str]) -> dict[str, Any]:
    has_file = any(parameter.get("type") == "file" for parameter in parameters)
    is_multipart = has_file or (_MULTIPART in media_types and _FORM not in media_types)
    properties = {}
    for parameter in parameters:
        schema = _schema(parameter)
        if "description" in parameter:
            schema["description"] = parameter["description"]
        properties[str(parameter.get("name"))] = schema
    required = [str(p.get("name")) for p in parameters if p.get("required") is True]
    schema = {"type": "object", "properties": properties, "required": required}
    media_type = _MULTIPART if is_multipart else _FORM
    return {"required": bool(required), "content": {media_type: {"schema": schema}}}
