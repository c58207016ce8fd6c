"""The access decision. ``decide`` is the only place that says yes or no. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from schema.access import FunctionRule
from schema.errors import PermissionDenied
from schema.identity import Caller, Permission, User
from schema.services import BUILT_IN, ServiceInfo, Visibility


class Action(Enum):
    """What can be done in a workspace, and the permission on it that this takes."""

    CONNECT = ("connect", Permission.READ)
    READ_WORKSPACE = ("read_workspace", Permission.READ)
    LIST_CLIENTS = ("list_clients", Permission.READ)
    PING_CLIENT = ("ping_client", Permission.READ)
    READ_EVENTS = ("read_events", Permission.READ)
    READ_SERVICE_TYPE = ("read_service_type", Permission.READ)
    PARSE_TOKEN = ("parse_token", Permission.READ)
    ECHO = ("echo", Permission.READ)
    LOG_EVENT = ("log_event", Permission.READ_WRITE)
    REGISTER_SERVICE = ("register_service", Permission.READ_WRITE)
    UNREGISTER_SERVICE = ("unregister_service", Permission.READ_WRITE)
    REGISTER_SERVICE_TYPE = ("register_service_type", Permission.READ_WRITE)
    READ_ENVIRONMENT = ("read_environment", Permission.READ_WRITE)
    WRITE_ENVIRONMENT = ("write_environment", Permission.READ_WRITE)
    CREATE_WORKSPACE = ("create_workspace", Permission.READ)
    """From the workspace where they are; not for anonymous users, who could not come back to it."""
    BOOKMARK = ("bookmark", Permission.READ_WRITE)
    GENERATE_TOKEN = ("generate_token", Permission.ADMIN)
    REVOKE_TOKEN = ("revoke_token", Permission.ADMIN)
    UPDATE_WORKSPACE = ("update_workspace", Permission.ADMIN)
    SHARE_WORKSPACE = ("share_workspace", Permission.ADMIN)
    LIST_MEMBERS = ("list_members", Permission.READ_WRITE)
    DELETE_WORKSPACE = ("delete_workspace", Permission.ADMIN)
    CLEAN_UP = ("clean_up", Permission.ADMIN)
    ADMINISTER = ("administer", Permission.ADMIN)
    """The server itself; the resource is every workspace."""
    LIST_SERVERS = ("list_servers", Permission.READ)
    MANAGE_SERVERS = ("manage_servers", Permission.ADMIN)
    """MCP servers and APIs that are offered in a workspace; not for anonymous users, whose own
    workspace nobody answers for."""
    MAKE_KEY = ("make_key", Permission.ADMIN)
    """For users themselves: a key outlives the token that it would be made with."""
    MANAGE_KEYS = ("manage_keys", Permission.ADMIN)
    READ_AUDIT = ("read_audit", Permission.ADMIN)
    RESTRICT_FUNCTION = ("restrict_function", Permission.ADMIN)
    MANAGE_OTHERS_SERVICES = ("manage_others_services", Permission.ADMIN)

    def __init__(self, label: str, needs: Permission) -> None:
        self.label = label
        self.needs = needs


class ServiceAction(Enum):
    """What can be done with a service."""

    USE = "use"
    """Find it by its id, read it, call it."""
    SEE_LISTED = "see_listed"
    """Have it in a list."""


class FunctionAction(Enum):
    """What can be done with a single function of a service that the caller may use."""

    CALL = "call"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a decision, with the reason for the caller, and the permission that would
    have done if one would."""

    allowed: bool
    reason: str = ""
    needs: Permission | None = None

    def require(self) -> None:
        """Raise PermissionDenied unless allowed."""
        if not self.allowed:
            needs = self.needs.value if self.needs is not None else None
            raise PermissionDenied(self.reason, needs=needs)


_YES = Verdict(True)

_OF_LIMITED = frozenset({Action.CONNECT, Action.ECHO, Action.PING_CLIENT})
"""What a credential for certain functions is good for besides calling them."""


