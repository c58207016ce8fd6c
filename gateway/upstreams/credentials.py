"""What an upstream is shown to prove for whom it works.

In this order: what the caller sent along for it, what the user has stored for it, and what its
configuration says. The token with which the caller came to the gateway is never among them: it was
made for the gateway (revision 2026-07-28, authorization, token passthrough).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Final

from gateway.upstreams.entries import Program, Upstream
from schema.errors import Unauthenticated
from schema.identity import Caller

AUTHORIZATION: Final = "Authorization"

sent_along: ContextVar[Mapping[str, str]] = ContextVar("upstream credentials of the request")
"""By name of the service in small letters; set where requests come in."""

Stored = Callable[[str, str], Awaitable[str | None]]
"""The credential that a user (by effective id) has stored for an upstream (by key)."""


class Credentials:
    """Finds the credential for a call."""

    def __init__(self, stored: Stored | None = None) -> None:
        self._stored = stored

    async def personal(self, upstream: Upstream, caller: Caller) -> Mapping[str, str] | None:
        """Headers for the calls of one user, or None if the shared connection serves them."""
        if isinstance(upstream.target, Program):
            return None
        value = sent_along.get({}).get(upstream.name.lower())
        if value is None and self._stored is not None and not caller.user.is_anonymous:
            value = await self._stored(upstream.key, caller.user.effective_id)
        return None if value is None else {AUTHORIZATION: value}

    async def required(self, upstream: Upstream, caller: Caller) -> Mapping[str, str] | None:
        """As ``personal``. Raises Unauthenticated if every user needs a credential, and this one
        has none."""
        headers = await self.personal(upstream, caller)
        if headers is None and upstream.per_user:
            raise Unauthenticated(
                f"{upstream.name} needs a credential of your own: store one with "
                "mcp-servers.set_credential, or send it in the header "
                f"X-Upstream-{upstream.name}-Authorization"
            )
        return headers
