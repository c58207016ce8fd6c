"""Logs in to an MCP endpoint with the handshake-era SDK (mcp 1.x), and uses it. Argument: URL.

Prints each address that its user is to open, and reads where they were sent back to.
"""

# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.auth import OAuthClientMetadata


class Kept(TokenStorage):
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


async def show(url: str) -> None:
    print(json.dumps({"open": url}), flush=True)


async def sent_back() -> tuple[str, str]:
    query = parse_qs(urlsplit(await asyncio.to_thread(sys.stdin.readline)).query)
    return query["code"][0], query["state"][0]


async def main(url: str) -> None:
    kept = Kept()
    metadata = OAuthClientMetadata(
        redirect_uris=["http://127.0.0.1:33418/callback"],
        client_name="Probe",
        token_endpoint_auth_method="none",
    )
    provider = OAuthClientProvider(url, metadata, kept, show, sent_back)
    async with (
        streamablehttp_client(url, auth=provider) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        scopes = [kept.tokens.scope]
        status = await session.call_tool("check_status", {})
        # The response to this is 403: the SDK asks its user for more, and tries again.
        stored = await session.call_tool("set_env", {"key": "COLOUR", "value": "green"})
        scopes.append(kept.tokens.scope)
        provider.context.token_expiry_time = 1.0
        refreshed_from = kept.tokens.access_token
        again = await session.call_tool("get_env", {"key": "COLOUR"})
        result = {
            "scopes": scopes,
            "failed": [status.isError, stored.isError, again.isError],
            "read": again.content[0].text,
            "refreshed": kept.tokens.access_token != refreshed_from,
        }
    print(json.dumps(result))


asyncio.run(main(*sys.argv[1:]))
