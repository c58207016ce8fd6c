"""Functions of the manager that are about who may call a single function of a service."""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.auth.function_access import FunctionAccess
from schema.access import FunctionRule
from schema.errors import InvalidRequest
from schema.identity import Caller

_SERVICE: Final = re.compile(r"[^\s/:@*]{1,255}")
_PATH: Final = re.compile(r"[^\s/:*]{1,255}")


class FunctionAccessFunctions:
    """Restrict functions to users, e-mail addresses, roles and API keys."""

    def __init__(self, functions: FunctionAccess) -> None:
        self._functions = functions

    async def restrict_function(  # noqa: PLR0913 - one list for each kind of caller
        self,
        caller: Caller,
        service_id: str,
        function: str,
        users: list[str] | None = None,
        emails: list[str] | None = None,
        roles: list[str] | None = None,
        keys: list[str] | None = None,
        workspace: str | None = None,
    ) -> dict[str, Any]:
        """Let only those call a function who are named: users by id or verified e-mail address,
        everybody with a role, API keys by id. For all others there is no such function, whatever
        door they come to. Nobody named: nobody but its provider."""
        lists = {"users": users, "emails": emails, "roles": roles, "keys": keys}
        rule = FunctionRule.read({kind: names for kind, names in lists.items() if names})
        key = _key(workspace or caller.workspace, service_id, function)
        await self._functions.restrict(key, rule)
        return {"service_id": key[1], "function": function, **rule.to_wire()}

    async def unrestrict_function(
        self, caller: Caller, service_id: str, function: str, workspace: str | None = None
    ) -> None:
        """Take back restrict_function. What the provider of the service declares still counts."""
        await self._functions.release(_key(workspace or caller.workspace, service_id, function))

    async def list_function_access(
        self, caller: Caller, workspace: str | None = None
    ) -> list[dict[str, Any]]:
        """List what restrict_function has set in a workspace."""
        return self._functions.listed(workspace or caller.workspace)


def _key(workspace: str, service_id: str, function: str) -> tuple[str, str, str]:
    name = service_id.rpartition("/")[2].rpartition(":")[2].partition("@")[0]
    if not _SERVICE.fullmatch(name) or not _PATH.fullmatch(function):
        raise InvalidRequest("A rule needs the id of a service and the path of a function")
    return workspace, name, function