def decide(
    caller: Caller,
    action: Action | ServiceAction | FunctionAction,
    resource: str | ServiceInfo | FunctionRule,
) -> Verdict:
    """May ``caller`` do ``action`` on ``resource``: a workspace, a service, or a function with a
    rule about who may call it? Denies by default."""
    if isinstance(action, FunctionAction):
        if isinstance(resource, FunctionRule):
            return _decide_function(caller.user, resource)
        return Verdict(False, "Permission denied")
    if isinstance(action, ServiceAction):
        if isinstance(resource, ServiceInfo):
            return _decide_service(caller, action, resource)
        return Verdict(False, "Permission denied")
    scope = caller.user.scope
    reason = _who_never_may(caller.user, action)
    if reason is not None:
        return Verdict(False, reason)
    if isinstance(resource, str) and not scope.is_specialised:
        held = caller.permission_on(resource)
        if held is not None and held.covers(action.needs):
            return _YES
        return Verdict(False, _too_little(action, held, resource), action.needs)
    return Verdict(False, "Permission denied")


def _who_never_may(user: User, action: Action) -> str | None:
    """Why a user may not do something in any workspace, whatever the permission."""
    if user.is_anonymous and action is Action.MANAGE_SERVERS:
        return "Permission denied: log in to manage servers"
    if user.is_anonymous and action is Action.CREATE_WORKSPACE:
        return "Only registered user can create workspace."
    if action is Action.MAKE_KEY and (user.parent is not None or user.is_anonymous):
        return "Permission denied: log in to make API keys"
    if user.scope.functions is not None and action not in _OF_LIMITED:
        return "Permission denied: this key is for certain functions only"
    return None


def _too_little(action: Action, held: Permission | None, workspace: str) -> str:
    if action is Action.GENERATE_TOKEN:  # in the words that clients know
        if held is not None:
            return "Only admin can generate token."
        return f"You do not have any permission for workspace: {workspace}"
    return f"Permission denied for workspace {workspace}"


def _decide_service(caller: Caller, action: ServiceAction, service: ServiceInfo) -> Verdict:
    workspace = service.id.workspace
    visibility = service.visibility
    if caller.user.scope.is_specialised:
        return Verdict(False, "Permission denied: this token serves one purpose only")
    if not _is_among(service, caller.user.scope.functions):
        return Verdict(False, "Permission denied: this key is for other services")
    if visibility is Visibility.PUBLIC:
        return _YES
    if visibility is Visibility.UNLISTED:
        if action is ServiceAction.USE:
            return _YES
        return Verdict(False, "Permission denied for an unlisted service")
    if caller.permission_on(workspace) is not None:
        return _YES
    if caller.workspace in service.authorized_workspaces:
        return _YES
    return Verdict(False, f"Permission denied for non-public service in workspace {workspace}")


def _is_among(service: ServiceInfo, only: frozenset[str] | None) -> bool:
    if only is None:
        return True
    name = service.id.service_id
    return any(entry == name or entry.startswith(f"{name}/") for entry in only)


def _decide_function(user: User, rule: FunctionRule) -> Verdict:
    if "admin" in user.roles and user.parent is None:
        return _YES
    if (
        user.id in rule.users
        or (user.email_verified and (user.email or "").lower() in rule.emails)
        or not rule.roles.isdisjoint(user.roles)
        or (user.credential_id is not None and user.credential_id in rule.keys)
    ):
        return _YES
    return Verdict(False, "Permission denied for this function")


def is_inside(caller: Caller, workspace: str) -> bool:
    """Whether the caller may read the workspace, and so see its entries in full."""
    return decide(caller, Action.READ_WORKSPACE, workspace).allowed


def hidden_from_strangers(service: ServiceInfo) -> bool:
    """Every client's own ``built-in`` service is public so that peers can reach it, yet it is no
    offer to anybody: lists for strangers leave it out."""
    return service.id.service_id == BUILT_IN
