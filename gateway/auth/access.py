"""The access decision. ``decide`` is the only place that says yes or no. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from schema.access import FunctionRule
from schema.errors import PermissionDenied
from schema.identity import ANY_WORKSPACE, Caller, Permission, User
from schema.services import BUILT_IN, ServiceInfo, Visibility


class Action(Enum):
    """What can be done in a workspace, and the permission on it that this takes; None: none, as
    what there is to get by it is decided piece by piece."""

    CONNECT = ("connect", Permission.READ)
    READ_WORKSPACE = ("read_workspace", Permission.READ)
    LIST_CLIENTS = ("list_clients", Permission.READ)
    PING_CLIENT = ("ping_client", Permission.READ)
    READ_EVENTS = ("read_events", Permission.READ)
    READ_SERVICE_TYPE = ("read_service_type", Permission.READ)
    PARSE_TOKEN = ("parse_token", Permission.READ)
    ECHO = ("echo", Permission.READ)
    SUBSCRIBE = ("subscribe", Permission.READ)
    REGISTER_BUILT_IN = ("register_built_in", Permission.READ)
    """What every client has for its peers and its own callbacks; others do not see it as an offer.
    """
    LIST_SERVICES = ("list_services", None)
    LIST_HIDDEN = ("list_hidden", Permission.READ)
    """Services that a list leaves out, for those who are where they are offered."""
    FIND_SERVICE = ("find_service", None)
    FIND_SERVICE_TYPE = ("find_service_type", None)
    LIST_WORKSPACES = ("list_workspaces", None)
    KEEP_BOOKMARKS = ("keep_bookmarks", None)
    """The caller's own, in its own workspace; not for anonymous requests, whose user is nobody."""
    KEEP_CREDENTIAL = ("keep_credential", None)
    """The caller's own for a server; not for anonymous users, who could not take it back."""
    BROADCAST = ("broadcast", Permission.READ_WRITE)
    LOG_EVENT = ("log_event", Permission.READ_WRITE)
    REGISTER_SERVICE = ("register_service", Permission.READ_WRITE)
    UNREGISTER_SERVICE = ("unregister_service", Permission.READ_WRITE)
    REGISTER_SERVICE_TYPE = ("register_service_type", Permission.READ_WRITE)
    READ_ENVIRONMENT = ("read_environment", Permission.READ_WRITE)
    WRITE_ENVIRONMENT = ("write_environment", Permission.READ_WRITE)
    CREATE_WORKSPACE = ("create_workspace", Permission.READ_WRITE)
    """From the workspace where they are; not for anonymous users, who could not come back to it."""
    BOOKMARK = ("bookmark", Permission.READ_WRITE)
    GENERATE_TOKEN = ("generate_token", Permission.ADMIN)
    ATTRIBUTE_TOKEN = ("attribute_token", Permission.ADMIN)
    """Make one with the e-mail address of somebody else; the resource is every workspace."""
    REVOKE_TOKEN = ("revoke_token", Permission.ADMIN)
    UPDATE_WORKSPACE = ("update_workspace", Permission.ADMIN)
    SHARE_WORKSPACE = ("share_workspace", Permission.ADMIN)
    LIST_MEMBERS = ("list_members", Permission.READ_WRITE)
    DELETE_WORKSPACE = ("delete_workspace", Permission.ADMIN)
    CLEAN_UP = ("clean_up", Permission.ADMIN)
    ADMINISTER = ("administer", Permission.ADMIN)
    """The server itself; the resource is every workspace."""
    RUN_PROGRAM = ("run_program", Permission.ADMIN)
    """On the machine of the gateway, or read a file of it; the resource is every workspace."""
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

    def __init__(self, label: str, needs: Permission | None) -> None:
        self.label = label
        self.needs = needs


