"""The file of upstreams that ``--mcp-config`` names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.settings import LOOPBACK_HOSTS, Settings, process_environment
from gateway.upstreams.entries import BadEntry, Upstream, read_entry
from gateway.upstreams.expansion import Expansion
from schema.services import Visibility

_GROUPS: Final = ("mcpServers", "servers")


class ConfigMistake(Exception):
    """The file cannot be used; the text is a sentence for the operator."""


def read_config(settings: Settings) -> list[Upstream]:
    """The upstreams of the file, none if there is no file. Raises ConfigMistake."""
    path = settings.mcp_config
    if path is None:
        return []
    try:
        return parse(load(path), process_environment(), default_visibility(settings))
    except (BadEntry, ValueError) as error:
        raise ConfigMistake(f"{path}: {error}") from None


def default_visibility(settings: Settings) -> Visibility:
    """Who may use what the file lists and says nothing about: everybody, if only this machine can
    reach the server; else those with a token for the workspace."""
    if settings.mcp_visibility != "auto":
        return Visibility(settings.mcp_visibility)
    return Visibility.PUBLIC if settings.host in LOOPBACK_HOSTS else Visibility.PROTECTED


def load(path: Path) -> Mapping[str, Any]:
    """The entries in a file, by name. Raises ValueError."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    groups = [content.get(key) for key in _GROUPS] if isinstance(content, dict) else []
    found = next((group for group in groups if group is not None), None)
    if not isinstance(found, dict):
        raise ValueError("it needs the key 'mcpServers' with a map of servers by name")
    return found


def parse(
    entries: Mapping[str, Any], variables: Mapping[str, str], visibility: Visibility
) -> list[Upstream]:
    """The upstreams of a file. Raises BadEntry."""
    expand = Expansion(variables, may_read_files=True)
    found: dict[str, Upstream] = {}
    for name, entry in entries.items():
        if isinstance(entry, Mapping) and entry.get("disabled") is True:
            continue  # nor need its variables be set
        upstream = read_entry(name, entry, expand, visibility=visibility)
        if upstream.key in found:
            raise BadEntry(f"server {name!r}: another one is called {upstream.key} as well")
        found[upstream.key] = upstream
    return list(found.values())
