"""Logging in once, with what ``gateway.oauth_client`` knows of OAuth.

Loaded when there is something to log in to: the MCP SDK takes its time.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.shared.auth import AuthorizationCodeResult

from gateway.logins.store import Grant
from gateway.oauth_client import errors
from gateway.oauth_client.client import AUTHORIZATION, Challenge, OAuthClient
from gateway.oauth_client.config import ClientConfig
from gateway.oauth_client.sending import Sender
from mcp_bridge.login.failures import LoginFailed, LoginRefused, NoLogin
from mcp_bridge.login.identity import Identity
from mcp_bridge.login.loopback import Loopback
from mcp_bridge.login.refusals import Refused

_LONG_AGO: Final = 1.0
_ERROR_CODE: Final = re.compile(r"[a-z][a-z0-9_]{1,60}")
"""What stands for a reason; a text with it is for the page of the authorization server."""

# It writes whole exceptions there before it raises them, with what a server has said.
logging.getLogger("mcp.client.auth").setLevel(logging.CRITICAL)


class _UserRefused(errors.LoginFailed):
    """In the browser; the text is the code of the error."""


class _Nowhere(errors.LoginFailed):
    """There is no metadata of an authorization server."""


class _Discovering:
    """Asks no server for anything that has not said what it is."""

    def __init__(self, *, has_found: bool) -> None:
        """``has_found``: it is known from before."""
        self._sender = Sender(_Environment)
        self._has_found = has_found

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and not self._has_found:
            raise _Nowhere
        answer = await self._sender(request)
        self._has_found = self._has_found or answer.status_code == 200
        return answer


class _Record:
    """What a flow begins with, and what comes of it."""

    def __init__(self, config: ClientConfig, content: Mapping[str, Any]) -> None:
        # Whose record it is has been looked at, and the port of this machine makes no difference.
        self.content = {**content, "of": config.identity()}

    async def load(self) -> dict[str, Any]:
        return self.content

    async def save(self, record: dict[str, Any]) -> None:
        self.content = record


async def refreshed(grant: Grant, identity: Identity) -> Grant | None:
    """A grant with fresh tokens; None if the server gives none for it any more. Raises LoginFailed
    if it cannot be asked."""
    config = _config(grant.endpoint, identity, None)
    record = _Record(config, {**grant.record, "token_expiry_time": _LONG_AGO})
    client = OAuthClient(config, record, Sender(_Environment))
    try:
        has_token = bool(await client.headers())
    except errors.LoginFailed as error:
        raise LoginFailed(grant.endpoint, str(error)) from None
    return Grant(grant.endpoint, record.content) if has_token else None


async def authorized(
    endpoint: str,
    refused: Refused,
    held: Grant | None,
    identity: Identity,
    loopback: Loopback,
    show: Callable[[str], None],
) -> Grant:
    """A grant that the user gives in the browser, to which ``show`` brings them. ``held`` is what
    there was before. Raises LoginFailed."""

    async def ask(url: str) -> AuthorizationCodeResult:
        loopback.expect(parse_qs(urlsplit(url).query)["state"][0])
        show(url)
        given = await loopback.answer()
        if "code" not in given:
            code = given.get("error", "")
            raise _UserRefused(code if _ERROR_CODE.fullmatch(code) else "an error")
        return AuthorizationCodeResult(
            code=given["code"], state=given.get("state"), iss=given.get("iss")
        )

    config = _config(endpoint, identity, loopback.redirect_uri)
    record = _Record(config, _beginning(held, identity, refused))
    sender = _Discovering(has_found=bool(record.content.get("oauth_metadata")))
    client = OAuthClient(config, record, sender, ask)
    used = f"Bearer {held.access_token}" if held is not None and refused.wants_more else None
    sent = {AUTHORIZATION: used} if used is not None else {}
    try:
        has_more = await client.challenged(Challenge(refused.status, refused.challenge or ""), sent)
    except _UserRefused as refusal:
        raise LoginRefused(endpoint, str(refusal)) from None
    except _Nowhere:
        raise NoLogin(endpoint) from None
    except errors.LoginFailed as error:
        raise LoginFailed(endpoint, str(error)) from None
    if not has_more:
        raise NoLogin(endpoint)
    return Grant(endpoint, record.content)


def _config(endpoint: str, identity: Identity, redirect_uri: str | None) -> ClientConfig:
    return ClientConfig(
        server_url=endpoint,
        redirect_uri=redirect_uri,
        application_type="native",
        metadata_url=identity.published,
        client_id=identity.client_id if identity.is_registered else None,
        client_secret=identity.secret,
    )


def _beginning(held: Grant | None, identity: Identity, refused: Refused) -> dict[str, Any]:
    """What of a grant is of use for a login: its tokens, if they lack something only; its client,
    if it is not to be registered again."""
    record = dict(held.record) if held is not None else {}
    if not refused.wants_more:
        record.pop("current_tokens", None)
        record.pop("oauth_metadata", None)  # the server may have moved
    if not identity.is_registered:
        record.pop("client_info", None)
    return record


class _Environment(httpx2.AsyncBaseTransport):
    """The way that the user's environment says: through its proxies, and with its authorities."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient(follow_redirects=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        await self._client.aclose()
