"""What a person finds under the address of a service: its endpoint, its tools, how to connect."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.types import Receive, Scope, Send

from mcp_bridge import guard
from mcp_bridge.connect.configurations import configurations
from mcp_bridge.errors import endpoint_failure
from mcp_bridge.exchange import Reply, send_reply
from mcp_bridge.offer import Offer, Opener
from mcp_bridge.revisions import KNOWN
from schema.errors import GatewayError
from schema.services import Visibility

_FORMAT: Final = orjson.OPT_INDENT_2


class ServicePage:
    """``GET /{workspace}/mcp/{service}`` and ``GET /{workspace}/mcp`` as JSON, under the access
    rules of the endpoint."""

    def __init__(self, opener: Opener, base_url: str) -> None:
        self._opener = opener
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        path = scope["path_params"]
        try:
            offer = await self._opener.open(scope, headers)
            reply = Reply(orjson.dumps(self._describe(offer, path), option=_FORMAT))
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

    def _address(self, path: dict[str, str]) -> str:
        workspace = quote(path["workspace"], safe=":@")
        if "service" not in path:
            return f"{self._base_url}/{workspace}/mcp"
        return f"{self._base_url}/{workspace}/mcp/{quote(path['service'], safe=':@')}/mcp"
