"""The page of a workspace: what is there for its visitor, and how to use it.

It is made for any name, so that it says nothing about which workspaces exist; it loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final
from urllib.parse import quote

from starlette.types import ASGIApp

from gateway.api import Gateway
from gateway.look import PAGE_HEADERS, document
from gateway.settings import RESERVED_MOUNTS, Settings
from http_proxy.errors import MethodNotAllowed
from http_proxy.replies import BytesReply, content
from http_proxy.request import Request
from schema.errors import NotFound, WorkspaceNotFound
from schema.identity import Caller
from schema.services import BUILT_IN, ServiceInfo

_MAX_SERVICES: Final = 200
_MAX_FUNCTIONS: Final = 40
_NO_WORKSPACES: Final = RESERVED_MOUNTS - {"public"}
"""Names that never are a workspace's: ``/health/`` must not look like a healthy answer."""

_WEB: Final = frozenset({"asgi", "functions"})
_HEADERS: Final = (
    *((name.encode(), value.encode()) for name, value in PAGE_HEADERS.items()),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Cookie, Authorization"),
)
_LINKS: Final = (
    '<a href="api-docs">API documentation</a><a href="openapi.json">OpenAPI</a>'
    '<a href="services">JSON</a><a href="mcp">MCP</a>'
)
_NOTHING: Final = (
    '<p class="soft">Protected services are shown to those who may use them: to requests with '
    "their token.</p>"
)


class WorkspacePage:
    """Answers ``/{workspace}`` and ``/{workspace}/``."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self._gateway = gateway
        self._base_url = settings.base_url

    async def to_slash(self, request: Request, caller: Caller) -> ASGIApp:
        """To the page, whose links are relative. By contract what has a hyphen in its name is a
        workspace; any other word would be a file of the server. Raises NotFound."""
        workspace = request.workspace
        if "-" not in workspace and workspace != "public":
            if request.scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(request.scope["method"], "GET, HEAD, OPTIONS")
            raise NotFound(f"File not found: {workspace}")
        query = request.scope["query_string"]
        target = f"./{quote(workspace)}/".encode() + (b"?" + query if query else b"")
        return BytesReply(307, [(b"location", target), (b"content-length", b"0")], b"")

    async def show(self, request: Request, caller: Caller) -> ASGIApp:
        """The page, with the services that its visitor may see listed."""
        workspace = request.workspace
        if workspace in _NO_WORKSPACES:
            raise NotFound(f"File not found: {workspace}/")
        try:
            found = await self._gateway.list_services(caller, workspace)
        except WorkspaceNotFound:
            found = []
        listed = [service for service in found if service.id.service_id != BUILT_IN]
        count = len(listed)
        summary = f"{count} service{'' if count == 1 else 's'} for you here."
        sections = map(self._section, listed[:_MAX_SERVICES])
        body = "\n".join(
            (
                f'<h1>{escape(workspace)}</h1>\n<p class="soft">{summary}</p>',
                *sections,
                *(() if listed else (_NOTHING,)),
            )
        )
        html = document(workspace, body, home="../", links=_LINKS)
        return content(html.encode(), b"text/html; charset=utf-8", more=_HEADERS)

    def _section(self, service: ServiceInfo) -> str:
        description = f"<p>{escape(service.description)}</p>" if service.description else ""
        usage = "".join(
            f"<div><dt>{door}</dt><dd><code>{escape(text)}</code></dd></div>"
            for door, text in self._usage(service)
        )
        connect = ""
        if service.type.lower() not in _WEB:
            name = quote(service.id.service_id)
            connect = f'<p><a href="mcp/{name}">Connect an MCP client</a></p>'
        return (
            f'<section class="card"><h2>{escape(service.name)} '
            f'<span class="tag">{escape(service.type)}</span></h2>'
            f'<p class="soft"><code>{escape(str(service.id))}</code></p>'
            f"{description}{_functions(service)}<dl>{usage}</dl>{connect}</section>"
        )

    def _usage(self, service: ServiceInfo) -> Iterator[tuple[str, str]]:
        """How each door is used, ready to be copied."""
        workspace, name = quote(service.id.workspace), quote(service.id.service_id)
        base = f"{self._base_url}/{workspace}"
        if service.type.lower() in _WEB:
            yield "Web", f"{base}/apps/{name}/"
            return
        function = next(iter(service.functions.values()), None)
        if function is not None:
            arguments = "&".join(f"{name}=…" for name in function.parameter_names)
            query = f"?{arguments}" if arguments else ""
            yield "HTTP", f"curl '{base}/services/{name}/{function.path}{query}'"
        yield "MCP", f"{base}/mcp/{name}/mcp"
        yield "Python", f'service = await server.get_service("{service.id}")'


def _functions(service: ServiceInfo) -> str:
    names = list(service.functions)
    if not names:
        return ""
    shown = "".join(f"<li><code>{escape(name)}</code></li>" for name in names[:_MAX_FUNCTIONS])
    more = f"<li>{len(names) - _MAX_FUNCTIONS} more</li>" if len(names) > _MAX_FUNCTIONS else ""
    return f'<ul class="names">{shown}{more}</ul>'
