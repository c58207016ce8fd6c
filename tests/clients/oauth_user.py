"""A user of an OAuth client: their browser without the browser, and where tokens are kept."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urljoin, urlsplit

import httpx
import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)

from tests.clients.programs import Program
from tests.patience import PATIENCE_SECONDS

CALLBACK = "http://127.0.0.1:33418/callback"


@asynccontextmanager
async def mcp_client(url: str, auth: Any) -> AsyncIterator[Client]:
    """The official client, connected to an endpoint."""
    async with (
        httpx2.AsyncClient(auth=auth, timeout=PATIENCE_SECONDS) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


class Kept(TokenStorage):
    """What an MCP client remembers."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class User:
    """Follows the redirects of a browser, logs in with ``token``, and decides."""

    def __init__(self, http: httpx.AsyncClient, token: str, *, decision: str = "allow") -> None:
        self.http = http
        self.token = token
        self.decision = decision
        self.pages: list[str] = []
        self.answer: dict[str, str] = {}

    async def follow(self, url: str) -> str:
        """From the client's redirect to the one that goes back to it."""
        answer = await self.http.get(url)
        assert answer.status_code == 302, answer.text
        location = answer.headers["location"]
        if location.startswith(CALLBACK):
            return location
        query = dict(parse_qsl(urlsplit(location).query))
        report = urljoin(location, "../../services/hypha-login/report")
        given = {"key": query["key"], "token": self.token}
        reported = await self.http.post(report, json=given)
        assert reported.status_code == 200, reported.text
        consent = urljoin(location, "../../../oauth/consent")
        page = await self.http.get(consent, params={"request": query["request"]})
        assert page.status_code == 200, page.text
        self.pages.append(unescape(page.text))
        form = dict(re.findall(r'name="(request|form)" value="([^"]+)"', page.text))
        sent = await self.http.post(consent, data=form | {"decision": self.decision})
        assert sent.status_code == 303, sent.text
        return str(sent.headers["location"])

    async def redirect(self, url: str) -> None:
        """``redirect_handler`` of the MCP client."""
        back = urlsplit(await self.follow(url))
        self.answer = {name: values[0] for name, values in parse_qs(back.query).items()}

    async def callback(self) -> AuthorizationCodeResult:
        """``callback_handler`` of the MCP client."""
        answer = self.answer
        return AuthorizationCodeResult(
            code=answer.get("code", ""), state=answer.get("state"), iss=answer.get("iss")
        )

    def provider(
        self, url: str, kept: Kept | None = None, *, published: str | None = None
    ) -> OAuthClientProvider:
        """The MCP client's side for an endpoint. ``published`` is where the client says of itself
        what it is; without, it registers."""
        metadata = OAuthClientMetadata(
            redirect_uris=[CALLBACK],
            client_name="Probe",
            token_endpoint_auth_method="none",
        )
        return OAuthClientProvider(
            url,
            metadata,
            kept or Kept(),
            redirect_handler=self.redirect,
            callback_handler=self.callback,
            client_metadata_url=published,
        )


ASKED_TWICE = {
    "scopes": ["read", "read read_write"],
    "failed": [False, False, False],
    "read": "green",
    "refreshed": True,
}
"""What the scripts print whose client reads first and is then asked for more."""


async def logged_in(program: Program, user: User) -> dict[str, Any]:
    """What a program prints in the end, whose user opens each address that it shows."""
    while "open" in (said := await program.value()):
        await program.tell(await user.follow(said["open"]))
    assert await program.end() == 0
    return dict(said)
