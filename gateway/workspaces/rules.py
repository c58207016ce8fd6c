"""Which permission each function of the manager takes, in one table, enforced in one place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.auth.access import Action, ServiceAction, TokenAction, decide
from gateway.auth.audit import AuditLog
from gateway.requests import current_door
from gateway.rpc.local import LocalFunction
from gateway.workspaces.listing import ServiceFilter
from gateway.workspaces.registering import is_local_only, service_name
from schema.errors import InvalidRequest, PermissionDenied
from schema.identity import ANY_WORKSPACE, Caller
from schema.ids import ServiceQuery
from schema.services import BUILT_IN, Visibility


@dataclass(frozen=True, slots=True)
class Rule:
    """``action`` on the caller's workspace, on the one that ``argument`` names, or on the one that
    ``find`` reads from the arguments."""

    action: Action
    argument: str | None = None
    find: Callable[[Caller, Mapping[str, Any]], str] | None = None
    each: Action | ServiceAction | TokenAction | None = None
    """What each thing takes that it gives or changes besides. Whoever finds them decides about
    them: ``registry.directory`` and ``workspaces.reach``."""

    def of(self, caller: Caller, named: Mapping[str, Any]) -> Rule:
        """The rule for a call."""
        return self

    def workspace(self, caller: Caller, named: Mapping[str, Any]) -> str:
        """Which workspace a call is about. Raises InvalidRequest."""
        if self.find is not None:
            return self.find(caller, named)
        return (self.argument and named.get(self.argument)) or caller.workspace


@dataclass(frozen=True, slots=True)
class OneOf:
    """Several rules, of which the arguments of a call say which one holds."""

    choose: Callable[[Caller, Mapping[str, Any]], Rule]
    rules: tuple[Rule, ...]

    def of(self, caller: Caller, named: Mapping[str, Any]) -> Rule:
        """The rule for a call. Raises InvalidRequest."""
        return self.choose(caller, named)


def _of_client(caller: Caller, named: Mapping[str, Any]) -> str:
    workspace, slash, _ = str(named.get("client_id")).partition("/")
    return workspace if slash else caller.workspace


def _of_token(caller: Caller, named: Mapping[str, Any]) -> str:
    workspace = (named.get("config") or {}).get("workspace") or caller.workspace
    if not isinstance(workspace, str):
        raise InvalidRequest("The option 'workspace' must be text")
    return workspace


_MINT = Rule(Action.GENERATE_TOKEN, find=_of_token)
_MINT_FOR_OTHERS = Rule(Action.ATTRIBUTE_TOKEN, find=lambda caller, named: ANY_WORKSPACE)


def _minting(caller: Caller, named: Mapping[str, Any]) -> Rule:
    is_own = (named.get("config") or {}).get("email") in (None, caller.user.email)
    return _MINT if is_own else _MINT_FOR_OTHERS


def _of_service(caller: Caller, named: Mapping[str, Any]) -> str:
    return ServiceQuery.parse(named["service_id"], caller.workspace).workspace


def _of_type(caller: Caller, named: Mapping[str, Any]) -> str:
    workspace, slash, _ = str(named["type_info"].get("id")).rpartition("/")
    return workspace if slash else caller.workspace


_REGISTER = Rule(Action.REGISTER_SERVICE, each=ServiceAction.OFFER)
_REGISTER_BUILT_IN = Rule(Action.REGISTER_BUILT_IN, each=ServiceAction.OFFER)


def _registering(caller: Caller, named: Mapping[str, Any]) -> Rule:
    service = named["service"]
    is_own_business = service_name(service) == BUILT_IN or is_local_only(service)
    return _REGISTER_BUILT_IN if is_own_business else _REGISTER


_LIST = Rule(Action.LIST_SERVICES, each=ServiceAction.SEE_LISTED)
_LIST_HIDDEN = Rule(
    Action.LIST_HIDDEN,
    find=lambda caller, named: ServiceFilter.read(named["query"], caller.workspace).workspace,
    each=ServiceAction.SEE_HIDDEN,
)


def _listing(caller: Caller, named: Mapping[str, Any]) -> Rule:
    wanted = ServiceFilter.read(named["query"], caller.workspace)
    if named["include_unlisted"]:
        return _LIST_HIDDEN
    if wanted.wants_all_protected:
        raise PermissionDenied("Cannot list protected or unlisted services in all workspaces")
    if wanted.fields.get("visibility") == Visibility.UNLISTED.value:
        raise PermissionDenied("Unlisted services are only listed with include_unlisted")
    return _LIST


RULES: Final[dict[str, Rule | OneOf]] = {
    "echo": Rule(Action.ECHO),
    "log": Rule(Action.LOG_EVENT),
    "log_event": Rule(Action.LOG_EVENT),
    "get_events": Rule(Action.READ_EVENTS),
    "get_event_stats": Rule(Action.READ_EVENTS),
    "register_service": OneOf(_registering, (_REGISTER, _REGISTER_BUILT_IN)),
    "unregister_service": Rule(
        Action.UNREGISTER_SERVICE, find=_of_service, each=ServiceAction.REMOVE
    ),
    "list_services": OneOf(_listing, (_LIST, _LIST_HIDDEN)),
    "search_services": Rule(Action.LIST_SERVICES),
    "get_service": Rule(Action.FIND_SERVICE, each=ServiceAction.USE),
    "get_service_info": Rule(Action.FIND_SERVICE, each=ServiceAction.USE),
    "list_clients": Rule(Action.LIST_CLIENTS, "workspace"),
    "register_service_type": Rule(Action.REGISTER_SERVICE_TYPE, find=_of_type),
    "get_service_type": Rule(Action.FIND_SERVICE_TYPE, each=Action.READ_SERVICE_TYPE),
    "list_service_types": Rule(Action.READ_SERVICE_TYPE, "workspace"),
    "list_workspaces": Rule(Action.LIST_WORKSPACES, each=Action.READ_WORKSPACE),
    "create_workspace": Rule(Action.CREATE_WORKSPACE, each=Action.UPDATE_WORKSPACE),
    "update_workspace": Rule(Action.UPDATE_WORKSPACE, "workspace"),
    "share_workspace": Rule(Action.SHARE_WORKSPACE, "workspace"),
    "unshare_workspace": Rule(Action.SHARE_WORKSPACE, "workspace"),
    "list_members": Rule(Action.LIST_MEMBERS, "workspace", each=Action.SHARE_WORKSPACE),
    "delete_workspace": Rule(Action.DELETE_WORKSPACE, "workspace"),
    "get_workspace_info": Rule(Action.READ_WORKSPACE, "workspace", each=Action.BOOKMARK),
    "get_summary": Rule(Action.READ_WORKSPACE),
    "check_status": Rule(Action.READ_WORKSPACE),
    "cleanup": Rule(Action.CLEAN_UP, "workspace"),
    "bookmark": Rule(Action.KEEP_BOOKMARKS, each=Action.READ_WORKSPACE),
    "unbookmark": Rule(Action.KEEP_BOOKMARKS),
    "set_env": Rule(Action.WRITE_ENVIRONMENT),
    "get_env": Rule(Action.READ_ENVIRONMENT),
    "generate_token": OneOf(_minting, (_MINT, _MINT_FOR_OTHERS)),
    "revoke_token": Rule(Action.REVOKE_TOKEN, each=TokenAction.REVOKE),
    "parse_token": Rule(Action.PARSE_TOKEN, each=TokenAction.PARSE),
    "generate_api_key": Rule(Action.MAKE_KEY, "workspace"),
    "list_api_keys": Rule(Action.MANAGE_KEYS, "workspace"),
    "revoke_api_key": Rule(Action.MANAGE_KEYS, "workspace"),
    "get_audit_log": Rule(Action.READ_AUDIT, "workspace"),
    "restrict_function": Rule(Action.RESTRICT_FUNCTION, "workspace"),
    "unrestrict_function": Rule(Action.RESTRICT_FUNCTION, "workspace"),
    "list_function_access": Rule(Action.RESTRICT_FUNCTION, "workspace"),
    "ping": Rule(Action.PING_CLIENT, find=_of_client),
    "subscribe": Rule(Action.SUBSCRIBE),
    "unsubscribe": Rule(Action.SUBSCRIBE),
}
"""Every function of the manager."""


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
    checked = permitted(rule, function)
    if audit is None or name not in AUDITED:
        return checked
    return audited(checked, audit, "manager", name, getattr(rule, "argument", None))


def permitted(rule: Rule | OneOf, function: LocalFunction) -> LocalFunction:
    """The function, for those whom the rule lets."""

    @functools.wraps(function)
    async def checked(caller: Caller, **named: Any) -> Any:
        holds = rule.of(caller, named)
        decide(caller, holds.action, holds.workspace(caller, named)).require()
        return await function(caller, **named)

    return checked


def guarded_by(
    action: Action, resource: str, function: LocalFunction, audit: AuditLog | None = None
) -> LocalFunction:
    """The function, for those who may do ``action`` on ``resource``."""

    checked = permitted(Rule(action, find=lambda caller, named: resource), function)
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
        door = "websocket" if caller.client_id else current_door.get()
        call = (where, door, target, name)
        return await audit.noted(caller, call, named, function(caller, **named), is_secret=True)

    return noted
