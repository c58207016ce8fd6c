"""The file of upstreams that ``--mcp-config`` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.settings import LOOPBACK_HOSTS, Settings, process_environment
from gateway.upstreams import json_comments
from gateway.upstreams.entries import BadEntry, Upstream, read_entry
from gateway.upstreams.expansion import Expansion
from schema.services import Visibility

_GROUPS: Final = ("mcpServers", "servers")
_NO_SERVERS: Final = "it needs the key 'mcpServers' with a map of servers by name"


class ConfigMistake(Exception):
    """The file cannot be used; the text is a sentence for the operator."""


def read_config(settings: Settings) -> list[Upstream]:
    """The upstreams of the file, none if there is no file. Raises ConfigMistake."""
    path = settings.mcp_config
    if path is None:
        return []
    try:
        content = load(path)
        expand = Expansion(
            process_environment(),
            may_read_files=True,
            folder=_project(path),
            inputs=_inputs(content),
        )
        return parse(servers_of(content), expand, default_visibility(settings))
    except (BadEntry, ValueError) as error:
        raise ConfigMistake(f"{path}: {error}") from None


def default_visibility(settings: Settings) -> Visibility:
    """Who may use what the file lists and says nothing about: everybody, if only this machine can
    reach the server; else those with a token for the workspace."""
    if settings.mcp_visibility != "auto":
        return Visibility(settings.mcp_visibility)
    return Visibility.PUBLIC if settings.host in LOOPBACK_HOSTS else Visibility.PROTECTED


def load(path: Path) -> Mapping[str, Any]:
    """What is in a file. Raises ValueError."""
    try:
        content = json_comments.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(_NO_SERVERS)
    return content


def servers_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entries in a file, by name. Raises ValueError."""
    inner = content.get("mcp")  # in the settings of an editor
    places = [content, inner] if isinstance(inner, dict) else [content]
    groups = [place.get(key) for place in places for key in _GROUPS]
    found = next((group for group in groups if group is not None), None)
    if not isinstance(found, dict):
        raise ValueError(_NO_SERVERS)
    return found


def _inputs(content: Mapping[str, Any]) -> dict[str, str | None]:
    inputs = content.get("inputs")
    found: dict[str, str | None] = {}
    for entry in inputs if isinstance(inputs, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            default = entry.get("default")
            found[entry["id"]] = default if isinstance(default, str) else None
    return found


def _project(path: Path) -> Path:
    """The folder that a file is about: editors keep it in one of their own."""
    folder = path.resolve().parent
    return folder.parent if folder.name.startswith(".") else folder


def parse(entries: Mapping[str, Any], expand: Expansion, visibility: Visibility) -> list[Upstream]:
    """The upstreams of a file. Raises BadEntry."""
    found: dict[str, Upstream] = {}
    for name, entry in entries.items():
        if isinstance(entry, Mapping) and entry.get("disabled") is True:
            continue  # nor need its variables be set
        upstream = read_entry(name, entry, expand, visibility=visibility)
        if upstream.key in found:
            raise BadEntry(f"server {name!r}: another one is called {upstream.key} as well")
        found[upstream.key] = upstream
    return list(found.values())
