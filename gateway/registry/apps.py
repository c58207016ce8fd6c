"""What resolving ``name@app`` needs to know of applications, and the matching itself.

Application manifests are kept elsewhere; whoever keeps them implements ``AppCatalogue``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from schema.services import ServiceInfo


@dataclass(frozen=True, slots=True)
class DeclaredService:
    """A service as an application's manifest announces it."""

    id: str
    type: str = "generic"


@dataclass(frozen=True, slots=True)
class AppManifest:
    """The part of a manifest that resolving looks at."""

    service_selection_mode: str | None = None
    services: tuple[DeclaredService, ...] = ()


class AppCatalogue(Protocol):
    """Knows installed applications."""

    def manifest(self, workspace: str, app_id: str) -> AppManifest | None:
        """The manifest of an application, or None if there is no such application."""
        ...


class NoApps:
    """A server on which no applications are installed."""

    def manifest(self, workspace: str, app_id: str) -> AppManifest | None:
        return None


def match_instances(
    name: str, services: Iterable[ServiceInfo], manifest: AppManifest | None
) -> Sequence[ServiceInfo]:
    """Services of one application that ``name`` means, if none has exactly that id.

    Instances register as ``name-1`` or ``name_a``; else one whose type is that of the service
    declared as ``name``, unless another declared service fits its id better.
    """
    of_app = list(services)
    suffixed = [s for s in of_app if s.id.service_id.startswith((f"{name}-", f"{name}_"))]
    if suffixed or manifest is None:
        return suffixed
    declared = {d.id: d for d in manifest.services}
    wanted = declared.get(name)
    if wanted is None:
        return []
    others = tuple(f"{other}{mark}" for other in declared if other != name for mark in "-_")
    return [
        s
        for s in of_app
        if s.type == wanted.type
        and s.id.service_id not in declared
        and not s.id.service_id.startswith(others or ("\0",))
    ]
