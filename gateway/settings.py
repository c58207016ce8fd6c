"""Configuration: one frozen object, built once at the edge. The only reader of the environment.

Every setting can be given as ``POLYPORT_<NAME>`` or, for deployments that move over, by the old
``HYPHA_<NAME>``; the command line wins over both.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to


def _named(name: str) -> AliasChoices:
    return AliasChoices(f"POLYPORT_{name.upper()}", f"HYPHA_{name.upper()}")


class Settings(BaseSettings):
    """All settings, with their defaults and units."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="POLYPORT_", extra="ignore", populate_by_name=True
    )

    host: str = Field("127.0.0.1", validation_alias=_named("host"), description="Bind address.")
    port: int = Field(
        9527, ge=0, le=65535, validation_alias=_named("port"), description="Port; 0 picks one."
    )
    public_base_url: str | None = Field(
        None,
        validation_alias=_named("public_base_url"),
        description="URL that clients reach the server under; default: host and port.",
    )
    allow_origins: tuple[str, ...] = Field(
        ("*",),
        validation_alias=AliasChoices(
            "POLYPORT_ALLOW_ORIGINS", "HYPHA_ALLOW_ORIGINS", "ALLOW_ORIGINS"
        ),
        description="Origins of pages that may read answers; * is any, but without cookies.",
    )
    data_dir: Path | None = Field(
        None,
        validation_alias=_named("data_dir"),
        description="Directory for what must survive a restart; default: in the user's home.",
    )
    ephemeral: bool = Field(
        False, validation_alias=_named("ephemeral"), description="Keep nothing on disk."
    )
    jwt_secret: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_JWT_SECRET", "HYPHA_JWT_SECRET", "JWT_SECRET"),
        description="Key that signs tokens; default: made once, in the data directory.",
    )
    extensions: tuple[str, ...] = Field(
        ("mcp_bridge", "http_proxy"),
        validation_alias=_named("extensions"),
        description="Modules that add routes, in order.",
    )
    log_level: str = Field(
        "WARNING",
        validation_alias=AliasChoices("POLYPORT_LOG_LEVEL", "HYPHA_LOGLEVEL"),
        description="DEBUG, INFO, WARNING or ERROR.",
    )
    handshake_timeout_seconds: float = Field(
        5.0,
        gt=0,
        validation_alias=_named("handshake_timeout_seconds"),
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
        validation_alias=_named("silence_timeout_seconds"),
        description="A call fails when its provider sends neither reply nor heartbeat for so long.",
    )
    fetch_timeout_seconds: float = Field(
        10.0,
        gt=0,
        validation_alias=_named("fetch_timeout_seconds"),
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
    login_life_seconds: float = Field(
        180.0,
        gt=0,
        validation_alias=AliasChoices("POLYPORT_LOGIN_LIFE_SECONDS", "MAXIMUM_LOGIN_TIME"),
        description="How long a user has to log in after a program has asked for it.",
    )
    guest_login: bool = Field(
        True,
        validation_alias=_named("guest_login"),
        description="Offer on the login page to continue as a guest, without proof of anything.",
    )
    guest_token_life_seconds: float = Field(
        3600.0,
        gt=0,
        validation_alias=_named("guest_token_life_seconds"),
        description="Life of the token that a guest gets.",
    )
    http_ping_seconds: float = Field(
        4.0,
        gt=0,
        validation_alias=_named("http_ping_seconds"),
        description="Longest silence on a stream of the HTTP transport; clients give up on longer.",
    )
    max_frame_bytes: int = Field(
        16 * MIB,
        ge=MIB,
        validation_alias=_named("max_frame_bytes"),
        description="Largest message accepted from a client; a larger one closes its websocket.",
    )
    max_relay_bytes: int = Field(
        512 * 1024,
        ge=300 * 1024,
        validation_alias=_named("max_relay_bytes"),
        description="Largest message relayed; clients drop larger ones, and send theirs in chunks.",
    )
    max_outbox_bytes: int = Field(
        64 * MIB,
        ge=MIB,
        validation_alias=_named("max_outbox_bytes"),
        description="What may wait for a client that reads slowly before it is disconnected.",
    )
    stalled_client_seconds: float = Field(
        60.0,
        gt=0,
        validation_alias=_named("stalled_client_seconds"),
        description="A client that reads nothing for so long while data waits is disconnected.",
    )
    max_body_bytes: int = Field(
        100 * MIB,
        ge=1024,
        validation_alias=_named("max_body_bytes"),
        description="Largest HTTP request body.",
    )
    max_mcp_body_bytes: int = Field(
        4 * MIB,
        ge=1024,
        validation_alias=_named("max_mcp_body_bytes"),
        description="Largest MCP request body.",
    )
    reconnect_grace_seconds: float = Field(
        0.7,
        ge=0,
        validation_alias=_named("reconnect_grace_seconds"),
        description="After a connection breaks, how long nobody is told and calls in flight wait.",
    )
    http_reconnect_grace_seconds: float = Field(
        4.0,
        ge=0,
        validation_alias=_named("http_reconnect_grace_seconds"),
        description="The same for clients of the HTTP transport, which first try again after 2 s.",
    )
    reconnect_gap_seconds: float = Field(
        5.0,
        ge=0,
        validation_alias=_named("reconnect_gap_seconds"),
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
    max_message_burst: float = Field(
        20_000.0,
        gt=0,
        validation_alias=AliasChoices("POLYPORT_MAX_MESSAGE_BURST", "HYPHA_WS_MSG_BURST_LIMIT"),
        description="Messages that one connection may send at once.",
    )
    drain_seconds: float = Field(
        5.0,
        ge=0,
        validation_alias=_named("drain_seconds"),
        description="At shutdown, how long calls in flight may take to finish.",
    )

    @field_validator("public_base_url")
    @classmethod
    def _strip_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

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
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
