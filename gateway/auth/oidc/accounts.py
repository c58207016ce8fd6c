"""Who a provider's user is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.auth.digests import digest
from gateway.auth.oidc.config import OidcConfig
from schema.errors import Unauthenticated
from schema.identity import ANONYMOUS_PREFIX, ANY_WORKSPACE, ROOT_USER, Permission, Scope, User

_PLAIN: Final = re.compile(r"[A-Za-z0-9._|~+-]{1,120}")
_OWN_ROLES: Final = frozenset({"admin", "anonymous"})
"""Roles that mean something to the gateway; no claim gives them."""
_MAX_ROLES: Final = 100
_MAX_TEXT: Final = 320


def user_of(config: OidcConfig, claims: Mapping[str, Any]) -> User:
    """The user that claims describe. Raises Unauthenticated if they describe none."""
    subject = claims.get(config.user_claim)
    if not isinstance(subject, str) or not subject:
        raise Unauthenticated(f"{config.label} does not say who this is")
    # The id becomes the name of a workspace and part of addresses: what has no place there is
    # replaced by something that nobody else gets.
    name = subject if _PLAIN.fullmatch(subject) else digest(subject)
    user_id = f"{config.prefix}{name}"
    if user_id == ROOT_USER.id or user_id.startswith(ANONYMOUS_PREFIX):
        raise Unauthenticated(f"{config.label} cannot have such a user")
    email = claims.get(config.email_claim)
    is_text = isinstance(email, str) and 0 < len(email) <= _MAX_TEXT
    given = claims.get(config.roles_claim)
    roles = [r for r in given if isinstance(r, str)] if isinstance(given, list) else []
    expires_at = claims.get("exp")
    is_admin = any(role in config.admin_roles for role in roles)
    kept = [role for role in roles if role not in _OWN_ROLES and len(role) <= _MAX_TEXT]
    return User(
        id=user_id,
        roles=(*(["admin"] if is_admin else []), *kept[:_MAX_ROLES]),
        scope=Scope({ANY_WORKSPACE: Permission.ADMIN}) if is_admin else Scope(),
        email=email if is_text else None,
        # Workspaces are shared with addresses, so one that nobody has checked opens none.
        email_verified=is_text and claims.get("email_verified") is True,
        expires_at=float(expires_at) if isinstance(expires_at, (int, float)) else None,
    )


def profile_of(claims: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider says of its user besides, for the profile that a program may ask for."""
    found = {name: claims.get(name) for name in ("name", "nickname", "picture")}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str) and 0 < len(value) <= 2048
    }
