"""The documents as resources: made once, then the same bytes for all who see the same services."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.types import ASGIApp

from gateway import __version__
from gateway.api import Gateway
from gateway.settings import Settings
from http_proxy.openapi.cache import Cache, Rendered, render
from http_proxy.openapi.documents import service_document, workspace_document
from http_proxy.openapi.own import gateway_document
from http_proxy.replies import ANY_ORIGIN, BytesReply, Header, content
from http_proxy.request import Request
from schema.identity import Caller
from schema.ids import ANY, MANAGER, MANAGER_WORD, ServiceQuery
from schema.services import BUILT_IN, ServiceInfo

MAX_CACHED_BYTES: Final = 32 * 1024 * 1024

_POLICY: Final[list[Header]] = [
    # To be asked for each time, and kept for one caller: others may see other services.
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Authorization, Cookie"),
    (b"access-control-expose-headers", b"ETag"),
]


class Documents:
    """Answers the addresses that end in ``openapi.json``."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self._gateway = gateway
        self._base_url = settings.base_url
        self._cache = Cache(MAX_CACHED_BYTES)
        self._own = render(gateway_document(settings.base_url, __version__))

    async def of_gateway(self, request: Request, caller: Caller) -> ASGIApp:
        """``/openapi.json``"""
        return _reply(self._own, request)

    async def of_workspace(self, request: Request, caller: Caller) -> ASGIApp:
        """``/{workspace}/openapi.json``: the services that the caller may see listed, but for
        those that every client has. Raises WorkspaceNotFound and other GatewayErrors."""
        workspace = request.workspace
        found = await self._gateway.list_services(caller, workspace)
        services = tuple(s for s in found if s.id.service_id != BUILT_IN)
        server = f"{self._base_url}/{quote(workspace, safe='')}"
        rendered = await self._cache.get(
            (workspace, services), lambda: workspace_document(workspace, services, server)
        )
        return _reply(rendered, request)

    async def of_service(self, request: Request, service: ServiceInfo) -> ASGIApp:
        """``/{workspace}/services/{service}/openapi.json``"""
        address = quote(_address(request), safe=":@")
        server = f"{self._base_url}/{quote(request.workspace, safe='')}/services/{address}"
        rendered = await self._cache.get(
            (server, service), lambda: service_document(service, server)
        )
        return _reply(rendered, request)


def _address(request: Request) -> str:
    """The service of a URL, without what says nothing, so that there are few forms to keep."""
    query = ServiceQuery.parse(request.service, request.workspace)
    if query.service_id == MANAGER:
        return MANAGER_WORD
    client = f"{query.client_id}:" if query.client_id != ANY else ""
    app = f"@{query.app_id}" if query.app_id != ANY else ""
    return f"{client}{query.service_id}{app}"


def _reply(rendered: Rendered, request: Request) -> BytesReply:
    headers = [(b"etag", rendered.etag), *_POLICY]
    if _has(request.headers.get(b"if-none-match"), rendered.etag):
        return BytesReply(304, [ANY_ORIGIN, *headers], b"")
    return content(rendered.body, b"application/json", more=headers)


def _has(if_none_match: bytes | None, etag: bytes) -> bool:
    """Whether the client has it already (RFC 9110 section 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return etag.removeprefix(b"W/") in tags or b"*" in tags