class ServiceAction(Enum):
    """What can be done with a service."""

    USE = "use"
    """Find it by its id, read it, call it."""
    SEE_LISTED = "see_listed"
    """Have it in a list."""
    SEE_HIDDEN = "see_hidden"
    """Have it in a list that leaves nothing out."""
    OFFER = "offer"
    """Register it, as the client whose it is."""
    REMOVE = "remove"
    """Unregister it."""


class FunctionAction(Enum):
    """What can be done with a single function of a service that the caller may use."""

    CALL = "call"


class TokenAction(Enum):
    """What can be done with the token of a user whom it was read from."""

    PARSE = "parse"
    REVOKE = "revoke"


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

_NO = Verdict(False, "Permission denied")

_OF_LIMITED = frozenset(
    {
        Action.CONNECT,
        Action.ECHO,
        Action.PING_CLIENT,
        Action.SUBSCRIBE,
        Action.REGISTER_BUILT_IN,
        Action.LIST_SERVICES,
        Action.FIND_SERVICE,
    }
)
"""What a credential for certain functions is good for besides calling them."""

_OF_CLIENTS = {
    Action.REGISTER_BUILT_IN: "register a service",
    Action.REGISTER_SERVICE: "register a service",
    Action.SUBSCRIBE: "subscribe to events",
}
"""What takes a connection, whose peer it is done for."""

_NOT_ANONYMOUS = {
    Action.MANAGE_SERVERS: "Permission denied: log in to manage servers",
    Action.CREATE_WORKSPACE: "Only registered user can create workspace.",
    Action.KEEP_CREDENTIAL: "Log in to store a credential",
    Action.MAKE_KEY: "Permission denied: log in to make API keys",
}


def decide(
    caller: Caller,
    action: Action | ServiceAction | FunctionAction | TokenAction,
    resource: str | ServiceInfo | FunctionRule | User,
) -> Verdict:
    """May ``caller`` do ``action`` on ``resource``: a workspace, a service, a function with a rule
    about who may call it, or the token of a user? Denies by default."""
    if isinstance(action, Action):
        return _decide_workspace(caller, action, resource) if isinstance(resource, str) else _NO
    if isinstance(action, ServiceAction):
        return (
            _decide_service(caller, action, resource) if isinstance(resource, ServiceInfo) else _NO
        )
    if isinstance(action, FunctionAction):
        return (
            _decide_function(caller.user, resource) if isinstance(resource, FunctionRule) else _NO
        )
    return _decide_token(caller, action, resource) if isinstance(resource, User) else _NO


def _decide_workspace(caller: Caller, action: Action, workspace: str) -> Verdict:
    reason = _who_never_may(caller, action, workspace)
    if reason is not None:
        return Verdict(False, reason)
    if caller.user.scope.is_specialised:
        return _NO
    if action.needs is None:
        return _YES
    held = caller.permission_on(workspace)
    if held is not None and held.covers(action.needs):
        return _YES
    return Verdict(False, _too_little(action, held, workspace), action.needs)


def _who_never_may(caller: Caller, action: Action, workspace: str) -> str | None:
    """Why a caller may not do something, whatever the permission."""
    user = caller.user
    if user.is_anonymous and action in _NOT_ANONYMOUS:
        return _NOT_ANONYMOUS[action]
    if action is Action.MAKE_KEY and user.parent is not None:
        return _NOT_ANONYMOUS[action]
    if user.scope.functions is not None and action not in _OF_LIMITED:
        return "Permission denied: this key is for certain functions only"
    if action is Action.KEEP_BOOKMARKS and user.is_anonymous and caller.client_id is None:
        return "Permission denied: log in to keep bookmarks"
    if caller.client_id is None and action in _OF_CLIENTS:
        return f"Only a connected client can {_OF_CLIENTS[action]}"
    if action is Action.LIST_HIDDEN and workspace != caller.workspace:
        if workspace == ANY_WORKSPACE:
            return "Cannot include unlisted services when searching all workspaces"
        return f"Cannot include unlisted services from workspace {workspace}"
    return None


