"""Puts the parts of ``upstreams`` together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.registry.directory import Directory
from gateway.registry.hosting import Hosting
from gateway.settings import Settings
from gateway.storage.sealing import SealedBox
from gateway.upstreams.config_file import read_config
from gateway.upstreams.credentials import StoredCredentials
from gateway.upstreams.login.logins import Logins
from gateway.upstreams.pins import Pins
from gateway.upstreams.publishing import Publisher
from gateway.upstreams.upstreams import Upstreams

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.upstreams import UpstreamRepository


def upstreams_of(
    settings: Settings,
    hosting: Hosting,
    directory: Directory,
    *,
    repository: UpstreamRepository | None,
    box: SealedBox,
) -> Upstreams:
    """All upstreams, not started. Raises ConfigMistake."""
    pins = Pins(settings.mcp_quarantine, repository)
    return Upstreams(
        read_config(settings),
        Publisher(hosting, directory, pins),
        pins,
        Logins(StoredCredentials(box, repository), settings.base_url),
        repository=repository,
        box=box,
        may_be_private=settings.mcp_private_networks,
    )
