"""Who gets in, and where: from the first message of a connection to a user in a workspace.

Looks only at the message and at records; the connection itself is ``hub``'s. Each refusal has the
text that clients know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.auth.access import Action, decide
from gateway.auth.authentication import Authentication
from gateway.auth.blocks import Blocks
from gateway.auth.tokens import TokenIssuer
from gateway.workspaces.names import readable_name
from gateway.workspaces.records import PUBLIC_WORKSPACE
from gateway.workspaces.workspaces import Workspaces
from schema.errors import (
    Blocked,
    GatewayError,
    InvalidRequest,
    LimitExceeded,
    PermissionDenied,
    TokenRevoked,
    Unauthenticated,
    WorkspaceNotFound,
)
from schema.identity import (
    ANONYMOUS_PREFIX,
    Caller,
    Permission,
    Scope,
    User,
    personal_workspace,
    stronger,
)
from schema.ids import check_client_id

RECONNECT: Final = "reconnect"
"""Purpose of a reconnection token; it is good for nothing else."""

_ROAMS: Final = "roams"
"""Extra scope of a reconnection token: what the client first came with named no workspace."""

_MAX_CALLERS: Final = 16_384
"""As many as there are tokens that need no second look (``gateway.auth.tokens``)."""

_SPECIALISED: Final = "Specialized token: it serves one purpose only"

ANONYMOUS_LIFE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a client."""

    client_id: str
    workspace: str | None = None
    token: str | None = None
    reconnection_token: str | None = None
    remote: str | None = None
    """IP address that it came from."""

    @classmethod
    def read(cls, message: object, *, remote: str | None = None) -> Hello:
        """Raises InvalidRequest."""
        if not isinstance(message, dict):
            raise InvalidRequest("Failed to decode authentication information")
        values: dict[str, Any] = {}
        for key in ("workspace", "token", "reconnection_token"):
            value = message.get(key)
            if value is not None and not isinstance(value, str):
                raise InvalidRequest(f"The key {key!r} must be text")
            values[key] = value or None
        if not message.get("client_id"):
            raise InvalidRequest(f"Failed to authenticate user to workspace: {values['workspace']}")
        return cls(client_id=check_client_id(message["client_id"]), remote=remote, **values)


@dataclass(frozen=True, slots=True)
class Admission:
    """A client that may come in."""

    user: User
    workspace: str
    client_id: str
    credential: User
    """The user as the credential says, without what membership gives at the moment."""
    resumes: bool
    """It proved with a reconnection token to be the client that had this id before."""


