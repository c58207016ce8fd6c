"""Functions of the manager that are about API keys."""

from __future__ import annotations

from typing import Any, Literal

from gateway.auth.api_keys import ApiKeys
from schema.identity import Caller, Permission


class KeyFunctions:
    """Make, list and revoke API keys."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def generate_api_key(
        self,
        caller: Caller,
        name: str,
        permission: Literal["read", "read_write", "admin", "r", "rw", "a"] = "read",
        workspace: str | None = None,
        functions: list[str] | None = None,
        expires_in: float | None = None,
    ) -> dict[str, Any]:
        """Make an API key for a workspace that the caller administers. It is used like a token and
        is shown this once, as "key". It can be limited to services, or to functions of them, as
        service/function, and to a life in seconds."""
        key, entry = await self._keys.make(
            caller,
            name=name,
            workspace=workspace or caller.workspace,
            permission=Permission.parse(permission),
            functions=functions,
            expires_in=expires_in,
        )
        return {**entry, "key": key}

    async def list_api_keys(
        self, caller: Caller, workspace: str | None = None
    ) -> list[dict[str, Any]]:
        """List the API keys of a workspace: names, rights, and when they were used last."""
        return self._keys.listed(workspace or caller.workspace)

    async def revoke_api_key(
        self, caller: Caller, key_id: str, workspace: str | None = None
    ) -> None:
        """Refuse an API key from now on, and disconnect whoever came with it."""
        await self._keys.revoke(workspace or caller.workspace, key_id)
