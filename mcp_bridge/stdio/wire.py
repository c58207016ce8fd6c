"""Bytes and headers of the relay, and the answers that need no server. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mcp_bridge.errors import INTERNAL_ERROR
from mcp_bridge.headers import encoded
from mcp_bridge.ladder import NAMED_BY
from mcp_bridge.param_headers import ParamHeader
from mcp_bridge.revisions import (
    CLIENT_CAPABILITIES_KEY,
    CLIENT_INFO_KEY,
    LOG_LEVEL_KEY,
    MODERN,
    PROTOCOL_VERSION_KEY,
    SERVER_INFO_KEY,
    negotiate,
)
from schema.integers import exactly

Message = dict[str, Any]

SERVER_INFO: Final = {"name": "polyport-stdio", "version": "1"}
INTRODUCED: Final[Mapping[str, Any]] = {"tools": {}, "prompts": {}, "resources": {}}
"""What a server may offer of which nothing is known yet: clients ask this once."""

STATELESS_ONLY: Final = ("resultType", "ttlMs", "cacheScope")
"""Keys of results that clients of the handshake era do not know."""


def meta_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """``params._meta`` of a message, or nothing."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def is_stateless(message: Mapping[str, Any]) -> bool:
    """Whether a request says itself which version it is in, and so belongs to no session."""
    return PROTOCOL_VERSION_KEY in meta_of(message) or message.get("method") == "server/discover"


def routing_headers(
    message: Mapping[str, Any], mirrored: Mapping[str, tuple[ParamHeader, ...]]
) -> dict[str, str]:
    """The headers of a stateless request, which repeat what its body says (revision 2026-07-28,
    Streamable HTTP). ``mirrored`` has the annotated arguments of each known tool."""
    method, params = message["method"], message.get("params") or {}
    version = meta_of(message).get(PROTOCOL_VERSION_KEY, next(iter(MODERN)))
    headers = {"mcp-protocol-version": encoded(str(version)), "mcp-method": encoded(method)}
    name = params.get(NAMED_BY.get(method, ""))
    if isinstance(name, str):
        headers["mcp-name"] = encoded(name)
        arguments = params.get("arguments")
        if method == "tools/call" and isinstance(arguments, dict):
            for parameter in mirrored.get(name, ()):
                text = parameter.text(arguments)
                if text is not None:
                    headers[parameter.header.decode()] = text
    return headers


def error(request_id: Any, text: str, code: int = INTERNAL_ERROR) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": text}}


def completed(request_id: Any, result: Message) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def introduction(message: Mapping[str, Any]) -> Message:
    """The answer to a first request while the endpoint cannot be reached: enough for the client to
    go on, so that its user sees the reason with the next request."""
    if message["method"] == "initialize":
        asked = (message.get("params") or {}).get("protocolVersion")
        revision = negotiate(asked if isinstance(asked, str) else "")
        return {
            "protocolVersion": revision.name,
            "capabilities": INTRODUCED,
            "serverInfo": SERVER_INFO,
        }
    return {
        "supportedVersions": list(MODERN),
        "capabilities": INTRODUCED,
        "ttlMs": 0,
        "cacheScope": "private",
        "resultType": "complete",
        "_meta": {SERVER_INFO_KEY: SERVER_INFO},
    }


def enveloped(message: Message, opening: Mapping[str, Any], log_level: str | None) -> Message:
    """A request of the handshake era as a stateless one, with what ``initialize`` had said."""
    meta = {
        PROTOCOL_VERSION_KEY: next(iter(MODERN)),
        CLIENT_CAPABILITIES_KEY: opening.get("capabilities") or {},
        **meta_of(message),
    }
    if "clientInfo" in opening:
        meta[CLIENT_INFO_KEY] = opening["clientInfo"]
    if log_level is not None:
        meta[LOG_LEVEL_KEY] = log_level
    return {**message, "params": {**(message.get("params") or {}), "_meta": meta}}


def without_envelope(result: Mapping[str, Any]) -> Message:
    """A result of a stateless request as one of the handshake era."""
    plain = {key: value for key, value in result.items() if key not in STATELESS_ONLY}
    meta = {k: v for k, v in (plain.pop("_meta", None) or {}).items() if k != SERVER_INFO_KEY}
    return {**plain, "_meta": meta} if meta else plain


@dataclass(slots=True)
class Event:
    """One server-sent event (HTML standard, event stream)."""

    data: str = ""
    id: str | None = None
    retry_seconds: float | None = None


class EventParser:
    """Events from lines, one after another."""

    def __init__(self) -> None:
        self._event = Event()
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        """The event that this line completes, if it does."""
        if not line:
            event, self._event = self._event, Event()
            event.data, self._data = "\n".join(self._data), []
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "id":
            self._event.id = value
        elif field == "retry" and value.isdigit():
            self._event.retry_seconds = int(value) / 1000
        return None


def read(data: bytes) -> Any:
    """A JSON text; integers keep all their digits. Raises ValueError."""
    return exactly(data, orjson.loads(data))


def written(message: Message) -> bytes:
    """A message as JSON on one line."""
    try:
        return orjson.dumps(message)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(message, separators=(",", ":")).encode()


def messages_of(body: bytes) -> Iterator[Message]:
    """The JSON-RPC messages of a body: one, or a batch. Raises ValueError for anything else."""
    parsed = read(body)
    found: Iterable[Any] = parsed if isinstance(parsed, list) else [parsed]
    for message in found:
        if not isinstance(message, dict):
            raise ValueError("not a JSON-RPC message")
        yield message
