"""Whole documents: for a service, and for what a caller sees of a workspace. Pure.

The paths of a document are below its server, so that what is generated from the document of a
service works in every workspace that has it, with another address to start from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from http_proxy.openapi import asks
from http_proxy.openapi.answers import (
    MAYBE_TOKEN,
    SECURITY_SCHEMES,
    TOKEN,
    shared_responses,
    shared_schemas,
)
from http_proxy.openapi.components import Components
from http_proxy.openapi.operations import MAX_DESCRIPTION, Operations, cleaned
from schema.services import ServiceInfo, Visibility

Document = dict[str, Any]

VERSION: Final = "3.1.0"
_CALLING: Final = (
    "Every function can be called by POST with its arguments in the body, as JSON or msgpack, and "
    "by GET with single words and numbers. In a URL, a text of digits stands for the number; send "
    "it in a body where that matters."
)


def service_document(service: ServiceInfo, server: str) -> Document:
    """The functions of one service, as paths below its own URL."""
    may_ask = asks.may_ask([service])
    components = _components(may_ask=may_ask)
    tag = cleaned(service.name)
    operations = Operations(components)
    items = operations.items(service.functions.values(), prefix="", id_prefix="", tag=tag)
    paths = dict(items)
    docs = service.docs if isinstance(service.docs, str) else None
    version = service.config.get("version")
    return _document(
        _info(tag, version, service.description, docs, _left_out(operations)),
        server=server,
        tags=[_tag(tag, service)],
        security=_security(service),
        paths=paths,
        components=components,
        may_ask=may_ask,
    )


def workspace_document(workspace: str, services: Sequence[ServiceInfo], server: str) -> Document:
    """The functions of several services of a workspace, as paths below its URL."""
    may_ask = asks.may_ask(services)
    components = _components(may_ask=may_ask)
    operations = Operations(components)
    paths: dict[str, Any] = {}
    tags: list[Document] = []
    for address, service in addressed(services):
        tags.append(_tag(address, service))
        prefix = f"/services/{quote(address, safe=':@')}"
        functions = service.functions.values()
        for path, item in operations.items(
            functions, prefix=prefix, id_prefix=f"{address}_", tag=address
        ):
            for operation in item.values():
                operation["security"] = _security(service)
            paths[path] = item
    if may_ask:
        item = asks.path_item(operations.ids.take)
        paths[asks.PATH] = {"parameters": [asks.parameter()], **item}
        tags.append({"name": "asks"})
    return _document(
        _info(
            f"Services of {workspace}",
            None,
            f"The services of the workspace `{workspace}` that you may see.",
            _left_out(operations),
        ),
        server=server,
        tags=tags,
        security=MAYBE_TOKEN,
        paths=paths,
        components=components,
        may_ask=may_ask,
    )


def addressed(services: Sequence[ServiceInfo]) -> list[tuple[str, ServiceInfo]]:
    """Services with what to call them by in a URL: their id alone where that is enough, else with
    the client in front."""
    counted = Counter(service.id.service_id for service in services)
    return [
        (
            cleaned(
                s.id.service_id
                if counted[s.id.service_id] == 1
                else f"{s.id.client_id}:{s.id.service_id}"
            ),
            s,
        )
        for s in services
    ]


def _components(*, may_ask: bool) -> Components:
    """Those that a document begins with."""
    return Components(dict([*shared_schemas().items(), *([asks.SCHEMA] if may_ask else [])]))


def _left_out(operations: Operations) -> str | None:
    number = max(0, -operations.left)
    return f"{number} more functions are not described here." if number else None


def _info(title: str, version: object, *about: str | None) -> Document:
    return {
        "title": title,
        "version": cleaned(version) if version and isinstance(version, str) else "unversioned",
        "description": "\n\n".join(cleaned(text) for text in (*about, _CALLING) if text),
    }


def _document(
    info: Document,
    *,
    server: str,
    tags: list[Document],
    security: list[Document],
    paths: Document,
    components: Components,
    may_ask: bool,
) -> Document:
    return {
        "openapi": VERSION,
        "info": info,
        "servers": [{"url": server}],
        "security": security,
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": dict([*shared_responses().items(), *([asks.RESPONSE] if may_ask else [])]),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _tag(name: str, service: ServiceInfo) -> Document:
    tag: Document = {"name": name}
    if service.description:
        tag["description"] = cleaned(service.description)[:MAX_DESCRIPTION]
    return tag


def _security(service: ServiceInfo) -> list[Document]:
    return TOKEN if service.visibility is Visibility.PROTECTED else MAYBE_TOKEN