def _too_little(action: Action, held: Permission | None, workspace: str) -> str:
    if action is Action.GENERATE_TOKEN:  # in the words that clients know
        if held is not None:
            return "Only admin can generate token."
        return f"You do not have any permission for workspace: {workspace}"
    if action is Action.ATTRIBUTE_TOKEN:
        return "Only an admin of the server can say whose e-mail address a token has."
    if action is Action.RUN_PROGRAM:
        return (
            "A server with a command runs on the machine of the gateway: only its operators may "
            "add one, or name a file of it"
        )
    return f"Permission denied for workspace {workspace}"


def _decide_service(caller: Caller, action: ServiceAction, service: ServiceInfo) -> Verdict:
    if caller.user.scope.is_specialised:
        return Verdict(False, "Permission denied: this token serves one purpose only")
    if action is ServiceAction.OFFER:
        return _decide_offer(caller, service)
    if action is ServiceAction.REMOVE:
        return _decide_removal(caller, service)
    return _decide_use(caller, action, service)


def _decide_use(caller: Caller, action: ServiceAction, service: ServiceInfo) -> Verdict:
    workspace = service.id.workspace
    visibility = service.visibility
    if not _is_among(service, caller.user.scope.functions):
        return Verdict(False, "Permission denied: this key is for other services")
    if visibility is Visibility.PUBLIC:
        return _YES
    if visibility is Visibility.UNLISTED:
        if action is ServiceAction.USE:
            return _YES
        if action is ServiceAction.SEE_HIDDEN:
            return _decide_workspace(caller, Action.LIST_HIDDEN, workspace)
        return Verdict(False, "Permission denied for an unlisted service")
    # Not what membership gives elsewhere: a provider's library refuses calls from other workspaces,
    # so a service that could be found from there could not be called.
    if caller.user.scope.permission_on(workspace) is not None:
        return _YES
    if caller.workspace in service.authorized_workspaces:
        return _YES
    return Verdict(False, f"Permission denied for non-public service in workspace {workspace}")


def _decide_offer(caller: Caller, service: ServiceInfo) -> Verdict:
    sid = service.id
    if sid.workspace != caller.workspace:
        return Verdict(
            False,
            f"Service ID workspace prefix '{sid.workspace}' does not match the current workspace "
            f"'{caller.workspace}'. Cannot register services in other workspaces.",
        )
    if sid.client_id != caller.client_id:
        return Verdict(
            False,
            f"Service ID client part '{sid.client_id}' is not the id of this client "
            f"'{caller.client_id}'.",
        )
    return _YES


def _decide_removal(caller: Caller, service: ServiceInfo) -> Verdict:
    if service.id.workspace != caller.workspace:
        return Verdict(False, "Services of another workspace cannot be unregistered")
    is_own = service.id.client_id == caller.client_id
    action = Action.UNREGISTER_SERVICE if is_own else Action.MANAGE_OTHERS_SERVICES
    return _decide_workspace(caller, action, caller.workspace)


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


def _decide_token(caller: Caller, action: TokenAction, bearer: User) -> Verdict:
    scope = bearer.scope
    if action is TokenAction.PARSE:
        if scope.current_workspace in (None, caller.workspace):
            return _YES
        return Verdict(
            False,
            f"The token is for workspace {scope.current_workspace}, not for {caller.workspace}",
        )
    if caller.workspace in scope.workspaces or bearer.effective_id == caller.user.effective_id:
        return _YES
    return Verdict(False, "Only tokens of this workspace can be revoked here")


def is_inside(caller: Caller, workspace: str) -> bool:
    """Whether the caller acts in the workspace, or in all, and so sees its entries in full."""
    acts_there = caller.user.scope.permission_on(workspace) is not None
    return acts_there and decide(caller, Action.READ_WORKSPACE, workspace).allowed


def hidden_from_strangers(service: ServiceInfo) -> bool:
    """Every client's own ``built-in`` service is public so that peers can reach it, yet it is no
    offer to anybody: lists for strangers leave it out."""
    return service.id.service_id == BUILT_IN
