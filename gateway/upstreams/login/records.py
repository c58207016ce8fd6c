"""Where the login of an upstream is kept: sealed, beside the credentials of users."""

from __future__ import annotations

import json
from typing import Any

from gateway.upstreams.credentials import StoredCredentials
from gateway.upstreams.entries import Upstream


class LoginRecords:
    """See ``gateway.oauth_client.config.Records``."""

    def __init__(self, credentials: StoredCredentials, upstream: Upstream) -> None:
        self._credentials = credentials
        self._upstream = upstream

    async def load(self) -> dict[str, Any] | None:
        text = await self._credentials.get(self._upstream, StoredCredentials.GATEWAY)
        record = json.loads(text) if text is not None else None
        return record if isinstance(record, dict) else None

    async def save(self, record: dict[str, Any]) -> None:
        await self._credentials.keep(self._upstream, StoredCredentials.GATEWAY, json.dumps(record))

    async def forget(self) -> None:
        """Log out, and forget what the gateway is called there."""
        await self._credentials.remove(self._upstream, StoredCredentials.GATEWAY)
