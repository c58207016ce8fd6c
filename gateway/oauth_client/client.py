"""Logs in when a server asks for it, and says with what its requests go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import httpx2
from mcp.client.auth.utils import extract_field_from_www_auth, extract_scope_from_www_auth
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types import LATEST_PROTOCOL_VERSION

from gateway.oauth_client.config import ClientConfig, Records
from gateway.oauth_client.dpop import NONCE, PROOF, USE_NONCE, Dpop, unbound
from gateway.oauth_client.errors import (
    LoginFailed,
    LoginUnavailable,
    error_code,
    explained,
    refused,
)
from gateway.oauth_client.provider import Ask, Provider

MAX_STEP_UPS: Final = 2
"""How often the same scopes are asked for again."""

AUTHORIZATION: Final = "Authorization"
_LONG_AGO: Final = 1.0
_UNKNOWN_CLIENT: Final = ("invalid_client", "unauthorized_client")

MAX_SCOPES: Final = 50
"""How many different sets of further scopes are asked for."""

Send = Callable[[httpx2.Request], Awaitable[httpx2.Response]]
"""Makes one request of a login. Raises LoginFailed, LoginUnavailable."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A refusal of the server: its HTTP status, and its headers ``WWW-Authenticate`` and
    ``DPoP-Nonce``."""

    status: int
    header: str = ""
    nonce: str | None = None

    def response(self, request: httpx2.Request) -> httpx2.Response:
        """As the SDK takes it."""
        headers = {"WWW-Authenticate": self.header} if self.header else {}
        return httpx2.Response(self.status, headers=headers, request=request)


class OAuthClient:
    """The login at one server. ``send`` makes the requests that it takes, ``ask`` reaches the
    person; None if there is nobody."""

    def __init__(
        self, config: ClientConfig, records: Records, send: Send, ask: Ask | None = None
    ) -> None:
        self._provider = Provider(config, records, ask)
        self._url = config.server_url
        self._may_bind = config.may_bind
        self._send = send
        self._lock = asyncio.Lock()
        self._step_ups: Counter[frozenset[str]] = Counter()
        self._unproven: str | None = None
        """What the last login gave, until the server has taken it."""
        self._refreshed: str | None = None
        """What the last refresh gave."""
        self._is_loaded = False

    async def headers(self, method: str = "POST", url: str | None = None) -> dict[str, str]:
        """What a request goes with, to the server's URL if to no other; nothing if there is no
        login. A token that has expired is refreshed before. Raises LoginUnavailable."""
        if not self._is_loaded:
            await self._load()
        context = self._provider.context
        # While somebody logs in, the request goes with what there is, and waits if that is refused.
        if self._current is not None and not context.is_token_valid() and not self._lock.locked():
            async with self._lock:
                if not context.is_token_valid():
                    await self._refresh()
        current, dpop = self._current, self._provider.dpop
        if current is None:
            return {}
        if dpop is None or not dpop.is_bound:
            return {AUTHORIZATION: current}
        token = current.partition(" ")[2]
        return {AUTHORIZATION: current, PROOF: dpop.proof(method, url or self._url, token)}

    def accepted(self) -> None:
        """The server has taken what ``headers`` gave."""
        self._unproven = None

    async def challenged(self, challenge: Challenge, sent: Mapping[str, str]) -> bool:
        """The server has refused a request that went with the headers ``sent``: log in, or ask for
        what is missing. Whether there is reason to make the request again.

        Raises LoginFailed.
        """
        if not self._is_loaded:
            await self._load()
        used = sent.get(AUTHORIZATION)
        if self._wants_nonce(challenge):
            return True
        async with self._lock:
            if self._current is not None and self._current != used:
                return True  # somebody else was faster
            if challenge.status == 401:
                return await self._again(challenge, used)
            return await self._more(challenge)

    async def forget(self) -> None:
        """Throw the tokens away; the registration stays."""
        await self._provider.forget_tokens()

    @property
    def _current(self) -> str | None:
        tokens = self._provider.context.current_tokens
        if tokens is None:
            return None
        dpop = self._provider.dpop
        scheme = PROOF if dpop is not None and dpop.is_bound else "Bearer"
        return f"{scheme} {tokens.access_token}"

    def _wants_nonce(self, challenge: Challenge) -> bool:
        """RFC 9449, section 9."""
        dpop = self._provider.dpop
        return (dpop is not None and USE_NONCE in challenge.header) and dpop.wants(
            self._url, challenge.nonce
        )

    async def _load(self) -> None:
        async with self._lock:
            if not self._is_loaded:
                await self._provider.load()
                self._is_loaded = True

    async def _again(self, challenge: Challenge, used: str | None) -> bool:
        if used is not None and used == self._unproven:
            await self._provider.forget_tokens()
            raise LoginFailed("the server refuses the token that it was to be logged in with")
        if used is not None and used != self._refreshed and await self._refresh():
            return True
        is_bound = challenge.header.lstrip().lower().startswith(f"{PROOF} ".lower())
        if not is_bound:
            self._provider.dpop = None
        elif self._may_bind and self._provider.dpop is None:
            self._provider.dpop = await asyncio.to_thread(Dpop)
        await self._drive(challenge)
        self._unproven = self._current
        return True

    async def _more(self, challenge: Challenge) -> bool:
        """More scopes, if the server says which, there is a chance, and not again and again
        (revision 2026-07-28, scope challenge handling)."""
        response = challenge.response(self._request())
        if extract_field_from_www_auth(response, "error") != "insufficient_scope":
            return False
        wanted = frozenset((extract_scope_from_www_auth(response) or "").split())
        tokens = self._provider.context.current_tokens
        has = frozenset((tokens.scope or "").split()) if tokens is not None else frozenset()
        if (wanted and wanted <= has) or self._step_ups[wanted] >= MAX_STEP_UPS:
            return False
        if len(self._step_ups) > MAX_SCOPES:
            return False
        self._step_ups[wanted] += 1
        await self._drive(challenge, is_step_up=True)
        self._unproven = self._current
        return True

    async def _refresh(self) -> bool:
        """Whether there is a new token. Raises LoginUnavailable."""
        context = self._provider.context
        if not context.can_refresh_token():
            return False
        expires_at, context.token_expiry_time = context.token_expiry_time, _LONG_AGO
        try:
            await self._drive(None)  # it begins with a refresh then
        except LoginFailed:
            context.token_expiry_time = expires_at
            raise
        if not context.is_token_valid():
            await self._provider.forget_tokens()
            return False
        self._refreshed = self._current
        return True

    async def _drive(self, challenge: Challenge | None, *, is_step_up: bool = False) -> None:
        """Run the SDK's flow for a request that has been made elsewhere. Without a challenge it
        ends where the request would go: with a token that is refreshed, if it was to be."""
        self._provider.is_step_up = is_step_up
        request = self._request()
        flow = self._provider.async_auth_flow(request)
        try:
            outgoing = await anext(flow)
            while outgoing is not request:
                outgoing = await flow.asend(await self._refreshing(outgoing))
            if challenge is None:
                return
            outgoing = await flow.asend(challenge.response(request))
            while outgoing is not request:
                outgoing = await flow.asend(await self._asking(outgoing))
        except Exception as error:  # noqa: BLE001 - the SDK raises many kinds
            raise explained(error) from None
        finally:
            await flow.aclose()

    async def _asking(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request of a login. A refusal of what was posted ends it here: the SDK
        would have its text in an error and in the log."""
        response = await self._sent(request)
        if request.method != "POST" or response.status_code < 400:
            return response
        if error_code(response.text) in _UNKNOWN_CLIENT:
            await self._provider.forget_registration()
        what = "registration" if "json" in request.headers.get("content-type", "") else "token"
        raise refused(what, response.status_code, response.text)

    async def _refreshing(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a refresh; one that says nothing about the token must not cost it."""
        response = await self._sent(request)
        if response.status_code >= 500 or response.status_code == 429:
            raise LoginUnavailable(f"the token cannot be refreshed (HTTP {response.status_code})")
        return response

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        """A request of a login; one for a token that is to be bound goes with a proof (RFC 9449,
        sections 5 and 8)."""
        dpop = self._provider.dpop
        if dpop is None or "form" not in request.headers.get("content-type", ""):
            return await self._send(request)
        url = str(request.url)
        request.headers[PROOF] = dpop.proof(request.method, url)
        response = await self._send(request)
        if error_code(response.text) == USE_NONCE and dpop.wants(url, response.headers.get(NONCE)):
            request.headers[PROOF] = dpop.proof(request.method, url)
            response = await self._send(request)
        response, dpop.is_bound = unbound(response)
        return response

    def _request(self) -> httpx2.Request:
        """What stands for the requests to the server in the flow."""
        headers = {MCP_PROTOCOL_VERSION_HEADER: LATEST_PROTOCOL_VERSION}
        return httpx2.Request("POST", self._url, headers=headers)
