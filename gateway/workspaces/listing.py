"""What a list of services is asked for: its query, in the forms that clients give it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schema.errors import InvalidRequest
from schema.identity import ANY_WORKSPACE
from schema.ids import ANY
from schema.services import ServiceInfo, Visibility

_KEYS: Final = frozenset(
    {"visibility", "workspace", "client_id", "service_id", "id", "type", "app_id"}
)
_PATTERN: Final = re.compile(r"[a-zA-Z0-9\-_/|*.~]*")


@dataclass(frozen=True, slots=True)
class ServiceFilter:
    """Which services are wanted: those of a workspace (``*``: of all), with fields of these
    values."""

    workspace: str
    fields: Mapping[str, str]

    @classmethod
    def read(cls, query: object, workspace: str) -> ServiceFilter:
        """A query in the workspace of its caller: a map of fields, or a text such as
        ``workspace/client:service``. Raises InvalidRequest."""
        fields = _read(query, workspace)
        return cls(fields.pop("workspace", workspace), fields)

    @property
    def wants_all_protected(self) -> bool:
        """Whether it asks for services that are not public, wherever they are."""
        public = Visibility.PUBLIC.value
        return self.workspace == ANY_WORKSPACE and self.fields.get("visibility", public) != public

    def matches(self, service: ServiceInfo) -> bool:
        """Whether a service of the workspace is wanted."""
        actual = {
            "visibility": service.visibility.value,
            "client_id": service.id.client_id,
            "service_id": service.id.service_id,
            "type": service.type,
            "app_id": service.app_id,
        }
        return all(value in (ANY, actual[key]) for key, value in self.fields.items())


def _read(query: object, workspace: str) -> dict[str, str]:
    if query is None:
        return {}
    if isinstance(query, str):
        return _read_text(query, workspace)
    if not isinstance(query, Mapping):
        raise InvalidRequest("A query is a map or a text")
    return _read_map(query)


def _read_map(query: Mapping[str, Any]) -> dict[str, str]:
    unknown = set(query) - _KEYS
    if unknown:
        raise InvalidRequest(f"Invalid query keys: {unknown}")
    if "id" in query and "service_id" in query:
        raise InvalidRequest("Use either 'id' or 'service_id' in a query, not both")
    wanted: dict[str, str] = {}
    for key, value in query.items():
        if value is None:
            continue
        if not isinstance(value, str) or not _PATTERN.fullmatch(value):
            raise InvalidRequest(f"Invalid query value for {key!r}: {value!r}")
        wanted["service_id" if key == "id" else key] = value
    return wanted


def _read_text(text: str, workspace: str) -> dict[str, str]:
    if "/" not in text and ":" not in text:
        return {"workspace": text}
    wanted: dict[str, str] = {}
    rest = text
    if "/" in rest:
        target, _, rest = rest.partition("/")
        if target == ANY_WORKSPACE:
            wanted["visibility"] = Visibility.PUBLIC.value
            target = workspace
        wanted["workspace"] = target
    client, colon, service = rest.rpartition(":")
    if colon and client != ANY:
        wanted["client_id"] = client
    if service != ANY:
        wanted["service_id"] = service.partition("@")[0]
    for value in wanted.values():
        if not _PATTERN.fullmatch(value):
            raise InvalidRequest(f"Invalid query: {text!r}")
    return wanted
