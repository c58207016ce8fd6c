"""What the HTTP sides of logins and of OAuth share: small bodies, and a secret in a cookie by which
a browser is known again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.auth.digests import digest

NO_STORE: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


async def small_body(request: Request, limit: int, refusal: Callable[[str], Exception]) -> bytes:
    """The body of a request. Raises what ``refusal`` makes of a sentence if it has more than
    ``limit`` bytes or does not come to its end."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise refusal("The request is too large")
    except ClientDisconnect:
        raise refusal("The request is incomplete") from None
    return body


class BrowserCookie:
    """A cookie for each of the things that a browser has begun here, whose name does not tell the
    key of that thing. No script and no page of another site gets at it."""

    def __init__(self, prefix: str, base_url: str, *, life_seconds: float) -> None:
        parts = urlsplit(base_url)
        self._prefix = prefix
        self._path = f"{parts.path}/oauth"
        self._is_secure = parts.scheme == "https"
        self._life_seconds = life_seconds

    def of(self, request: Request, key: str) -> str | None:
        """The secret that the browser of a request was given."""
        return request.cookies.get(self._name(key))

    def give(self, response: Response, key: str, secret: str) -> None:
        """Have the browser keep a secret."""
        response.set_cookie(
            self._name(key),
            secret,
            max_age=int(self._life_seconds),
            path=self._path,
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, key: str) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self._name(key), path=self._path)

    def _name(self, key: str) -> str:
        return f"{self._prefix}{digest(key)[:16]}"
