"""The document of the gateway itself: its health, its lists, and a call in general. Pure.

It is what a tool can know before it knows a service; the functions of services are in the
documents of their own.
"""

from __future__ import annotations

from typing import Any, Final

from http_proxy.negotiation import Media
from http_proxy.openapi import asks
from http_proxy.openapi.answers import (
    MAYBE_TOKEN,
    SECURITY_SCHEMES,
    responses,
    shared_responses,
    shared_schemas,
)
from http_proxy.openapi.documents import VERSION, Document
from schema.services import Visibility

_ANY_BODY: Final[Document] = {
    "content": {media.value: {"schema": {}} for media in (Media.JSON, Media.MSGPACK)},
    "required": False,
}


def gateway_document(server: str, version: str) -> Document:
    """The routes that every gateway has, as paths below its base URL."""
    schemas = {**shared_schemas(), "Service": _service(), "Health": _health_schema()}
    schemas.update([asks.SCHEMA])
    service = {"$ref": "#/components/schemas/Service"}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Polyport",
            "version": version,
            "description": (
                "A service gateway. The functions of services are described at "
                "`/{workspace}/openapi.json` and `/{workspace}/services/{service}/openapi.json`."
            ),
        },
        "servers": [{"url": server}],
        "security": MAYBE_TOKEN,
        "tags": [{"name": name} for name in ("services", "asks", "documents", "health")],
        "paths": {
            "/{workspace}/services": _path(
                ["workspace"],
                _read(
                    "list_services",
                    "Services of a workspace",
                    {"type": "array", "items": service},
                    parameters=_paging(),
                ),
            ),
            "/{workspace}/services/{service}": _path(
                ["workspace", "service"],
                _read("get_service", "One service", service, parameters=[_mode()]),
            ),
            "/{workspace}/services/{service}/{function}": _path(
                ["workspace", "service", "function"], *_call()
            ),
            f"/{{workspace}}{asks.PATH}": _path(["workspace", "ask"], asks.path_item()),
            "/{workspace}/openapi.json": _path(
                ["workspace"], _document_of("describe_workspace", "The services of a workspace")
            ),
            "/{workspace}/services/{service}/openapi.json": _path(
                ["workspace", "service"], _document_of("describe_service", "One service")
            ),
            "/health/liveness": _health("is_alive", "Whether the server runs"),
            "/health/readiness": _health("is_ready", "Whether it takes new work"),
        },
        "components": {
            "schemas": schemas,
            "responses": dict([*shared_responses().items(), asks.RESPONSE]),
            "parameters": {
                "workspace": _in_path("workspace", "Name of a workspace."),
                "service": _in_path("service", "`service`, or `client:service` for one instance."),
                "function": _in_path("function", "Path in the service, with dots: `math.add`."),
                "ask": asks.parameter(),
            },
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _path(parameters: list[str], *operations: Document) -> Document:
    item: Document = {
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in parameters]
    }
    for operation in operations:
        item.update(operation)
    return item


def _in_path(name: str, description: str) -> Document:
    schema = {"type": "string"}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def _mode() -> Document:
    return {
        "name": "_mode",
        "in": "query",
        "description": "Which of several instances: `random`, `first`, `last`, ...",
        "schema": {"type": "string"},
    }


def _timeout() -> Document:
    return {
        "name": "_timeout",
        "in": "query",
        "description": "Seconds after which the answer is 504.",
        "schema": {"type": "number", "minimum": 0},
    }


def _paging() -> list[Document]:
    schemas: dict[str, Document] = {
        "limit": {"type": "integer", "minimum": 1},
        "cursor": {"type": "string"},
        "type": {"type": "string"},
        "visibility": {"enum": [known.value for known in Visibility]},
    }
    return [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()]


def _read(id: str, summary: str, schema: Any, parameters: list[Document] | None = None) -> Document:
    content = {media.value: {"schema": schema} for media in (Media.JSON, Media.MSGPACK)}
    success = {"description": summary, "content": content}
    operation = {
        "operationId": id,
        "summary": summary,
        "tags": ["services"],
        "responses": responses(has_body=False, success=success),
    }
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def _call() -> tuple[Document, Document]:
    arguments = {
        "name": "arguments",
        "in": "query",
        "description": "Arguments by name.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
    }
    get = {
        "operationId": "call_by_url",
        "summary": "Call a function with words and numbers, or read a constant",
        "tags": ["services"],
        "parameters": [_mode(), _timeout(), arguments],
        "responses": responses(has_body=False) | asks.ACCEPTED,
    }
    post = {
        "operationId": "call",
        "summary": "Call a function: an object names its arguments, an array lists them",
        "tags": ["services"],
        "parameters": [_mode(), _timeout()],
        "requestBody": _ANY_BODY,
        "responses": responses(has_body=True) | asks.ACCEPTED,
    }
    return {"get": get}, {"post": post}


def _document_of(id: str, summary: str) -> Document:
    success = {
        "description": "An OpenAPI document.",
        "content": {Media.JSON.value: {"schema": {"type": "object"}}},
        "headers": {"ETag": {"schema": {"type": "string"}}},
    }
    operation = {
        "operationId": id,
        "summary": summary,
        "tags": ["documents"],
        "responses": {
            **responses(has_body=False, success=success),
            "304": {"description": "As `If-None-Match` says, it has not changed."},
        },
    }
    return {"get": operation}


def _health(id: str, summary: str) -> Document:
    content = {Media.JSON.value: {"schema": {"$ref": "#/components/schemas/Health"}}}
    told = {"description": summary, "content": content}
    operation = {
        "operationId": id,
        "summary": summary,
        "tags": ["health"],
        "security": [],
        "responses": {"200": told, "503": told},
    }
    return {"get": operation}


def _health_schema() -> Document:
    return {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"type": "string", "examples": ["OK", "DOWN"]}, "detail": {}},
    }


def _service() -> Document:
    text = {"type": "string"}
    maybe_text = {"type": ["string", "null"]}
    properties = {
        "id": text,
        "name": text,
        "type": text,
        "description": maybe_text,
        "docs": {},
        "app_id": text,
        "service_schema": {"type": "object"},
        "config": {"type": "object"},
    }
    required = ["id", "name", "type", "service_schema", "config"]
    return {"type": "object", "required": required, "properties": properties}