class Doorkeeper:
    """Decides about first messages. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        tokens: TokenIssuer,
        authentication: Authentication,
        workspaces: Workspaces,
        blocks: Blocks,
        clock: Any,
    ) -> None:
        self._tokens = tokens
        self._authentication = authentication
        self._workspaces = workspaces
        self._blocks = blocks
        self._clock = clock
        self._callers: dict[tuple[int, str | None], tuple[User, int, Caller]] = {}
        """Callers without a connection, by verified user and the workspace of the request; each
        with its user, whose id it keeps from being used again, and the version of memberships."""

    async def admit(self, hello: Hello) -> Admission:
        """Raises Unauthenticated, PermissionDenied, WorkspaceNotFound, InvalidRequest, Blocked and
        Unavailable."""
        if hello.reconnection_token is not None:
            try:
                return self._resume(hello, hello.reconnection_token)
            except Unauthenticated:
                if hello.token is None:
                    raise
        credential = await self._user(hello)
        self._blocks.check_user(credential)
        workspace = self._workspace(hello, credential)
        user = self.as_member(credential, workspace)
        decide_connect(Caller(user, workspace, hello.client_id), workspace)
        return Admission(user, workspace, hello.client_id, credential=credential, resumes=False)

    def check_blocks(self, user: User) -> None:
        """Raises Blocked if the user, or the one that the user's token was minted from, is."""
        self._blocks.check_user(user)

    def act_in(self, user: User, workspace: str | None) -> Caller:
        """The caller of a request that is not a connection: in the workspace it names if the user
        may be there, else in the user's own.

        Raises Unauthenticated for a credential that is bound to a client, to one purpose, or to a
        workspace that is gone; Blocked.
        """
        self._blocks.check_user(user)
        key = id(user), workspace
        known = self._callers.get(key)
        if known is not None and known[0] is user and known[1] == self._workspaces.version:
            return known[2]
        caller = self._act_in(user, workspace)
        if len(self._callers) >= _MAX_CALLERS:
            self._callers.clear()
        self._callers[key] = user, self._workspaces.version, caller
        return caller

    def _act_in(self, user: User, workspace: str | None) -> Caller:
        if user.scope.is_specialised:
            raise Unauthenticated(_SPECIALISED)
        if user.scope.client_id is not None:
            raise Unauthenticated("This token is bound to a client")
        own = user.scope.current_workspace
        if own is None:
            own = personal_workspace(user.id)
            if user.parent is None and not user.is_anonymous:
                self._workspaces.ensure_personal(user)
            if workspace is not None and workspace != own:
                caller = self._caller(user, workspace)
                if decide(caller, Action.CONNECT, workspace).allowed:
                    return caller
        else:
            self._workspaces.restore(own, user.scope)
            if self._workspaces.get(own) is None:
                raise TokenRevoked("Token has been revoked: its workspace was deleted")
        return self._caller(user, own)

    def _caller(self, user: User, workspace: str) -> Caller:
        return Caller(self.as_member(user, workspace), workspace, memberships=self._workspaces)

    async def token_in(self, scope: Mapping[str, Any]) -> str | None:
        """The token that the operator's hook finds in a request, if there is such a hook."""
        if not self._authentication.finds_tokens:
            return None
        return await self._authentication.find(scope)

    async def bearer(self, token: str) -> User:
        """Whom a token was made for, even if it has expired since. Raises Unauthenticated."""
        return await self._authentication.bearer(token)

    def speaks_for(self, user: User, client: Caller) -> bool:
        """Whether a token of ``user`` could have opened the connection of ``client``: it was made
        for the same user, with the same rights, and for no other client."""
        scope, has = user.scope, client.user.scope
        return (
            user.id == client.user.id
            and scope.client_id in (None, client.client_id)
            and scope.current_workspace in (None, client.workspace)
            and scope.extra_scopes == has.extra_scopes
            and self.as_member(user, client.workspace).scope.workspaces == has.workspaces
        )

    def reconnection_token(self, admission: Admission, life_seconds: float) -> str:
        """A token with which this client, and no other, comes back; as long as the token that it
        first came with is not revoked."""
        scope = admission.credential.scope
        roams = (_ROAMS,) if scope.current_workspace is None else ()
        scope = replace(
            scope,
            current_workspace=admission.workspace,
            client_id=admission.client_id,
            extra_scopes=scope.extra_scopes + roams,
        )
        user = replace(admission.credential, scope=scope)
        return self._tokens.issue(user, expires_in_seconds=life_seconds, purpose=RECONNECT)

    def new_anonymous(self) -> User:
        """A user who has not existed before, with a workspace of their own."""
        name = f"{ANONYMOUS_PREFIX}{readable_name()}"
        own = personal_workspace(name)
        return User(
            id=name,
            roles=("anonymous",),
            is_anonymous=True,
            scope=Scope({own: Permission.ADMIN}, current_workspace=own),
            expires_at=self._clock() + ANONYMOUS_LIFE_SECONDS,
        )

    def as_member(self, user: User, workspace: str) -> User:
        """The user with what owning the workspace, or being a member, gives them there now; and
        without a grant that was made for an earlier workspace of the same name. The same object
        if that changes nothing."""
        scope = user.scope
        grants = scope.workspaces
        if self._workspaces.is_voided(user, workspace):
            grants = {name: held for name, held in grants.items() if name != workspace}
        member = self._workspaces.permission_of(user, workspace)
        if member is not None and member is not grants.get(workspace):
            grants = {**grants, workspace: stronger(grants.get(workspace), member) or member}
        if grants is scope.workspaces:
            return user
        return replace(user, scope=replace(scope, workspaces=grants))

    def _resume(self, hello: Hello, token: str) -> Admission:
        user = self._tokens.verify(token, purpose=RECONNECT)
        scope = user.scope
        if scope.client_id != hello.client_id:
            raise PermissionDenied("Failed to authenticate user: Client id mismatch, disconnecting")
        workspace = scope.current_workspace or ""
        if hello.workspace is not None and hello.workspace != workspace:
            raise PermissionDenied(
                f"Invalid scope, workspace mismatch: {workspace} != {hello.workspace}"
            )
        self._blocks.check_user(user)
        # Its own id is not passed on: a client may come back any number of times.
        credential = replace(user, scope=_before_reconnection(scope), lineage=user.lineage[:-1])
        if workspace == personal_workspace(user.id):
            self._workspaces.ensure_personal(user)
        self._workspaces.restore(workspace, scope)
        self._workspaces.require(workspace)
        user = self.as_member(credential, workspace)
        decide_connect(Caller(user, workspace, hello.client_id), workspace)
        return Admission(user, workspace, hello.client_id, credential=credential, resumes=True)

    async def _user(self, hello: Hello) -> User:
        if hello.token is None:
            return self.new_anonymous()
        user = await self._authentication.user(hello.token)
        bound = user.scope.client_id
        if bound is not None and bound != hello.client_id:
            raise PermissionDenied(
                f"Client id mismatch: this token is restricted to client with client_id='{bound}'"
            )
        if user.scope.is_specialised:
            raise PermissionDenied(_SPECIALISED)
        return user

    def _workspace(self, hello: Hello, user: User) -> str:
        own = personal_workspace(user.id)
        encoded = user.scope.current_workspace
        wanted = hello.workspace or encoded or own
        if hello.token and hello.workspace and encoded and hello.workspace != encoded:
            raise PermissionDenied(
                f"Current workspace encoded in the token ({encoded}) does not match the "
                f"specified workspace ({hello.workspace})"
            )
        if wanted == PUBLIC_WORKSPACE and not encoded and not user.scope.permission_on(wanted):
            wanted = own
        if wanted == own and user.parent is None:
            self._workspaces.ensure_personal(user)
        self._workspaces.restore(wanted, user.scope)
        if self._workspaces.get(wanted) is None:
            raise WorkspaceNotFound(f"Workspace {wanted} does not exist or is not accessible")
        return wanted


def _before_reconnection(scope: Scope) -> Scope:
    """The scope of the credential that a reconnection token was made from."""
    if _ROAMS not in scope.extra_scopes:
        return replace(scope, client_id=None)
    extra_scopes = tuple(extra for extra in scope.extra_scopes if extra != _ROAMS)
    return replace(scope, client_id=None, current_workspace=None, extra_scopes=extra_scopes)


def decide_connect(caller: Caller, workspace: str) -> None:
    """Raises PermissionDenied, in the words that clients know."""
    if not decide(caller, Action.CONNECT, workspace).allowed:
        raise PermissionDenied(f"Permission denied for workspace: {workspace}")


def refusal_text(error: GatewayError) -> tuple[str, bool]:
    """What to tell a refused client, and whether trying again as it is would be in vain."""
    if isinstance(error, TokenRevoked):
        return (
            f"Failed to establish connection: Failed to authenticate user: {error.message}",
            False,
        )
    if isinstance(error, Unauthenticated):
        return f"Authentication error: {error.message}", True
    message = f"'{error.message}'" if isinstance(error, WorkspaceNotFound) else error.message
    is_final = isinstance(error, (Blocked, LimitExceeded))
    return f"Failed to establish connection: {message}", is_final
