"""Configuration: one frozen object, built once at the edge. The only reader of the environment.

Every setting can be given as ``POLYPORT_<NAME>`` or, for deployments that move over, by the old
``HYPHA_<NAME>``; the command line wins over both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from gateway.login_settings import LoginSettings, SecretWords, Words, named
from gateway.operations_settings import OperationsSettings

MIB = 1024 * 1024
ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""Names of this machine that no other has, as they stand in URLs."""

LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

MIN_ROOT_TOKEN: Final = 32
"""Characters of a root token: too many to guess."""

RESERVED_MOUNTS: Final = frozenset(
    {
        "api-docs",
        "apps",
        "assets",
        "authorize",
        "health",
        "login",
        "metrics",
        "oauth",
        "openapi.json",
        "public",
        "register",
        "rpc",
        "token",
        "ws",
    }
)
"""First parts of paths that the gateway itself answers."""

SHARED_MOUNT: Final = "assets"
"""One of them below which the operator may serve files too, such as a copy of a client library."""


def process_environment() -> Mapping[str, str]:
    """The environment variables of the process, for what refers to them by name."""
    return os.environ


class Settings(LoginSettings, OperationsSettings):
    """All settings, with their defaults and units."""

    host: str = Field("127.0.0.1", validation_alias=named("host"), description="Bind address.")
    port: int = Field(
        9527, ge=0, le=65535, validation_alias=named("port"), description="Port; 0 picks one."
    )
    public_base_url: str | None = Field(
        None,
        validation_alias=named("public_base_url"),
        description="URL that clients reach the server under; default: host and port.",
    )
    base_path: str = Field(
        "/",
        validation_alias=named("base_path"),
        description="Path in front of all of the server's; what is not below it is not found.",
    )
    allow_origins: Words = Field(
        ("*",),
        validation_alias=AliasChoices(
            "POLYPORT_ALLOW_ORIGINS", "HYPHA_ALLOW_ORIGINS", "ALLOW_ORIGINS"
        ),
        description="Origins of pages that may read answers; * is any, but without cookies.",
    )
    data_dir: Path | None = Field(
        None,
        validation_alias=named("data_dir"),
        description="Directory for what must survive a restart; default: in the user's home.",
    )
    ephemeral: bool = Field(
        False, validation_alias=named("ephemeral"), description="Keep nothing on disk."
    )
    database_uri: SecretStr | None = Field(
        None,
        validation_alias=named("database_uri"),
        description="PostgreSQL (postgresql://…) or SQLite (sqlite:///…); default: SQLite in the "
        "data directory.",
    )
    secrets_key: SecretWords = Field(
        (),
        validation_alias=named("secrets_key"),
        description="Keys of stored secrets, 32 characters or more; the first one encrypts, the "
        "others decrypt what is older; default: made once, in the data directory.",
    )
    jwt_secret: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_JWT_SECRET", "HYPHA_JWT_SECRET", "JWT_SECRET"),
        description="Key that signs tokens; default: made once, in the data directory.",
    )
    root_token: SecretStr | None = Field(
        None,
        validation_alias=named("root_token"),
        description="A token with every right, 32 characters or more; default: there is none.",
    )
    static_mounts: Words = Field(
        (),
        validation_alias=named("static_mounts"),
        description="Directories of files to serve, each as /path:directory.",
    )
    startup_functions: Words = Field(
        (),
        validation_alias=named("startup_functions"),
        description="Functions to call at the start, each as file.py:function or module:function.",
    )
    mcp_config: Path | None = Field(
        None,
        validation_alias=named("mcp_config"),
        description="File of MCP servers and OpenAPI documents to offer, in the mcpServers form.",
    )
    mcp_visibility: Literal["auto", "public", "protected", "unlisted"] = Field(
        "auto",
        validation_alias=named("mcp_visibility"),
        description="Who may use them: public, protected or unlisted; auto is public on a server "
        "that only this machine reaches, else protected.",
    )
    mcp_private_networks: bool = Field(
        False,
        validation_alias=named("mcp_private_networks"),
        description="Let the admins of workspaces add servers at private and local addresses.",
    )
    mcp_quarantine: Literal["off", "changed", "all"] = Field(
        "changed",
        validation_alias=named("mcp_quarantine"),
        description="Tools of MCP servers that wait for approval: those that changed since they "
        "were first seen, or all that are new as well, or none.",
    )
    extensions: Words = Field(
        ("mcp_bridge", "http_proxy"),
        validation_alias=named("extensions"),
        description="Modules that add routes, in order.",
    )
    log_level: str = Field(
        "WARNING",
        validation_alias=AliasChoices("POLYPORT_LOG_LEVEL", "HYPHA_LOGLEVEL"),
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )
    handshake_timeout_seconds: float = Field(
        5.0,
        gt=0,
        validation_alias=named("handshake_timeout_seconds"),
        description="How long a new websocket may take to send its first message.",
    )
    idle_timeout_seconds: float = Field(
        600.0,
        ge=60,
        validation_alias=AliasChoices("POLYPORT_IDLE_TIMEOUT_SECONDS", "HYPHA_WS_IDLE_TIMEOUT"),
        description="A websocket that sends nothing for so long is closed.",
    )
    silence_timeout_seconds: float = Field(
        30.0,
        gt=0,
        validation_alias=named("silence_timeout_seconds"),
        description="A call fails when its provider sends neither reply nor heartbeat for so long.",
    )
    fetch_timeout_seconds: float = Field(
        10.0,
        gt=0,
        validation_alias=named("fetch_timeout_seconds"),
        description="How long a provider may take to show its service object.",
    )
    reconnection_token_life_seconds: float = Field(
        172800.0,
        gt=0,
        validation_alias=AliasChoices(
            "POLYPORT_RECONNECTION_TOKEN_LIFE_SECONDS",
            "RECONNECTION_TOKEN_LIFE_TIME",
        ),
        description="Life of the token a client reconnects with.",
    )
    http_ping_seconds: float = Field(
        4.0,
        gt=0,
        validation_alias=named("http_ping_seconds"),
        description="Longest silence on a stream of the HTTP transport; clients give up on longer.",
    )
    max_frame_bytes: int = Field(
        16 * MIB,
        ge=MIB,
        validation_alias=named("max_frame_bytes"),
        description="Largest message accepted from a client; a larger one closes its websocket.",
    )
    max_relay_bytes: int = Field(
        512 * 1024,
        ge=300 * 1024,
        validation_alias=named("max_relay_bytes"),
        description="Largest message relayed; clients drop larger ones, and send theirs in chunks.",
    )
    max_outbox_bytes: int = Field(
        64 * MIB,
        ge=MIB,
        validation_alias=named("max_outbox_bytes"),
        description="What may wait for a client that reads slowly before it is disconnected.",
    )
    max_outboxes_bytes: int = Field(
        512 * MIB,
        ge=MIB,
        validation_alias=named("max_outboxes_bytes"),
        description="What may wait for all of them; above, those with more than 1 MiB are "
        "disconnected.",
    )
    stalled_client_seconds: float = Field(
        60.0,
        gt=0,
        validation_alias=named("stalled_client_seconds"),
        description="A client that reads nothing for so long while data waits is disconnected.",
    )
    max_body_bytes: int = Field(
        100 * MIB,
        ge=1024,
        validation_alias=named("max_body_bytes"),
        description="Largest HTTP request body.",
    )
    max_response_bytes: int = Field(
        100 * MIB,
        ge=1024,
        validation_alias=named("max_response_bytes"),
        description="Largest result that is sent over HTTP; of a stream, the largest item.",
    )
    max_mcp_body_bytes: int = Field(
        4 * MIB,
        ge=1024,
        validation_alias=named("max_mcp_body_bytes"),
        description="Largest MCP request body.",
    )
    mcp_sse: bool = Field(
        False,
        validation_alias=named("mcp_sse"),
        description="Serve the MCP transport of 2024-11-05, HTTP with SSE, beside the newer one.",
    )
    mcp_sessions: bool = Field(
        False,
        validation_alias=named("mcp_sessions"),
        description="Give MCP clients of the handshake era a session, so that they can be asked.",
    )
    mcp_session_idle_seconds: float = Field(
        1800,
        gt=0,
        validation_alias=named("mcp_session_idle_seconds"),
        description="A session that is not used for so long is over.",
    )
    max_mcp_sessions: int = Field(
        1_000,
        ge=0,
        validation_alias=named("max_mcp_sessions"),
        description="Sessions that can be open at the same time.",
    )
    max_mcp_listed_tools: int = Field(
        40,
        ge=0,
        validation_alias=named("max_mcp_listed_tools"),
        description="Tools of a workspace that MCP clients see listed; of more, they are searched "
        "for.",
    )
    max_mcp_streams: int = Field(
        10_000,
        ge=0,
        validation_alias=named("max_mcp_streams"),
        description="Streams that MCP clients can have open to hear of changes.",
    )
    max_mcp_streams_per_user: int = Field(
        2_000,
        ge=0,
        validation_alias=named("max_mcp_streams_per_user"),
        description="The same for one user; who has no token is counted by network address.",
    )
    reconnect_grace_seconds: float = Field(
        0.7,
        ge=0,
        validation_alias=named("reconnect_grace_seconds"),
        description="After a connection breaks, how long nobody is told and calls in flight wait.",
    )
    http_reconnect_grace_seconds: float = Field(
        4.0,
        ge=0,
        validation_alias=named("http_reconnect_grace_seconds"),
        description="The same for clients of the HTTP transport, which first try again after 2 s.",
    )
    reconnect_gap_seconds: float = Field(
        4.0,
        ge=0,
        validation_alias=named("reconnect_gap_seconds"),
        description="After a connection breaks, how long new calls wait for the client's return.",
    )
    max_messages_per_second: float = Field(
        12_000.0,
        gt=0,
        validation_alias=AliasChoices(
            "POLYPORT_MAX_MESSAGES_PER_SECOND", "HYPHA_WS_MSG_RATE_LIMIT"
        ),
        description="Messages that one connection may send per second, on average.",
    )
    max_burst_messages: float = Field(
        20_000.0,
        gt=0,
        validation_alias=AliasChoices("POLYPORT_MAX_BURST_MESSAGES", "HYPHA_WS_MSG_BURST_LIMIT"),
        description="Messages that one connection may send at once.",
    )
    workspace_unload_grace_seconds: float = Field(
        60.0,
        ge=0,
        validation_alias=AliasChoices(
            "POLYPORT_WORKSPACE_UNLOAD_GRACE_SECONDS", "HYPHA_WORKSPACE_UNLOAD_GRACE_PERIOD"
        ),
        description="How long a workspace that is not persistent is kept without clients.",
    )
    max_connections_per_user: int = Field(
        1000,
        ge=1,
        validation_alias=named("max_connections_per_user"),
        description="Clients that a user can have connected, with all tokens minted from theirs.",
    )
    max_clients_per_workspace: int = Field(
        10_000,
        ge=1,
        validation_alias=named("max_clients_per_workspace"),
        description="Clients that can be connected to a workspace.",
    )
    max_services_per_client: int = Field(
        1000,
        ge=0,
        validation_alias=named("max_services_per_client"),
        description="Services that a client can register.",
    )
    max_workspaces_per_user: int = Field(
        100,
        ge=0,
        validation_alias=named("max_workspaces_per_user"),
        description="Workspaces that a user can own, besides their personal one.",
    )
    drain_seconds: float = Field(
        3.0,
        ge=0,
        validation_alias=named("drain_seconds"),
        description="At shutdown, how long calls in flight may take to finish.",
    )

    @field_validator("allow_origins")
    @classmethod
    def _split_commas(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        origins = [part.strip().rstrip("/") for word in value for part in word.split(",")]
        return tuple(origin for origin in origins if origin)

    @field_validator("base_path")
    @classmethod
    def _check_base_path(cls, value: str) -> str:
        path = "/" + value.strip("/")
        if any(part in ("", ".", "..") for part in path.split("/")[1:]) and path != "/":
            raise ValueError(f"{value!r} is not a path")
        return path

    @field_validator("root_token")
    @classmethod
    def _check_root_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_ROOT_TOKEN:
            raise ValueError(f"It needs {MIN_ROOT_TOKEN} characters or more")
        return value

    @field_validator("secrets_key")
    @classmethod
    def _check_secrets_key(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < MIN_ROOT_TOKEN for key in value):
            raise ValueError(f"Each needs {MIN_ROOT_TOKEN} characters or more")
        return value

    @field_validator("database_uri")
    @classmethod
    def _check_database_uri(cls, value: SecretStr | None) -> SecretStr | None:
        scheme = value.get_secret_value().partition("://")[0] if value else ""
        if value and scheme.partition("+")[0] not in ("postgresql", "sqlite"):
            raise ValueError("It begins with postgresql:// or sqlite:///")
        return value

    @field_validator("static_mounts")
    @classmethod
    def _check_mounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for mount in value:
            path, _, directory = mount.partition(":")
            name = path.strip("/")
            if not path.startswith("/") or not name or "/" in name or not directory:
                raise ValueError(f"{mount!r} is not of the form /path:directory")
            if name in RESERVED_MOUNTS - {SHARED_MOUNT}:
                raise ValueError(f"The path /{name} belongs to the gateway")
            if not Path(directory).is_dir():
                raise ValueError(f"There is no directory {directory!r}")
        return value

    @field_validator("startup_functions")
    @classmethod
    def _check_startup_functions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            source, _, name = text.rpartition(":")
            if not source or not name.isidentifier():
                raise ValueError(f"{text!r} is not of the form file.py:function or module:function")
        return value

    @field_validator("public_base_url")
    @classmethod
    def _check_public_base_url(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
            raise ValueError(f"{value!r} is not of the form http(s)://host[:port][/path]")
        return value.rstrip("/")

    @field_validator("log_level")
    @classmethod
    def _check_log_level(cls, value: str) -> str:
        if value.upper() not in LOG_LEVELS:
            raise ValueError(f"It is one of {', '.join(LOG_LEVELS)}")
        return value.upper()

    @property
    def data_directory(self) -> Path:
        """Where to keep what must survive a restart (XDG Base Directory Specification)."""
        if self.data_dir is not None:
            return self.data_dir
        home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(home) / "polyport"

    @property
    def base_url(self) -> str:
        """The URL that clients are told; the same string for all of them."""
        if self.public_base_url:
            return self.public_base_url
        return self.local_base_url

    @property
    def local_base_url(self) -> str:
        """The URL that processes on this machine reach the server under."""
        host = "127.0.0.1" if self.host in ANY_ADDRESS else self.host
        prefix = "" if self.base_path == "/" else self.base_path
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{prefix}"


TOKEN_VARIABLE: Final = "POLYPORT_TOKEN"  # noqa: S105 - the name of a variable
"""Where the commands that use a gateway look for the token of their user."""


def variable(name: str) -> str | None:
    """An environment variable that a user has named, for what is no setting of the server."""
    return os.environ.get(name)


def mistakes(error: ValidationError) -> list[str]:
    """What is wrong with the settings, one sentence each, without the values of secrets."""
    found = []
    for problem in error.errors(include_url=False, include_input=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        option = _OPTIONS.get(name, name)
        found.append(f"{option}: {problem['msg'].removeprefix('Value error, ')}.")
    return found


_OPTIONS = {
    alias: name
    for name, field in Settings.model_fields.items()
    if isinstance(field.validation_alias, AliasChoices)
    for alias in field.validation_alias.choices
    if isinstance(alias, str)
}
"""Names of settings by those of their environment variables."""
