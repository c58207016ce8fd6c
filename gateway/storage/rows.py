"""What is kept, as its parts know it: the rows of all tables.

Importing them does not load the database library, which a server that keeps nothing does without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FunctionKey = tuple[str, str, str]
"""Workspace, service and function."""


@dataclass(frozen=True, slots=True)
class Account:
    """A row of ``accounts``."""

    id: str
    email: str
    name: str
    password: str
    generation: int
    is_admin: bool
    created_at: float


@dataclass(frozen=True, slots=True)
class Code:
    """A row of ``account_codes``. Times are Unix seconds."""

    email: str
    purpose: str
    digest: str
    name: str
    password: str
    attempts: int
    sent_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row of ``api_keys``; times are Unix seconds."""

    id: str
    digest: str
    """SHA-256 of the key. It is random and long, so that nobody finds it by trying, and a slow
    password hash would cost every request without making it safer."""
    name: str
    owner: str
    email: str | None
    workspace: str
    permission: str
    functions: list[str] | None
    """What alone it may call, as ``service.function`` or ``service``; None: whatever it may see."""
    made_with: list[str]
    """Ids of the tokens that it was made with; it goes with them when they are revoked."""
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row of ``audit_log``."""

    time: float
    """When the call began, in Unix seconds."""
    workspace: str
    """Whose service was called; of the gateway's own, where the caller was."""
    user_id: str
    """Who is accountable."""
    credential: str | None
    """Id of the token or API key."""
    door: str
    target: str
    """Id of the service."""
    function: str
    address: str | None
    """IP address of the client."""
    request_id: str | None
    outcome: str
    """``ok``, or the code of the error."""
    seconds: float
    """How long the call took."""
    arguments: str | None
    """Their SHA-256, or what they were, as the setting says."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A row of ``blocks``; times are Unix seconds, no end is for ever."""

    kind: str
    subject: str
    reason: str
    blocked_by: str
    blocked_at: float
    ends_at: float | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of ``workspace_events``; ``time`` is in Unix seconds."""

    id: str
    workspace: str
    user_id: str
    event_type: str
    time: float
    data: Any


@dataclass(frozen=True, slots=True)
class LoginFailures:
    """A row of ``login_failures``. Times are Unix seconds."""

    kind: str
    subject: str
    number: int
    last_at: float
    wait_until: float


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A row of ``oauth_grants``; ``client`` and ``refresh`` are digests."""

    id: str
    client: str
    user_id: str
    details: dict[str, Any]
    refresh: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class StoredServer:
    """A row of ``upstream_servers``."""

    workspace: str
    name: str
    sealed: bytes
    is_trusted: bool
    added_by: str


@dataclass(frozen=True, slots=True)
class StoredPin:
    """A row of ``upstream_pins`` without its upstream."""

    tool: str
    digest: str
    definition: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A row of ``workspace_members`` without its workspace."""

    kind: str
    subject: str
    permission: str


@dataclass(slots=True)
class StoredWorkspace:
    """A row of ``workspaces`` with what hangs on it."""

    id: str
    creator: str
    record: dict[str, Any]
    bookmarks: list[dict[str, Any]]
    created_at: float
    members: list[StoredMember] = field(default_factory=list)
    environment: dict[str, bytes] = field(default_factory=dict)
