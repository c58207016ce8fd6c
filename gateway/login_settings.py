"""Settings of logging in, and how settings are read. Part of ``gateway.settings.Settings``."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _words(value: Any) -> Any:
    """A list in the environment is words between spaces; a JSON array also works."""
    if isinstance(value, str):
        return json.loads(value) if value.lstrip().startswith("[") else value.split()
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


SecretWords = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_words)]


def named(name: str) -> AliasChoices:
    return AliasChoices(f"POLYPORT_{name.upper()}", f"HYPHA_{name.upper()}")


class SettingsPart(BaseSettings):
    """Where the settings of all parts are read from."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="POLYPORT_", extra="ignore", populate_by_name=True
    )


class LoginSettings(SettingsPart):
    """Who may log in, and how."""

    jwt_previous_secrets: SecretWords = Field(
        (),
        validation_alias=named("jwt_previous_secrets"),
        description="Earlier keys that signed tokens: those tokens are good until they expire.",
    )
    max_token_life_seconds: float = Field(
        90 * 86400.0,
        gt=0,
        le=90 * 86400.0,
        validation_alias=named("max_token_life_seconds"),
        description="Longest life of a token that a user makes.",
    )
    audit_calls: bool = Field(
        False,
        validation_alias=named("audit_calls"),
        description="Log every call of a service in the audit log; what changes who may do what is "
        "always there.",
    )
    audit_arguments: Literal["off", "hash", "full"] = Field(
        "hash",
        validation_alias=named("audit_arguments"),
        description="What the audit log keeps of arguments: nothing (off), their SHA-256 (hash), "
        "or all (full).",
    )
    audit_retention_seconds: float = Field(
        90 * 86400.0,
        gt=0,
        validation_alias=named("audit_retention_seconds"),
        description="How long entries of the audit log are kept.",
    )
    login_life_seconds: float = Field(
        180.0,
        gt=0,
        validation_alias=AliasChoices("POLYPORT_LOGIN_LIFE_SECONDS", "MAXIMUM_LOGIN_TIME"),
        description="How long a user has to log in after a program has asked for it.",
    )
    guest_login: bool = Field(
        True,
        validation_alias=named("guest_login"),
        description="Offer on the login page to continue as a guest, without proof of anything.",
    )
    guest_token_life_seconds: float = Field(
        3600.0,
        gt=0,
        le=90 * 86400.0,
        validation_alias=named("guest_token_life_seconds"),
        description="Life of the token that a guest gets.",
    )
    oauth_server: bool = Field(
        False,
        validation_alias=named("oauth_server"),
        description="Be an OAuth 2.1 authorization server for MCP clients, so that they log in.",
    )
    oauth_authorization_servers: Words = Field(
        (),
        validation_alias=named("oauth_authorization_servers"),
        description="Issuers of other authorization servers that MCP clients are sent to.",
    )
    oauth_private_clients: bool = Field(
        False,
        validation_alias=named("oauth_private_clients"),
        description="Read the metadata of OAuth clients at private and local addresses too.",
    )
    login_token_life_seconds: float = Field(
        86400.0,
        gt=0,
        le=90 * 86400.0,
        validation_alias=named("login_token_life_seconds"),
        description="Life of the token that a user gets who logs in with an account.",
    )
    oidc_issuer: str | None = Field(
        None,
        validation_alias=named("oidc_issuer"),
        description="Issuer of an OpenID Connect provider whose users may log in.",
    )
    oidc_client_id: str | None = Field(
        None,
        validation_alias=named("oidc_client_id"),
        description="What this server is called there.",
    )
    oidc_client_secret: SecretStr | None = Field(
        None,
        validation_alias=named("oidc_client_secret"),
        description="How it proves to be that; without one the provider must allow PKCE alone.",
    )
    oidc_name: str | None = Field(
        None,
        validation_alias=named("oidc_name"),
        description="What people know the provider by; default: its host.",
    )
    oidc_audience: str | None = Field(
        None,
        validation_alias=named("oidc_audience"),
        description="Its access tokens for this audience are good at every door; default: none.",
    )
    oidc_providers: SecretStr | None = Field(
        None,
        validation_alias=named("oidc_providers"),
        description="Any number of providers: a JSON array, or the path of a file with one.",
    )
    auth0_domain: str | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_AUTH0_DOMAIN", "AUTH0_DOMAIN"),
        description="Domain of an Auth0 tenant whose users may log in.",
    )
    auth0_client_id: str | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_AUTH0_CLIENT_ID", "AUTH0_CLIENT_ID"),
        description="What this server is called there.",
    )
    auth0_issuer: str | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_AUTH0_ISSUER", "AUTH0_ISSUER"),
        description="Issuer of tokens that a Hypha server signs with this server's jwt_secret, if "
        "not the usual one.",
    )
    auth0_audience: str | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_AUTH0_AUDIENCE", "AUTH0_AUDIENCE"),
        description="The tenant's access tokens for this audience are good at every door.",
    )
    auth0_namespace: str | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_AUTH0_NAMESPACE", "AUTH0_NAMESPACE"),
        description="What the tenant puts in front of the claims email and roles.",
    )
    enable_local_auth: bool = Field(
        False,
        validation_alias=named("enable_local_auth"),
        description="Let users have accounts of this server, with e-mail address and password.",
    )
    local_auth_signup: bool = Field(
        True,
        validation_alias=named("local_auth_signup"),
        description="Let anybody with an e-mail address make such an account.",
    )
    local_auth_admins: Words = Field(
        (),
        validation_alias=named("local_auth_admins"),
        description="Addresses of administrators: their accounts are made with every right.",
    )
    smtp_host: str | None = Field(
        None,
        validation_alias=named("smtp_host"),
        description="Server that sends codes by mail; without one they are in the log.",
    )
    smtp_port: int | None = Field(
        None, validation_alias=named("smtp_port"), description="Its port; default: by security."
    )
    smtp_username: str | None = Field(
        None, validation_alias=named("smtp_username"), description="Who this server is there."
    )
    smtp_password: SecretStr | None = Field(
        None, validation_alias=named("smtp_password"), description="And how it proves that."
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        validation_alias=named("smtp_security"),
        description="How the connection is encrypted.",
    )
    smtp_from: str | None = Field(
        None,
        validation_alias=AliasChoices("POLYPORT_SMTP_FROM", "HYPHA_VERIFICATION_FROM_EMAIL"),
        description="The address that mail comes from; default: polyport at the server.",
    )
