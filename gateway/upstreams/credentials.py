"""What an upstream is shown to prove for whom it works.

In this order: what the caller sent along for it, what the user has stored for it, and what its
configuration says. The token with which the caller came to the gateway is never among them: it was
made for the gateway (revision 2026-07-28, authorization, token passthrough).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Final

from gateway.upstreams.entries import Remote, Upstream
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

    def shared(self, upstream: Upstream) -> Mapping[str, str]:
        """Headers in addition to the configured ones, for the gateway's own connection: none."""
        return {}

    async def personal(self, upstream: Upstream, caller: Caller) -> Mapping[str, str] | None:
        """Headers for the calls of one user, or None if the shared connection serves them."""
        if not isinstance(upstream.target, Remote):
            return None
        value = sent_along.get({}).get(upstream.name.lower())
        if value is None and self._stored is not None and not caller.user.is_anonymous:
            value = await self._stored(upstream.key, caller.user.effective_id)
        return None if value is None else {AUTHORIZATION: value}
