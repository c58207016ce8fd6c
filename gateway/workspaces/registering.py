"""What a client says when it registers a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.registry.sharing import SchemaPool
from gateway.wire.plain import check_plain
from schema.access import declared_rules, without_rules
from schema.errors import InvalidRequest
from schema.identity import Caller
from schema.ids import ANY, parse_registration_id
from schema.services import MAX_DESCRIPTION, ServiceInfo, parse_visibility

MAX_SERVICE_BYTES: Final = 2 * 1024 * 1024
"""Size of what is registered of one service; lists repeat it to everybody."""

_LOCAL_ONLY_PREFIX: Final = "_rintf_"


def read_registration(
    service: Mapping[str, Any], caller: Caller, schemas: SchemaPool
) -> ServiceInfo:
    """The registry entry that a client asks for. Raises InvalidRequest,
    LimitExceeded."""
    sid = parse_registration_id(service.get("id"), caller.workspace)
    config = service.get("config") or {}
    if not isinstance(config, dict):
        raise InvalidRequest("A service's config must be a map")
    description = service.get("description")
    if isinstance(description, str) and len(description) > MAX_DESCRIPTION:
        description = description[: MAX_DESCRIPTION - 1] + "…"
    app_id = service.get("app_id") or ANY
    if not isinstance(app_id, str) or (app_id != ANY and any(c in app_id for c in "/:@* ")):
        raise InvalidRequest(f"Invalid app id: {app_id!r}")
    schema = service.get("service_schema")
    schema = schema if isinstance(schema, dict) else {}
    size = check_plain(service, "service", MAX_SERVICE_BYTES)
    access = declared_rules(config, schema)
    if access:
        schema = without_rules(schema)
    return ServiceInfo(
        id=sid,
        name=_text_or(service.get("name"), sid.service_id),
        type=_text_or(service.get("type"), "generic"),
        description=description if isinstance(description, str) else None,
        docs=service.get("docs"),
        app_id=app_id,
        visibility=parse_visibility(config),
        service_schema=schemas.shared(schema) if schema else {},
        access=access,
        config=config,
        owner=caller.user,
        size_bytes=size,
    )


def is_local_only(service: Mapping[str, Any]) -> bool:
    """Whether a registration is about something that its client keeps to itself."""
    config = service.get("config")
    return service_name(service).startswith(_LOCAL_ONLY_PREFIX) or bool(
        isinstance(config, dict) and config.get("_local_only")
    )


def service_name(service: Mapping[str, Any]) -> str:
    """The last part of the id in a registration, which may be none."""
    return str(service.get("id")).rpartition(":")[2]


def _text_or(value: object, default: str) -> str:
    return value if isinstance(value, str) and value else default
