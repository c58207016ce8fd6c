"""Which permission each function of the manager takes, in one table, enforced in one place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.auth.access import Action, decide
from gateway.auth.audit import AuditLog
from gateway.rpc.local import LocalFunction
from schema.errors import InvalidRequest
from schema.identity import Caller


@dataclass(frozen=True, slots=True)
class Rule:
    """``action`` on the caller's workspace, on the one that ``argument`` names, or on the one that
    ``find`` reads from the arguments."""

    action: Action
    argument: str | None = None
    find: Callable[[Caller, Mapping[str, Any]], str] | None = None

    def workspace(self, caller: Caller, named: Mapping[str, Any]) -> str:
        """Which workspace a call is about. Raises InvalidRequest."""
        if self.find is not None:
            return self.find(caller, named)
        return (self.argument and named.get(self.argument)) or caller.workspace


@dataclass(frozen=True, slots=True)
class Inside:
    """What a function gives is decided piece by piece while it runs; ``because`` says why that
    cannot be told from its arguments."""

    because: str


def _of_client(caller: Caller, named: Mapping[str, Any]) -> str:
    workspace, slash, _ = str(named.get("client_id")).partition("/")
    return workspace if slash else caller.workspace


def _of_token(caller: Caller, named: Mapping[str, Any]) -> str:
    workspace = (named.get("config") or {}).get("workspace") or caller.workspace
    if not isinstance(workspace, str):
        raise InvalidRequest("The option 'workspace' must be text")
    return workspace


RULES: Final[dict[str, Rule | Inside]] = {
    "echo": Rule(Action.ECHO),
    "log": Rule(Action.LOG_EVENT),
    "log_event": Rule(Action.LOG_EVENT),
    "get_events": Rule(Action.READ_EVENTS),
    "get_event_stats": Rule(Action.READ_EVENTS),
    "register_service": Inside(
        "whoever is connected registers its built-in, others need REGISTER_SERVICE"
    ),
    "unregister_service": Rule(Action.UNREGISTER_SERVICE),
    "list_services": Inside("each entry by SEE_LISTED"),
    "search_services": Inside("there is no search, whoever asks"),
    "get_service": Inside("USE of the service that is found"),
    "get_service_info": Inside("USE of the service that is found"),
    "list_clients": Rule(Action.LIST_CLIENTS, "workspace"),
    "register_service_type": Rule(Action.REGISTER_SERVICE_TYPE),
    "get_service_type": Inside("public types are for everybody, others need READ_SERVICE_TYPE"),
    "list_service_types": Rule(Action.READ_SERVICE_TYPE, "workspace"),
    "list_workspaces": Inside("each entry by READ_WORKSPACE"),
    "create_workspace": Rule(Action.CREATE_WORKSPACE),
    "update_workspace": Rule(Action.UPDATE_WORKSPACE, "workspace"),
    "share_workspace": Rule(Action.SHARE_WORKSPACE, "workspace"),
    "unshare_workspace": Rule(Action.SHARE_WORKSPACE, "workspace"),
    "list_members": Rule(Action.LIST_MEMBERS, "workspace"),
    "delete_workspace": Rule(Action.DELETE_WORKSPACE, "workspace"),
    "get_workspace_info": Rule(Action.READ_WORKSPACE, "workspace"),
    "get_summary": Rule(Action.READ_WORKSPACE),
    "check_status": Rule(Action.READ_WORKSPACE),
    "cleanup": Rule(Action.CLEAN_UP, "workspace"),
    "bookmark": Inside("kept for the caller itself, who must be able to see what it points to"),
    "unbookmark": Inside("the caller's own list"),
    "set_env": Rule(Action.WRITE_ENVIRONMENT),
    "get_env": Rule(Action.READ_ENVIRONMENT),
    "generate_token": Rule(Action.GENERATE_TOKEN, find=_of_token),
    "revoke_token": Rule(Action.REVOKE_TOKEN),
    "parse_token": Rule(Action.PARSE_TOKEN),
    "generate_api_key": Rule(Action.MAKE_KEY, "workspace"),
    "list_api_keys": Rule(Action.MANAGE_KEYS, "workspace"),
    "revoke_api_key": Rule(Action.MANAGE_KEYS, "workspace"),
    "get_audit_log": Rule(Action.READ_AUDIT, "workspace"),
    "restrict_function": Rule(Action.RESTRICT_FUNCTION, "workspace"),
    "unrestrict_function": Rule(Action.RESTRICT_FUNCTION, "workspace"),
    "list_function_access": Rule(Action.RESTRICT_FUNCTION, "workspace"),
    "ping": Rule(Action.PING_CLIENT, find=_of_client),
    "subscribe": Inside("events of the connection's own workspace, which CONNECT opened"),
    "unsubscribe": Inside("the connection's own list"),
}


AUDITED: Final = frozenset(
    {
        "bookmark",
        "cleanup",
        "create_workspace",
        "delete_workspace",
        "generate_api_key",
        "generate_token",
        "get_audit_log",
        "get_env",
        "list_api_keys",
        "restrict_function",
        "revoke_api_key",
        "revoke_token",
        "set_env",
        "share_workspace",
        "unregister_service",
        "unrestrict_function",
        "unshare_workspace",
        "update_workspace",
    }
)
"""Functions of the manager that change or show who may do what: their calls are always logged."""


def guarded(name: str, function: LocalFunction, audit: AuditLog | None = None) -> LocalFunction:
    """The function, behind its rule. Raises KeyError for one without: deny by default."""
    rule = RULES[name]
    checked = function
    if isinstance(rule, Rule):

        @functools.wraps(function)
        async def permitted(caller: Caller, **named: Any) -> Any:
            decide(caller, rule.action, rule.workspace(caller, named)).require()
            return await function(caller, **named)

        checked = permitted
    if audit is None or name not in AUDITED:
        return checked
    argument = rule.argument if isinstance(rule, Rule) else None
    return audited(checked, audit, "manager", name, argument)


def guarded_by(
    action: Action, resource: str, function: LocalFunction, audit: AuditLog | None = None
) -> LocalFunction:
    """The function, for those who may do ``action`` on ``resource``."""

    @functools.wraps(function)
    async def checked(caller: Caller, **named: Any) -> Any:
        decide(caller, action, resource).require()
        return await function(caller, **named)

    return checked if audit is None else audited(checked, audit, action.label, function.__name__)


def audited(
    function: LocalFunction,
    audit: AuditLog,
    target: str,
    name: str,
    argument: str | None = None,
) -> LocalFunction:
    """The function, whose calls are logged: in the workspace that ``argument`` names, else in the
    caller's. Their arguments may be secrets."""

    @functools.wraps(function)
    async def noted(caller: Caller, **named: Any) -> Any:
        workspace = named.get(argument) if argument else None
        where = workspace if isinstance(workspace, str) and workspace else caller.workspace
        call = (where, "websocket" if caller.client_id else "http", target, name)
        return await audit.noted(caller, call, named, function(caller, **named), is_secret=True)

    return noted
