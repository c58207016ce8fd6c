"""What a person finds under the address of a service: its endpoint, its tools, how to connect.

Browsers get a page, programs the same as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.types import Receive, Scope, Send

from gateway.look import PAGE_HEADERS, document
from mcp_bridge import guard
from mcp_bridge.connect.configurations import configurations
from mcp_bridge.errors import endpoint_failure
from mcp_bridge.exchange import Reply, send_reply
from mcp_bridge.offer import Offer, Opener
from mcp_bridge.revisions import KNOWN
from schema.errors import GatewayError
from schema.services import Visibility

_FORMAT: Final = orjson.OPT_INDENT_2
_MAX_TOOLS: Final = 200
_PARAGRAPH: Final = "\n\n"
_VARY: Final = (b"vary", b"Accept, Authorization, Cookie")
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
_HTML_HEADERS: Final = (
    *((name.encode(), value.encode()) for name, value in PAGE_HEADERS.items()),
    (b"cache-control", b"private, no-cache"),
    _VARY,
)


class ServicePage:
    """``GET /{workspace}/mcp/{service}`` and ``GET /{workspace}/mcp``, under the access rules of
    the endpoint."""

    def __init__(self, opener: Opener, base_url: str) -> None:
        self._opener = opener
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        path = scope["path_params"]
        try:
            offer = await self._opener.open(scope, headers)
            described = self._describe(offer, path)
            if _is_browser(headers):
                reply = Reply(self._page(described, path).encode(), 200, _HTML_HEADERS, _HTML)
            else:
                reply = Reply(orjson.dumps(described, option=_FORMAT), headers=(_VARY,))
        except GatewayError as error:
            failure = endpoint_failure(error)
            status = failure.http_status(is_modern=False)
            reply = Reply(failure.body(None), status, failure.headers)
        if scope["method"] == "HEAD":
            reply = Reply(b"", reply.status, reply.headers)
        await send_reply(send, reply, guard.cors_headers(headers))

    def _describe(self, offer: Offer, path: dict[str, str]) -> dict[str, Any]:
        url = self._address(path)
        is_workspace = "service" not in path
        name = offer.service.name if is_workspace else offer.service.id.service_id
        needs_token = offer.service.visibility is Visibility.PROTECTED
        if is_workspace:
            needs_token = not offer.caller.user.is_anonymous
        tools = offer.catalogue.tools.values()
        return {
            **({} if is_workspace else {"service": str(offer.service.id)}),
            "name": offer.service.name,
            "endpoint": url,
            "transport": "streamable-http",
            "protocolVersions": list(KNOWN),
            "needsToken": needs_token,
            "tools": [
                {"name": tool.name, "description": tool.definition["description"]} for tool in tools
            ],
            "clients": configurations(name, url, needs_token=needs_token),
        }

    def _page(self, described: Mapping[str, Any], path: Mapping[str, str]) -> str:
        """The page for what ``_describe`` returns."""
        name, endpoint = str(described["name"]), described["endpoint"]
        access = (
            "Its callers send a token."
            if described["needsToken"]
            else "It can be used without a token."
        )
        tools = "".join(
            f"<div><dt><code>{escape(tool['name'])}</code></dt>"
            f"<dd>{escape(tool['description'].split(_PARAGRAPH)[0])}</dd></div>"
            for tool in described["tools"][:_MAX_TOOLS]
        )
        left = len(described["tools"]) - _MAX_TOOLS
        more = f'<p class="soft">And {left} more.</p>' if left > 0 else ""
        clients = "".join(map(_client, described["clients"].values()))
        body = (
            f'<h1>{escape(name)} <span class="tag">MCP</span></h1>'
            f'<p class="soft">{access} Revisions {", ".join(described["protocolVersions"])}.</p>'
            f'<section class="card"><h2>Endpoint</h2><pre>{escape(endpoint)}</pre></section>'
            f'<section class="card"><h2>Connect a client</h2>{clients}</section>'
            f'<section class="card"><h2>Tools</h2><dl>{tools}</dl>{more}</section>'
        )
        workspace = f"{self._base_url}/{quote(path['workspace'], safe=':@')}/"
        links = f'<a href="{escape(workspace)}">{escape(path["workspace"])}</a>'
        return document(f"{name} · MCP", body, home=f"{self._base_url}/", links=links)

    def _address(self, path: dict[str, str]) -> str:
        workspace = quote(path["workspace"], safe=":@")
        if "service" not in path:
            return f"{self._base_url}/{workspace}/mcp"
        return f"{self._base_url}/{workspace}/mcp/{quote(path['service'], safe=':@')}/mcp"


def _is_browser(headers: Mapping[bytes, bytes]) -> bool:
    """Browsers ask for HTML by name; other programs do not, or say that anything will do."""
    return b"text/html" in headers.get(b"accept", b"").lower()


def _client(client: Mapping[str, Any]) -> str:
    """How one client is connected."""
    parts = [f"<details><summary>{escape(client['title'])}</summary>"]
    if "command" in client:
        parts.append(f"<pre>{escape(client['command'])}</pre>")
    if "content" in client:
        content = client["content"]
        text = (
            content if isinstance(content, str) else orjson.dumps(content, option=_FORMAT).decode()
        )
        parts.append(f'<p class="soft">{escape(client.get("file", ""))}</p>')
        parts.append(f"<pre>{escape(text)}</pre>")
    if "note" in client:
        parts.append(f'<p class="soft">{escape(client["note"])}</p>')
    return "".join(parts) + "</details>"
