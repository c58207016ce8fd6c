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
    """``GET /{workspace}/mcp/{service}`` as JSON, under the access rules of the endpoint."""

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
        workspace, service = (quote(path[part], safe=":@") for part in ("workspace", "service"))
        url = f"{self._base_url}/{workspace}/mcp/{service}/mcp"
        needs_token = offer.service.visibility is Visibility.PROTECTED
        tools = offer.catalogue.tools.values()
        return {
            "service": str(offer.service.id),
            "name": offer.service.name,
            "endpoint": url,
            "transport": "streamable-http",
            "protocolVersions": list(KNOWN),
            "needsToken": needs_token,
            "tools": [
                {"name": tool.name, "description": tool.definition["description"]} for tool in tools
            ],
            "clients": configurations(offer.service.id.service_id, url, needs_token=needs_token),
        }
