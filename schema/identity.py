"""Who calls: users, their scope, and the caller that every decision is made about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Any, Protocol

from schema.errors import InvalidRequest

ANONYMOUS_PREFIX = "anonymouz-"
"""Prefix of generated user ids. The spelling is part of the contract: clients test for it."""

ANONYMOUS_WORKSPACE = "ws-anonymous"
ANY_WORKSPACE = "*"


class Permission(Enum):
    """What a user may do in a workspace; ``rank`` orders them."""

    READ = "r"
    READ_WRITE = "rw"
    ADMIN = "a"

    @property
    def rank(self) -> int:
        return _RANKS[self.value]

    def covers(self, needed: Permission) -> bool:
        """True if holding this permission is enough where ``needed`` is asked for."""
        return self.rank >= needed.rank

    @classmethod
    def parse(cls, text: object) -> Permission:
        """Accept the wire letter (``rw``) or the word (``read_write``). Raises InvalidRequest."""
        try:
            return cls(_WORDS.get(text, text) if isinstance(text, str) else text)
        except ValueError:
            raise InvalidRequest(
                f"Invalid permission {text!r}: expected read, read_write or admin"
            ) from None


def stronger(one: Permission | None, other: Permission | None) -> Permission | None:
    """The one that allows more; None allows nothing."""
    if one is None or (other is not None and other.rank > one.rank):
        return other
    return one


_RANKS = {"r": 1, "rw": 2, "a": 3}
_WORDS = {"read": "r", "read_write": "rw", "admin": "a"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a credential grants: a permission per workspace, and what it is bound to."""

    workspaces: Mapping[str, Permission] = field(default_factory=lambda: MappingProxyType({}))
    current_workspace: str | None = None
    client_id: str | None = None
    extra_scopes: tuple[str, ...] = ()
    functions: frozenset[str] | None = None
    """What alone may be called, each a ``service`` or ``service/function``; None: no such limit."""

    def permission_on(self, workspace: str) -> Permission | None:
        """The strongest of the grant for this workspace and the grant for all of them."""
        own = self.workspaces.get(workspace)
        everywhere = self.workspaces.get(ANY_WORKSPACE)
        if own is None or (everywhere is not None and everywhere.rank > own.rank):
            return everywhere
        return own

    @property
    def is_specialised(self) -> bool:
        """True for a single-purpose credential (``file:download``), refused for general use."""
        return any(":" in extra for extra in self.extra_scopes)


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated or anonymous user, in the shape that hypha-rpc services see."""

    id: str
    roles: tuple[str, ...] = ()
    is_anonymous: bool = False
    scope: Scope = field(default_factory=Scope)
    email: str | None = None
    email_verified: bool = False
    """Whoever vouches for the user has seen that the address is theirs."""
    parent: str | None = None
    """Id of the user at the root of the chain of tokens that this one was minted from."""
    expires_at: float | None = None
    """Unix seconds."""
    issued_at: float | None = None
    """When the credential was made, in Unix seconds."""
    lineage: tuple[str, ...] = ()
    """Ids of the credential and of those that it was made from, the oldest first. Without one,
    nobody can take it back: the user came without a token, or with the operator's."""
    not_after: float | None = None
    """Unix seconds at which everything made from the credential ends at the latest."""
    resource: str | None = None
    """The one URL that the credential is good for (RFC 8707): that of a client of OAuth."""

    @property
    def credential_id(self) -> str | None:
        """Which token or key the user came with."""
        return self.lineage[-1] if self.lineage else None

    @property
    def effective_id(self) -> str:
        """Who is accountable: quotas, limits and audit follow this id."""
        return self.parent or self.id

    def to_wire(self) -> dict[str, Any]:
        """The ``user`` object of ``context`` and ``connection_info`` (exactly these keys)."""
        scope = self.scope
        return {
            "id": self.id,
            "roles": list(self.roles),
            "is_anonymous": self.is_anonymous,
            "email": self.email,
            "parent": self.parent,
            "expires_at": self.expires_at,
            "current_workspace": scope.current_workspace,
            "scope": {
                "current_workspace": scope.current_workspace,
                "workspaces": {name: p.value for name, p in scope.workspaces.items()},
                "client_id": scope.client_id,
                "extra_scopes": list(scope.extra_scopes) or None,
            },
        }


class Memberships(Protocol):
    """Who may use which workspace without a grant in the credential: as of now, so that what is
    taken back is gone at once."""

    def permission_of(self, user: User, workspace: str) -> Permission | None:
        """What the user may do there as its owner or as a member of it."""
        ...


ROOT_USER = User("root", roles=("admin",), scope=Scope({ANY_WORKSPACE: Permission.ADMIN}))
"""The operator of the gateway, and the gateway itself where it calls services."""


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Caller:
    """Who asks, and from which workspace; set by the server, never by the request.

    Compared by identity, so that what is derived from a caller may be cached with it.
    """

    user: User
    workspace: str
    client_id: str | None = None
    """Connection the caller uses, without the workspace; None for HTTP and MCP callers."""
    memberships: Memberships | None = None
    """What the user may do in other workspaces; the grant for the current one is in the scope."""

    def permission_on(self, workspace: str) -> Permission | None:
        """The strongest of what the credential grants and what membership gives."""
        granted = self.user.scope.permission_on(workspace)
        if self.memberships is None or workspace == self.workspace:
            return granted
        return stronger(granted, self.memberships.permission_of(self.user, workspace))

    def user_on_wire(self) -> dict[str, Any]:
        """The user as services and the client itself see it: its scope says where it is connected,
        and as which client."""
        if self.client_id is None:
            return self.user.to_wire()
        here = replace(self.user.scope, current_workspace=self.workspace, client_id=self.client_id)
        return replace(self.user, scope=here).to_wire()

    @property
    def address(self) -> str | None:
        return f"{self.workspace}/{self.client_id}" if self.client_id else None


def personal_workspace(user_id: str) -> str:
    return f"ws-user-{user_id}"


def anonymous_http_caller() -> Caller:
    """The caller of a request without credentials over HTTP or MCP."""
    scope = Scope({ANONYMOUS_WORKSPACE: Permission.READ}, current_workspace=ANONYMOUS_WORKSPACE)
    user = User(id=f"{ANONYMOUS_PREFIX}http", roles=("anonymous",), is_anonymous=True, scope=scope)
    return Caller(user, ANONYMOUS_WORKSPACE)
