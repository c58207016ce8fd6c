"""A gateway that is an authorization server, and a browser and a client in one."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
import pytest
from starlette.applications import Starlette

from gateway.app import Parts, build
from gateway.extensions import ExtensionContext, load_routes
from gateway.settings import Settings
from schema.identity import User
from tests.gateway.peer import Peer

BASE = "http://127.0.0.1:9527"
CALLBACK = "http://127.0.0.1:4000/callback"
MCP = f"{BASE}/ws-user-alice/mcp/diary/mcp"
VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]


class Flow:
    """One browser and one client, with what they have got so far."""

    def __init__(self, parts: Parts, http: httpx.AsyncClient) -> None:
        self.parts = parts
        self.http = http
        self.client_id = ""

    async def register(self, **metadata: Any) -> httpx.Response:
        given = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", **metadata}
        answer = await self.http.post("/oauth/register", json=given)
        if answer.status_code == 201:
            self.client_id = answer.json()["client_id"]
        return answer

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """The client's redirect, with parameters changed or (None) left out."""
        given = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": MCP,
            "state": "st&te",
        } | changes
        query = {name: value for name, value in given.items() if value is not None}
        return await self.http.get("/oauth/authorize", params=query)

    async def log_in(self, redirect: httpx.Response, user: User | None = None) -> str:
        """Log in on the login page; returns the id of the request."""
        query = dict(parse_qsl(urlsplit(redirect.headers["location"]).query))
        token = self.parts.tokens.issue(user or User("alice"), expires_in_seconds=600)
        given = {"key": query["key"], "token": token}
        answer = await self.http.post("/public/services/hypha-login/report", json=given)
        assert answer.status_code == 200, answer.text
        return query["request"]

    async def form(self, request: str) -> dict[str, str]:
        page = await self.http.get("/oauth/consent", params={"request": request})
        assert page.status_code == 200, page.text
        return dict(re.findall(r'name="(request|form)" value="([^"]+)"', page.text))

    async def decide(
        self, form: dict[str, str], decision: str = "allow", **headers: str
    ) -> httpx.Response:
        data = form | {"decision": decision}
        return await self.http.post("/oauth/consent", data=data, headers=headers)

    async def code(self, user: User | None = None, **changes: str | None) -> str:
        """All of the browser's way."""
        if not self.client_id:
            await self.register()
        request = await self.log_in(await self.authorize(**changes), user)
        answer = await self.decide(await self.form(request))
        return answered(answer)["code"]

    async def token(self, **changes: str | None) -> httpx.Response:
        given = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "resource": MCP,
        } | changes
        data = {name: value for name, value in given.items() if value is not None}
        return await self.http.post("/oauth/token", data=data)

    async def tokens(self, user: User | None = None, **changes: str | None) -> dict[str, Any]:
        answer = await self.token(code=await self.code(user, **changes), resource=None)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def refresh(self, token: str, **changes: str | None) -> httpx.Response:
        changes = {"refresh_token": token, "code_verifier": None, "redirect_uri": None} | changes
        return await self.token(grant_type="refresh_token", **changes)

    async def call(
        self,
        token: str | None,
        url: str = MCP,
        method: str = "tools/list",
        tool: str = "read",
        **arguments: Any,
    ) -> httpx.Response:
        """Ask an MCP endpoint something."""
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2025-11-25",
        }
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.http.post(url, headers=headers, content=orjson.dumps(message))


def answered(redirect: httpx.Response) -> dict[str, str]:
    """What the client is told in the query of its redirect URI."""
    location = redirect.headers["location"]
    assert location.startswith(CALLBACK), location
    return dict(parse_qsl(urlsplit(location).query))


@pytest.fixture
def settings() -> Settings:
    return Settings(ephemeral=True, port=9527, oauth_server=True)


@pytest.fixture
async def flow(settings: Settings) -> AsyncIterator[Flow]:
    parts, routes = build(settings)
    context = ExtensionContext(parts.gateway, settings, parts.authentication, parts.oauth.resources)
    app = Starlette(routes=[*routes, *load_routes(["mcp_bridge", "http_proxy"], context)])
    transport = httpx.ASGITransport(app)
    token = parts.tokens.issue(User("alice"), expires_in_seconds=600)
    alice = await Peer.join(parts, "provider", token=token)
    for name in ("diary", "other"):
        functions = {"read": lambda: "a page"}
        await alice.register(name, functions, config={"visibility": "protected"})
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        yield Flow(parts, http)
    await parts.database.close()
