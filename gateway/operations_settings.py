"""Settings of those who run the server: limits, proxies, logs, traces. Part of
``gateway.settings.Settings``."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import AliasChoices, Field, field_validator

from gateway.login_settings import SettingsPart, Words, named


class OperationsSettings(SettingsPart):
    """What comes from whom and how much of it, and what is told about it."""

    trusted_proxies: Words = Field(
        (),
        validation_alias=named("trusted_proxies"),
        description="Addresses or networks of proxies whose X-Forwarded-* headers are believed.",
    )
    anonymous_requests_per_second: float = Field(
        100.0,
        ge=0,
        validation_alias=AliasChoices(
            "POLYPORT_ANONYMOUS_REQUESTS_PER_SECOND", "HYPHA_HTTP_RATE_LIMIT"
        ),
        description="HTTP and MCP requests per second of an address without a user; 0: no limit.",
    )
    anonymous_burst_requests: float = Field(
        500.0,
        ge=1,
        validation_alias=AliasChoices(
            "POLYPORT_ANONYMOUS_BURST_REQUESTS", "HYPHA_HTTP_BURST_LIMIT"
        ),
        description="Requests that an address without a user may send at once.",
    )
    user_requests_per_second: float = Field(
        1000.0,
        ge=0,
        validation_alias=AliasChoices(
            "POLYPORT_USER_REQUESTS_PER_SECOND", "HYPHA_HTTP_AUTHENTICATED_RATE_LIMIT"
        ),
        description="HTTP and MCP requests per second of a user; 0: no limit.",
    )
    user_burst_requests: float = Field(
        5000.0,
        ge=1,
        validation_alias=AliasChoices(
            "POLYPORT_USER_BURST_REQUESTS", "HYPHA_HTTP_AUTHENTICATED_BURST_LIMIT"
        ),
        description="Requests that a user may send at once.",
    )
    max_connections_per_address: int = Field(
        2000,
        ge=1,
        validation_alias=named("max_connections_per_address"),
        description="Connections without a user that an address can have; this machine any number.",
    )
    max_buffered_body_bytes: int = Field(
        1024 * 1024 * 1024,
        ge=1024 * 1024,
        validation_alias=named("max_buffered_body_bytes"),
        description="What the bodies of all requests may have together; one alone always may come.",
    )
    show_operations_to: Literal["local", "admins", "all"] = Field(
        "local",
        validation_alias=named("show_operations_to"),
        description="Who sees /metrics and all of /health: local is this machine, and admins.",
    )
    log_format: Literal["console", "json"] = Field(
        "console",
        validation_alias=named("log_format"),
        description="One line per event, for people (console) or for programs (json).",
    )
    access_log: bool = Field(
        False,
        validation_alias=named("access_log"),
        description="Log a line for every HTTP and MCP request.",
    )
    otlp_endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices(
            "POLYPORT_OTLP_ENDPOINT",
            "HYPHA_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        description="URL of an OpenTelemetry collector (OTLP over HTTP); default: no traces.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        networks = tuple(part for word in value for part in word.split(",") if part)
        for network in networks:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f"{network!r} is not an address or a network") from None
        return networks
