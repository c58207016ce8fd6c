"""The gateway's login at one server, which all connections with that share.

Whoever meets a refusal waits for what can be done without a person. When one is needed, that is
said at once, and the login goes on by itself once their browser is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.shared.auth import AuthorizationCodeResult

from gateway.addresses import NotPublic, public_address
from gateway.oauth_client.client import Challenge, OAuthClient, Send
from gateway.oauth_client.config import JWT_BEARER, ClientConfig
from gateway.oauth_client.errors import LoginFailed
from gateway.oauth_client.exchange import exchanged
from gateway.oauth_client.sending import Sender
from gateway.upstreams.entries import Remote, Upstream
from gateway.upstreams.http_client import http_transport
from gateway.upstreams.login.callbacks import LoginAbandoned, Pending
from gateway.upstreams.login.logins import Logins
from gateway.upstreams.login.needed import CannotLogIn, NeedsLogin
from gateway.upstreams.login.records import LoginRecords
from gateway.upstreams.oauth_entry import OAuthEntry

logger = logging.getLogger(__name__)

MAX_CHALLENGES: Final = 3
"""How often one request may be refused for want of a login, or of more permissions."""
_NO_CREDENTIAL: Final = (
    "it refuses the gateway (HTTP 401): give it a token in 'headers', or let the gateway log in, "
    "which fails"
)
_MAX_ASSERTION: Final = 64 * 1024


def login_of(upstream: Upstream, logins: Logins) -> Login | None:
    """The login at a server that may ask for one."""
    target = upstream.target
    if not isinstance(target, Remote) or target.oauth is None:
        return None
    return Login(upstream, target.url, target.oauth, logins)


class Login:
    """See the module."""

    def __init__(self, upstream: Upstream, url: str, entry: OAuthEntry, logins: Logins) -> None:
        self._upstream = upstream
        self._logins = logins
        self._sender: Sender | None = None
        config = _config(url, entry, logins, self._send)
        records = LoginRecords(logins.credentials, upstream)
        self._client = OAuthClient(config, records, self._send, self._ask)
        self._work: asyncio.Task[bool] | None = None
        self._asked = asyncio.Event()
        self._over = asyncio.Event()
        self._pending: Pending | None = None
        self.url: str | None = None
        """Where somebody has to log in. It is for those who manage the server: who knows it can
        decide with whose account the gateway is logged in."""
        self.failure: str | None = None
        """What went wrong last, until it goes right."""

    async def headers(self, method: str, url: str) -> Mapping[str, str]:
        """What a request goes with. Raises CannotLogIn."""
        try:
            return await self._client.headers(method, url)
        except LoginFailed as error:
            raise self._failed(error) from None

    def accepted(self) -> None:
        """The server has taken what ``headers`` gave."""
        self._client.accepted()

    async def challenged(self, challenge: Challenge, sent: Mapping[str, str]) -> bool:
        """The server has refused a request that went with the headers ``sent``: whether there is
        reason to make it again. Raises NeedsLogin, CannotLogIn."""
        is_out = challenge.status == httpx2.codes.UNAUTHORIZED
        if self.url is None:
            work = self._work
            if work is None or work.done():
                doing = self._client.challenged(challenge, sent)
                work = self._work = asyncio.get_running_loop().create_task(doing)
                work.add_done_callback(self._ended)
            asked = asyncio.get_running_loop().create_task(self._asked.wait())
            await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if work.done():
                return self._result(work, is_first=is_out and not sent)
        raise NeedsLogin(self._upstream.name, self._over, is_out=is_out)

    async def close(self) -> None:
        """Give up what is under way: its address leads nowhere then."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait((work,))

    def _result(self, work: asyncio.Task[bool], *, is_first: bool) -> bool:
        if work.cancelled():
            raise CannotLogIn(self._upstream.name, "it was given up")
        error = work.exception()
        if isinstance(error, LoginFailed) and is_first:
            raise CannotLogIn(self._upstream.name, f"{_NO_CREDENTIAL} ({error})")
        if isinstance(error, LoginFailed):
            raise self._failed(error)
        return work.result()

    def _failed(self, error: LoginFailed) -> CannotLogIn:
        self.failure = str(error)
        return CannotLogIn(self._upstream.name, f"the login fails: {error}")

    def _ended(self, work: asyncio.Task[bool]) -> None:
        error = None if work.cancelled() else work.exception()
        self.failure = str(error) if error is not None else None
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.settle(self.failure)
            name, result = self._upstream.key, self.failure or "logged in"
            logger.info("upstream_login_ended name=%s result=%r", name, result)
        over, self._over = self._over, asyncio.Event()
        over.set()

    async def _ask(self, url: str) -> AuthorizationCodeResult:
        """Show the address, and wait for the browser."""
        state = parse_qs(urlsplit(url).query)["state"][-1]
        self._pending = Pending(self._upstream.name)
        self.url = url
        self._asked.set()
        at = urlsplit(url).netloc
        logger.warning("upstream_needs_login name=%s at=%s", self._upstream.key, at)
        try:
            brought = await self._logins.callbacks.answer(state, self._pending)
        except LoginAbandoned as error:
            raise LoginFailed(str(error)) from None
        finally:
            self.url = None
            self._asked.clear()
        return AuthorizationCodeResult(**brought)

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        if self._sender is None:
            may_be_private = await self._is_near()
            self._sender = Sender(partial(http_transport, may_be_private=may_be_private))
        return await self._sender(request)

    async def _is_near(self) -> bool:
        """Whether what the server names may be in a private network: only if the server is in one
        itself. One of the internet must not send the gateway to its neighbours (CWE-918)."""
        target = self._upstream.target
        if not self._upstream.may_be_private or not isinstance(target, Remote):
            return False
        parts = urlsplit(target.url)
        try:
            await public_address(parts.hostname or "", parts.port or 0)
        except NotPublic:
            return True
        except OSError:
            return False
        return False


async def _assertion(entry: OAuthEntry, send: Send, issuer: str, resource: str) -> str:
    """Somebody's word for the gateway, or what their identity provider makes of it."""
    word = entry.assertion or ""
    if entry.assertion_file is not None:
        word = await asyncio.to_thread(_read, entry.assertion_file)
    if entry.identity_provider is None:
        return word
    return await exchanged(entry.identity_provider, word, issuer, resource, send)


def _config(url: str, entry: OAuthEntry, logins: Logins, send: Send) -> ClientConfig:
    return ClientConfig(
        server_url=url,
        redirect_uri=logins.redirect_uri,
        metadata_url=entry.metadata_url or logins.metadata_url,
        grant=entry.grant,
        client_id=entry.client_id,
        client_secret=entry.client_secret,
        private_key=entry.private_key,
        signing_algorithm=entry.signing_algorithm,
        auth_method=entry.auth_method,
        issuer=entry.issuer,
        scope=entry.scope,
        assertion=partial(_assertion, entry, send) if entry.grant == JWT_BEARER else None,
        may_bind=True,
    )


def _read(path: str) -> str:
    """A file that a trusted entry names. Raises LoginFailed."""
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            return file.read(_MAX_ASSERTION).strip()
    except (OSError, ValueError):
        raise LoginFailed("the file with the assertion cannot be read") from None
