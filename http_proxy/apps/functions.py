"""Services of type ``functions``: a function for each path, which gets the request as one event.

``/`` is the function ``index``, ``/a/b`` the function ``b`` in the map ``a``, or the ``index`` of
the map ``a/b``; what matches nothing goes to the function ``default``, if there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from starlette.types import ASGIApp

from gateway.api import Gateway
from http_proxy.apps.responses import METHODS, response_of
from http_proxy.apps.scope import application_scope, is_operators
from http_proxy.cors import preflight
from http_proxy.request import Request
from http_proxy.streams import is_stream, open_stream
from schema.errors import FunctionNotFound
from schema.identity import Caller
from schema.services import ServiceInfo
from schema.values import METHOD, rtype

HANDLES_PREFLIGHT: Final = "handle_preflight"
"""Key in a service's config: its functions answer preflights themselves."""

_INDEX, _DEFAULT = "index", "default"
_BODY_HEADERS: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class Functions:
    """Answers requests to ``functions`` services."""

    def __init__(self, gateway: Gateway, *, max_body_bytes: int, base_path: str) -> None:
        self._gateway = gateway
        self._max_body_bytes = max_body_bytes
        self._base_path = base_path

    async def answer(self, request: Request, caller: Caller, service: ServiceInfo) -> ASGIApp:
        """Call the function for the path. Raises GatewayError and ClientGone."""
        asked = request.headers.get(b"access-control-request-method")
        is_preflight = request.scope["method"] == "OPTIONS" and asked is not None
        if is_preflight and service.config.get(HANDLES_PREFLIGHT) is not True:
            return preflight(METHODS, request.headers.get(b"access-control-request-headers"))
        path: str = request.scope["path_params"]["path"]
        function = await self._function(caller, service, path)
        event = await self._event(request, caller, service)
        if function == _DEFAULT:
            event["function_path"] = f"/{path.strip('/')}"
        value = await self._gateway.call(
            caller, service, function, (event,), options=request.options
        )
        if is_stream(value):
            return await open_stream(value, request)
        return response_of(value, is_operators=is_operators(service))

    async def _function(self, caller: Caller, service: ServiceInfo, path: str) -> str:
        described = service.functions
        for name in _candidates(path):
            if name in described:
                return name
        if not described:
            members = await self._gateway.read(caller, service)
            for name in _candidates(path):
                if _is_function(members, name):
                    return name
        raise FunctionNotFound(f"Function not found: {path or '/'}")

    async def _event(
        self, request: Request, caller: Caller, service: ServiceInfo
    ) -> dict[str, Any]:
        scope = application_scope(request.scope, service, self._base_path)
        body = await request.body(self._max_body_bytes)
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            if name not in _BODY_HEADERS:
                key, text = name.decode("latin-1"), value.decode("latin-1")
                if key in headers:
                    text = f"{headers[key]}{'; ' if name == b'cookie' else ', '}{text}"
                headers[key] = text
        if body:
            headers["content-length"] = str(len(body))
        return scope | {
            "headers": headers,
            "query_string": scope["query_string"].decode("latin-1"),
            "raw_path": scope["raw_path"].decode("latin-1"),
            "body": body or None,
            "user": caller.user.to_wire(),
        }


def _candidates(path: str) -> Iterator[str]:
    """Functions that may answer a path, the best first."""
    parts = [part for part in path.split("/") if part]
    if parts:
        yield ".".join(parts)
    yield ".".join((*parts, _INDEX))
    yield _DEFAULT


def _is_function(members: Any, name: str) -> bool:
    node = members
    for key in name.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return rtype(node) == METHOD or callable(node)
