"""What an upstream is: one entry of the configuration, read and checked. Pure.

The form is the one that people have: ``mcpServers`` of Claude Desktop, Claude Code, Cursor and
others, ``servers`` of VS Code. What the gateway adds to an entry is optional (``workspace``,
``visibility``, ``openapi`` …), and keys that only other programs know are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.upstreams.expansion import CannotExpand, Expansion
from gateway.upstreams.oauth_entry import BadOAuth, OAuthEntry, read_oauth
from schema.errors import InvalidRequest
from schema.ids import MANAGER_WORD
from schema.services import BUILT_IN, MANAGER_SERVICE, Visibility

DEFAULT_WORKSPACE: Final = "public"
DEFAULT_START_SECONDS: Final = 30.0
DEFAULT_CALL_SECONDS: Final = 300.0
MAX_SECONDS: Final = 86_400.0
_MILLISECONDS_FROM: Final = 1_000
"""Some programs count a timeout in milliseconds: nobody means a thousand seconds."""

_TAKEN: Final = (MANAGER_WORD, MANAGER_SERVICE, BUILT_IN)
_BLANKS: Final = re.compile(r"[^A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INCLUDE: Final = ("include", "includeTools", "tools")
_EXCLUDE: Final = ("exclude", "excludeTools", "disabledTools")
_CANNOT: Final = {
    "sandboxEnabled": "it wants a sandbox, which the gateway does not have",
    "headersHelper": "'headersHelper' is a program that the gateway does not run: write 'headers'",
}
_HTTP_TYPES: Final = ("http", "streamable-http", "streamableHttp", "streamable_http", "sse")


class BadEntry(InvalidRequest):
    """The entry cannot be used; the text says why, without the value of a secret."""


@dataclass(frozen=True, slots=True)
class Program:
    """An MCP server that is started, and spoken to through its standard input and output."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """An MCP server at a URL."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_sse: bool = False
    """It speaks the HTTP+SSE transport of revision 2024-11-05."""
    oauth: OAuthEntry | None = None
    """How the gateway logs in if the server asks for it; None: it does not."""


