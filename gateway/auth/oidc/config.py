"""What an operator says of a provider: a list in the settings, one in single settings, or Auth0."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from gateway.login_settings import LoginSettings
from gateway.settings import LOOPBACK_HOSTS

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class OidcMistake(ValueError):
    """What is wrong with the settings, as a sentence for the operator."""


class OidcConfig(BaseModel):
    """One provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Part of its addresses here, and of the ids of its users."""
    issuer: str
    """Exactly as in its tokens."""
    client_id: str
    client_secret: SecretStr | None = None
    name: str = ""
    """What people know it by; default: its host."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    audience: str | None = None
    """Its access tokens for this audience are good at the doors; None: none are."""
    user_claim: str = "sub"
    email_claim: str = "email"
    roles_claim: str = "roles"
    admin_roles: tuple[str, ...] = ()
    """Who has one of these roles has every right here."""
    user_prefix: str | None = None
    """Put in front of its users' ids; default: its id and a bar. Two providers need two."""
    authorization_parameters: dict[str, str] = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if not _ID.fullmatch(value):
            raise ValueError("it has lower-case letters, digits and hyphens, 32 at most")
        return value

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        is_local = parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS
        if (parts.scheme != "https" and not is_local) or not parts.hostname or parts.query:
            raise ValueError("it is an https address")
        return value

    @property
    def label(self) -> str:
        return self.name or urlsplit(self.issuer).hostname or self.id

    @property
    def prefix(self) -> str:
        return f"{self.id}|" if self.user_prefix is None else self.user_prefix


def oidc_configs(settings: LoginSettings) -> list[OidcConfig]:
    """All providers of the settings. Raises OidcMistake."""
    found = [*_listed(settings), *_single(settings), *_auth0(settings)]
    for name in ("id", "prefix", "issuer"):
        if len({getattr(config, name) for config in found}) != len(found):
            raise OidcMistake(f"Two OpenID Connect providers have the same {name}")
    for config in found:
        if config.audience == config.client_id:
            # Such an audience is that of ID tokens, which are no keys to anything.
            raise OidcMistake(f"The audience of {config.id} must not be its client id")
    return found


def _listed(settings: LoginSettings) -> list[OidcConfig]:
    if settings.oidc_providers is None:
        return []
    text = settings.oidc_providers.get_secret_value()
    try:
        if not text.lstrip().startswith("["):
            text = Path(text).read_text("utf-8")
        entries = json.loads(text)
    except (OSError, ValueError) as error:
        raise OidcMistake(f"oidc_providers: cannot be read ({type(error).__name__})") from None
    if not isinstance(entries, list):
        raise OidcMistake("oidc_providers: a JSON array is needed")
    return [_config("oidc_providers", **entry) for entry in entries if _is_map(entry)]


def _single(settings: LoginSettings) -> list[OidcConfig]:
    if settings.oidc_issuer is None:
        return []
    return [
        _config(
            "oidc_issuer",
            id="oidc",
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            name=settings.oidc_name or "",
            audience=settings.oidc_audience,
        )
    ]


def _auth0(settings: LoginSettings) -> list[OidcConfig]:
    """Auth0 as Hypha's deployments configure it. Ids of users are those of Auth0, so that their
    workspaces keep their names; e-mail and roles are claims in a namespace of the operator's."""
    if settings.auth0_domain is None:
        return []
    namespace = settings.auth0_namespace or ""
    if namespace and not namespace.endswith("/"):
        namespace += "/"
    audience = settings.auth0_audience
    return [
        _config(
            "auth0_domain",
            id="auth0",
            issuer=f"https://{settings.auth0_domain}/",
            client_id=settings.auth0_client_id,
            name="Auth0",
            audience=audience,
            email_claim=f"{namespace}email",
            roles_claim=f"{namespace}roles",
            user_prefix="",
            authorization_parameters={"audience": audience} if audience else {},
        )
    ]


def _is_map(entry: object) -> bool:
    if not isinstance(entry, dict):
        raise OidcMistake("oidc_providers: each provider is a JSON object")
    return True


def _config(setting: str, **values: Any) -> OidcConfig:
    try:
        return OidcConfig(**values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        raise OidcMistake(f"{setting}: {where}: {text}") from None
