"""What is offered: the registry's entry for a service, and who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from schema.access import ACCESS, FunctionLimits, FunctionRule
from schema.errors import InvalidRequest
from schema.functions import FunctionInfo, has_only_functions, iter_functions
from schema.identity import User
from schema.ids import ANY, ServiceId

BUILT_IN = "built-in"
"""Service that every client registers for itself; it carries ping and chunked messages."""

MANAGER_SERVICE = "default"
"""Service that every client asks the gateway for: it manages workspaces."""

MAX_DESCRIPTION = 1024


class Visibility(Enum):
    """Who may find and call a service."""

    PUBLIC = "public"
    PROTECTED = "protected"
    """Callers of the same workspace, and of those in ``authorized_workspaces``."""
    UNLISTED = "unlisted"
    """As public for whoever knows the id, but in no list."""


@dataclass(frozen=True, eq=False)
class ServiceInfo:
    """A registered service. Immutable: a new registration is a new object, so anything derived
    from one may be cached by identity and is dropped with it."""

    id: ServiceId
    name: str
    type: str = "generic"
    description: str | None = None
    docs: Any = None
    app_id: str = ANY
    visibility: Visibility = Visibility.PROTECTED
    service_schema: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    """As registered, including keys that the gateway does not know."""
    owner: User | None = None
    """Who registered it; None for the gateway's own services."""
    access: Mapping[str, FunctionRule] = field(default_factory=dict)
    """Who alone may call a function, by its path."""
    size_bytes: int = 0
    """Of what was registered, about; 0 for the gateway's own services."""
    limits: FunctionLimits | None = None
    """What there is of it for those who got this entry; None: all of it."""
    held: frozenset[str] = frozenset()
    """Names of functions that wait for somebody's approval, and are not among the others."""

    @cached_property
    def functions(self) -> Mapping[str, FunctionInfo]:
        """Callables by dotted path, in declared order."""
        return {f.path: f for f in iter_functions(self.service_schema)}

    @cached_property
    def has_only_functions(self) -> bool:
        """Whether the service object is the same until it is registered again."""
        return has_only_functions(self.service_schema)

    @cached_property
    def authorized_workspaces(self) -> frozenset[str]:
        listed = self.config.get("authorized_workspaces") or ()
        return frozenset(w for w in listed if isinstance(w, str))

    def is_idempotent(self, function: str) -> bool:
        """Whether running the function twice does no harm, as its provider declares: by
        ``config.idempotent`` (true, or a list of functions) or by the tool annotation
        ``idempotentHint`` in the function's schema."""
        declared = self.config.get("idempotent")
        if declared is True or (isinstance(declared, list) and function in declared):
            return True
        info = self.functions.get(function)
        annotations = info.declared.get("annotations") if info is not None else None
        return isinstance(annotations, Mapping) and annotations.get("idempotentHint") is True

    @property
    def is_singleton(self) -> bool:
        return bool(self.config.get("singleton"))

    def to_wire(self, *, inside: bool = True) -> dict[str, Any]:
        """The entry as lists return it. ``inside`` is False for a caller from another workspace,
        who does not learn which workspaces are authorised."""
        config = {key: value for key, value in self.config.items() if key != ACCESS}
        config.update(
            visibility=self.visibility.value,
            workspace=self.id.workspace,
            require_context=config.get("require_context", False),
            flags=config.get("flags") or [],
            singleton=self.is_singleton,
            created_by={"id": self.owner.id} if self.owner else None,
            service_embedding=None,
            authorized_workspaces=config.get("authorized_workspaces"),
        )
        if not inside:
            del config["authorized_workspaces"]
        return {
            "id": str(self.id),
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "docs": self.docs,
            "app_id": self.app_id,
            "service_schema": self.service_schema,
            "config": config,
        }


def parse_visibility(config: Mapping[str, Any]) -> Visibility:
    """Visibility of a registration; ``private`` is the documents' word for protected.

    Raises InvalidRequest for another word, or for ``authorized_workspaces`` where it has no effect.
    """
    text = config.get("visibility") or Visibility.PROTECTED.value
    if text == "private":
        text = Visibility.PROTECTED.value
    try:
        visibility = Visibility(text)
    except ValueError:
        raise InvalidRequest(
            f"Invalid visibility {text!r}: expected public, protected or unlisted"
        ) from None
    authorized = config.get("authorized_workspaces")
    if authorized is not None:
        if visibility is not Visibility.PROTECTED:
            raise InvalidRequest(
                "authorized_workspaces can only be set when visibility is 'protected', "
                f"got visibility='{visibility.value}'"
            )
        if not isinstance(authorized, list) or not all(isinstance(w, str) for w in authorized):
            raise InvalidRequest("authorized_workspaces must be a list of workspace ids")
    return visibility