@dataclass(frozen=True, slots=True)
class Document:
    """An HTTP API that an OpenAPI document describes."""

    source: str
    """A file, or the URL of the document."""
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """Patterns of operation ids, or of ``GET /path``; ``*`` stands for anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One upstream, and how it is offered."""

    name: str
    """The id of its service."""
    workspace: str
    visibility: Visibility
    target: Program | Remote | Document
    is_disabled: bool = False
    description: str | None = None
    start_seconds: float = DEFAULT_START_SECONDS
    call_seconds: float = DEFAULT_CALL_SECONDS
    """A call fails when the upstream has sent neither result nor progress for so long."""
    per_user: bool = False
    """Each user calls it with a credential of their own (``"auth": "user"``)."""
    may_be_private: bool = True
    """Its URL may lead to this machine or a private network."""
    has_sessions: bool = False
    """MCP clients of the older era get a session, in which the server can ask them."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """Patterns of the names of tools that are offered; ``*`` stands for anything."""

    def offers(self, tool: str) -> bool:
        """Whether a tool of this name is offered."""
        is_included = not self.include or any(fnmatchcase(tool, each) for each in self.include)
        return is_included and not any(fnmatchcase(tool, each) for each in self.exclude)

    @property
    def key(self) -> str:
        """What it is known by in the whole gateway."""
        return f"{self.workspace}/{self.name}"


def service_id(name: str) -> str:
    """The id of the service for a name as people write it. Raises BadEntry."""
    found = _BLANKS.sub("-", name).strip("-")
    if not found or len(found) > 64:
        raise BadEntry(f"{name[:80]!r} is no name for a server")
    if found in _TAKEN:
        raise BadEntry(f"the name {found!r} belongs to the gateway")
    return found


def read_entry(
    name: str,
    entry: object,
    expand: Expansion,
    *,
    workspace: str = DEFAULT_WORKSPACE,
    visibility: Visibility = Visibility.PROTECTED,
    may_be_private: bool = True,
) -> Upstream:
    """One entry. ``workspace`` and ``visibility`` are what holds unless it says otherwise;
    ``may_be_private`` if its URL may lead into a private network.

    Raises BadEntry, which names the server.
    """
    try:
        if not isinstance(entry, Mapping):
            raise BadEntry("it must be a map")
        raw = expand.tree(entry)
        _check_wishes(raw)
        return Upstream(
            name=service_id(name),
            workspace=_text(raw, "workspace") or workspace,
            visibility=_visibility(raw, visibility),
            target=_target(raw, expand),
            is_disabled=_flag(raw, "disabled") or raw.get("enabled") is False,
            description=_text(raw, "description"),
            start_seconds=_seconds(raw, "startTimeout", DEFAULT_START_SECONDS),
            call_seconds=_seconds(raw, "timeout", DEFAULT_CALL_SECONDS),
            per_user=_per_user(raw),
            may_be_private=may_be_private,
            has_sessions=_flag(raw, "stateful"),
            include=_of_any(raw, _INCLUDE),
            exclude=_of_any(raw, _EXCLUDE),
        )
    except (BadEntry, BadOAuth, CannotExpand) as error:
        raise BadEntry(f"server {name[:80]!r}: {error.message}") from None


def _check_wishes(raw: Mapping[str, Any]) -> None:
    """What changes who may do what must not be passed over. Raises BadEntry."""
    for key, sentence in _CANNOT.items():
        if raw.get(key):
            raise BadEntry(sentence)


def _of_any(raw: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for key in keys for name in _texts(raw, key))


def _target(raw: Mapping[str, Any], expand: Expansion) -> Program | Remote | Document:
    kinds = [key for key in ("command", "url", "serverUrl", "httpUrl", "openapi") if raw.get(key)]
    if len(kinds) != 1:
        raise BadEntry("it needs exactly one of 'command', 'url' and 'openapi'")
    kind = kinds[0]
    if kind == "command":
        return _program(raw, expand)
    if kind == "openapi":
        return _document(raw)
    declared = raw.get("type") or raw.get("transport") or "http"
    if declared not in _HTTP_TYPES:
        raise BadEntry(f"its type {declared!r} is none of http and sse")
    headers = _headers(raw)
    oauth = read_oauth(raw, headers, expand)
    return Remote(_url(raw, kind), headers, is_sse=declared == "sse", oauth=oauth)


def _program(raw: Mapping[str, Any], expand: Expansion) -> Program:
    if raw.get("type") not in (None, "stdio"):
        raise BadEntry(f"its type {raw['type']!r} does not fit a command")
    env = raw.get("env") or {}
    if not isinstance(env, Mapping):
        raise BadEntry("'env' must be a map")
    env = {**_env_file(raw, expand), **env}
    values = {str(key): _scalar(value, f"env.{key}") for key, value in env.items()}
    return Program(
        command=_command(raw),
        args=_texts(raw, "args"),
        env={key: value for key, value in values.items() if value is not None},
        cwd=_text(raw, "cwd"),
    )


def _command(raw: Mapping[str, Any]) -> str:
    command = _text(raw, "command") or ""
    return str(Path(command).expanduser()) if command.startswith("~/") else command


def _env_file(raw: Mapping[str, Any], expand: Expansion) -> dict[str, str]:
    """The variables in the file ``envFile``. Raises BadEntry, CannotExpand."""
    path = _text(raw, "envFile")
    found: dict[str, str] = {}
    for line in expand.file(path).splitlines() if path else ():
        text = line.strip().removeprefix("export ").strip()
        name, has_value, value = text.partition("=")
        if not text or text.startswith("#"):
            continue
        if not has_value or not _VARIABLE.fullmatch(name.strip()):
            raise BadEntry(f"the file {path} has a line that is no NAME=value")
        value = value.strip()
        is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[name.strip()] = value[1:-1] if is_quoted else value
    return found


def _document(raw: Mapping[str, Any]) -> Document:
    source = _text(raw, "openapi") or ""
    if "://" in source:
        source = _url(raw, "openapi")
    base_key = next((k for k in ("baseUrl", "base_url") if raw.get(k)), None)
    return Document(
        source=source,
        base_url=_url(raw, base_key) if base_key else None,
        headers=_headers(raw),
        include=_texts(raw, "include"),
        exclude=_texts(raw, "exclude"),
    )


def _url(raw: Mapping[str, Any], key: str) -> str:
    url = _text(raw, key) or ""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(ord(c) <= 32 for c in url):
        raise BadEntry(f"{key!r} is no http or https URL")
    if parts.username or parts.password:
        raise BadEntry(f"{key!r} has a password in it; put it into 'headers'")
    return url


def _headers(raw: Mapping[str, Any]) -> dict[str, str]:
    given = raw.get("headers") or raw.get("requestInit", {}).get("headers") or {}
    if not isinstance(given, Mapping):
        raise BadEntry("'headers' must be a map")
    headers: dict[str, str] = {}
    for name, value in given.items():
        text = _scalar(value, f"headers.{name}")
        if not _HEADER.fullmatch(str(name)):
            raise BadEntry(f"{str(name)[:80]!r} is no name of a header")
        if text is None or not text.isprintable() or not text.isascii():
            raise BadEntry(f"the header {name!r} must be printable ASCII text")
        headers[str(name)] = text.strip()
    return headers


def _visibility(raw: Mapping[str, Any], default: Visibility) -> Visibility:
    text = _text(raw, "visibility")
    if text is None:
        return default
    try:
        return Visibility("protected" if text == "private" else text)
    except ValueError:
        raise BadEntry("'visibility' is public, protected or unlisted") from None


def _per_user(raw: Mapping[str, Any]) -> bool:
    auth = raw.get("auth")
    if isinstance(auth, Mapping) and not raw.get("command") and not raw.get("openapi"):
        return False  # it says how to log in
    if auth not in (None, "none", "user"):
        raise BadEntry("'auth' is none or user")
    return auth == "user"


def _seconds(raw: Mapping[str, Any], key: str, default: float) -> float:
    value = raw.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise BadEntry(f"{key!r} must be a number of seconds")
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
    return min(float(seconds), MAX_SECONDS)


def _flag(raw: Mapping[str, Any], key: str) -> bool:
    value = raw.get(key, False)
    if not isinstance(value, bool):
        raise BadEntry(f"{key!r} must be true or false")
    return value


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise BadEntry(f"{key!r} must be text")
    return value


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = raw.get(key) or []
    if not isinstance(value, list):
        raise BadEntry(f"{key!r} must be a list")
    return tuple(_scalar(item, key) or "" for item in value)


def _scalar(value: Any, where: str) -> str | None:
    if value is None or isinstance(value, str):
        if value is not None and "\0" in value:
            raise BadEntry(f"{where!r} has a null character in it")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise BadEntry(f"{where!r} must be text")
