"""The record of one workspace, and how workspaces may be called."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.settings import RESERVED_MOUNTS, Settings
from gateway.storage.rows import StoredMember, StoredWorkspace
from gateway.wire.plain import check_plain
from schema.errors import InvalidRequest, LimitExceeded
from schema.identity import ANONYMOUS_PREFIX, Permission

ROOT_WORKSPACE: Final = "ws-user-root"
PUBLIC_WORKSPACE: Final = "public"

MAX_RECORD_BYTES: Final = 512 * 1024

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_RESERVED_PREFIXES: Final = ("ws-user-", "ws-anonymous")
_MAX_TEXT: Final = 64 * 1024
_KINDS: Final = ("user", "email", "role")


class Subject(NamedTuple):
    """Whom a workspace is shared with: a user by id or e-mail address, or all who have a role."""

    kind: str
    name: str

    @classmethod
    def read(cls, user_id: str | None, email: str | None, role: str | None) -> Subject:
        """The one that is given. Raises InvalidRequest."""
        given = [
            (kind, name.strip())
            for kind, name in zip(_KINDS, (user_id, email, role), strict=True)
            if name is not None and name.strip()
        ]
        if len(given) != 1:
            raise InvalidRequest("Give one of user_id, email and role")
        kind, name = given[0]
        if len(name) > 255 or not name.isprintable():
            raise InvalidRequest(f"Not a name: {name[:64]!r}")
        if kind == "email":
            name = name.lower()
            if name.count("@") != 1 or name.startswith("@") or name.endswith("@") or " " in name:
                raise InvalidRequest(f"Not an e-mail address: {name!r}")
        return cls(kind, name)


@dataclass(slots=True)
class Workspace:
    """One workspace. ``environment`` (sealed values), ``bookmarks`` and ``members`` are not part of
    what every reader may see."""

    id: str
    owner: str
    name: str = ""
    description: str = ""
    persistent: bool = False
    read_only: bool = False
    icon: str | None = None
    covers: Any = None
    docs: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    service_types: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[Subject, Permission] = field(default_factory=dict)
    environment: dict[str, bytes] = field(default_factory=dict)
    bookmarks: list[dict[str, Any]] = field(default_factory=list)
    departures: dict[str, float] = field(default_factory=dict)
    """Since when users may do less than before, by id: the tokens they made until then are void."""
    created_at: float = 0.0
    """Unix seconds; 0 for one that has always been there, because it follows from a user's id."""
    is_stored: bool = False
    """The database has a row for it."""

    @property
    def is_kept(self) -> bool:
        """Whether it is written to the database; what anonymous users have is not."""
        return not self.owner.startswith(ANONYMOUS_PREFIX)

    @property
    def is_blank(self) -> bool:
        """Nothing would be lost with the record: it can be made again, the same."""
        return not (
            self.created_at
            or self.is_stored
            or self.environment
            or self.service_types
            or self.bookmarks
            or self.members
        )

    def to_wire(self) -> dict[str, Any]:
        """The record as any reader of the workspace may see it."""
        return {
            "type": "workspace",
            "id": self.id,
            "name": self.name or self.id,
            "description": self.description,
            "persistent": self.persistent,
            "owners": [self.owner],
            "read_only": self.read_only,
            "icon": self.icon,
            "covers": self.covers,
            "docs": self.docs,
            "service_types": self.service_types,
            "config": dict(self.config),
            "status": {"ready": True},
        }

    def summary(self) -> dict[str, Any]:
        """The entry in a list of workspaces."""
        return {
            "id": self.id,
            "name": self.id,
            "description": self.description,
            "read_only": self.read_only,
            "persistent": self.persistent,
            "owners": [self.owner],
        }

    def to_stored(self) -> StoredWorkspace:
        """What is written of it."""
        record = {name: getattr(self, name) for name in _STORED}
        return StoredWorkspace(self.id, self.owner, record, self.bookmarks, self.created_at)

    @classmethod
    def from_stored(cls, row: StoredWorkspace) -> Workspace:
        """The record as it was written."""
        record = {name: row.record[name] for name in _STORED if name in row.record}
        return cls(
            id=row.id,
            owner=row.creator,
            members={Subject(m.kind, m.subject): Permission(m.permission) for m in row.members},
            environment=row.environment,
            bookmarks=row.bookmarks,
            created_at=row.created_at,
            is_stored=True,
            **record,
        )


_STORED: Final = (
    "name", "description", "persistent", "read_only", "icon", "covers", "docs", "config",
    "service_types", "departures",
)  # fmt: skip


def stored_member(subject: Subject, permission: Permission) -> StoredMember:
    """What is written of a member."""
    return StoredMember(subject.kind, subject.name, permission.value)


def read_description(config: dict[str, Any]) -> dict[str, Any]:
    """The descriptive fields among what a user gives for a workspace. Who owns it, who is a member
    and what is secret is not among them. Raises InvalidRequest."""
    found: dict[str, Any] = {}
    for name in ("name", "description", "icon"):
        if config.get(name) is not None:
            if not isinstance(config[name], str) or len(config[name]) > _MAX_TEXT:
                raise InvalidRequest(f"A workspace's {name} must be a text, and not a long one")
            found[name] = config[name]
    for name in ("persistent", "read_only"):
        if config.get(name) is not None:
            found[name] = bool(config[name])
    for name in ("covers", "docs"):
        if name in config:
            found[name] = config[name]
    given = config.get("config")
    if given is not None:
        if not isinstance(given, dict):
            raise InvalidRequest("A workspace's config must be a map")
        # Hypha keeps these two there; here they have functions of their own.
        found["config"] = {k: v for k, v in given.items() if k not in ("environs", "bookmarks")}
    check_plain(found, "workspace", MAX_RECORD_BYTES)
    return found


def check_workspace_name(name: object, reserved: Collection[str] = ()) -> str:
    """A name that a user may give. Raises InvalidRequest and says what is wrong with it."""
    if not isinstance(name, str) or not 3 <= len(name) <= 64 or not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid workspace name {str(name)[:80]!r}: 3 to 64 lower-case letters, digits and "
            "single hyphens, with at least one hyphen inside"
        )
    if name.startswith(_RESERVED_PREFIXES) or name in reserved:
        raise InvalidRequest(f"Workspace name {name!r} is reserved")
    return name


def reserved_names(settings: Settings) -> frozenset[str]:
    """Names that are paths of the gateway's own."""
    mounts = (mount.partition(":")[0].strip("/") for mount in settings.static_mounts)
    return RESERVED_MOUNTS | frozenset(mounts)


def as_json(value: Any, max_bytes: int, what: str) -> bytes:
    """A value as it is stored. Raises InvalidRequest, LimitExceeded."""
    try:
        text = json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest(f"The {what} must be made of JSON types") from None
    if len(text) > max_bytes:
        raise LimitExceeded(f"The {what} is larger than {max_bytes} bytes")
    return text
