"""Refusals of the authorization server, in the words of RFC 6749 section 5.2 and its extensions."""

from __future__ import annotations

from typing import ClassVar


class OAuthError(Exception):
    """``error`` is the code that the client gets; ``description`` is for its developer."""

    error: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


class InvalidRequestError(OAuthError):
    error = "invalid_request"


class InvalidClient(OAuthError):
    error = "invalid_client"
    status = 401


class InvalidGrant(OAuthError):
    error = "invalid_grant"


class InvalidTarget(OAuthError):
    """RFC 8707 section 2."""

    error = "invalid_target"


class InvalidClientMetadata(OAuthError):
    """RFC 7591 section 3.2.2."""

    error = "invalid_client_metadata"


class InvalidRedirectUri(OAuthError):
    """RFC 7591 section 3.2.2."""

    error = "invalid_redirect_uri"


class UnsupportedGrantType(OAuthError):
    error = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    error = "unsupported_response_type"


class AccessDenied(OAuthError):
    error = "access_denied"


class TemporarilyUnavailable(OAuthError):
    error = "temporarily_unavailable"
    status = 503
