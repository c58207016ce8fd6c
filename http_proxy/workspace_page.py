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
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Cookie, Authorization"),
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{workspace}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --soft: #8881; }}
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 56rem; margin: 2.5rem auto;
  padding: 0 1.2rem; }}
h1 {{ margin: 0; font-size: 1.7rem; }} h2 {{ margin: 0; font-size: 1.1rem; }}
section {{ border-top: 1px solid var(--line); padding: 1.2rem 0; }}
.soft {{ opacity: .7; }} p {{ margin: .3rem 0; }}
code, pre {{ font: 14px/1.5 ui-monospace, monospace; }}
pre {{ background: var(--soft); border: 1px solid var(--line); border-radius: 8px;
  padding: .6rem .9rem; margin: .5rem 0; overflow-x: auto; }}
</style>
</head>
<body>
<h1>{workspace}</h1>
<p class="soft">{summary} <a href="api-docs">API documentation</a> ·
<a href="openapi.json">OpenAPI</a> · <a href="services">services as JSON</a></p>
{services}
</body>
</html>
"""


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
        html = _PAGE.format(
            workspace=escape(workspace),
            summary=f"{count} service{'' if count == 1 else 's'} for you here.",
            services="\n".join(self._section(service) for service in listed[:_MAX_SERVICES]),
        )
        return content(html.encode(), b"text/html; charset=utf-8", more=_HEADERS)

    def _section(self, service: ServiceInfo) -> str:
        description = f"<p>{escape(service.description)}</p>" if service.description else ""
        lines = "\n".join(self._usage(service))
        return (
            f"<section><h2>{escape(service.name)}</h2>"
            f'<p class="soft"><code>{escape(str(service.id))}</code> · {escape(service.type)}</p>'
            f"{description}{_functions(service)}<pre>{escape(lines)}</pre></section>"
        )

    def _usage(self, service: ServiceInfo) -> Iterator[str]:
        """How each door is used, ready to be copied."""
        workspace, name = quote(service.id.workspace), quote(service.id.service_id)
        base = f"{self._base_url}/{workspace}"
        if service.type.lower() in _WEB:
            yield f"{base}/apps/{name}/"
            return
        function = next(iter(service.functions.values()), None)
        if function is not None:
            arguments = "&".join(f"{name}=…" for name in function.parameter_names)
            query = f"?{arguments}" if arguments else ""
            yield f"curl '{base}/services/{name}/{function.path}{query}'"
        yield f"MCP     {base}/mcp/{name}/mcp"
        yield f'Python  service = await server.get_service("{service.id}")'


def _functions(service: ServiceInfo) -> str:
    names = list(service.functions)
    if not names:
        return ""
    shown = ", ".join(f"<code>{escape(name)}</code>" for name in names[:_MAX_FUNCTIONS])
    more = f" and {len(names) - _MAX_FUNCTIONS} more" if len(names) > _MAX_FUNCTIONS else ""
    return f"<p>{shown}{more}</p>"
