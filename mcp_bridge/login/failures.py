"""Why there is no login, in one line for the user, without anything secret in it."""

from __future__ import annotations

from typing import Final

_MAX_TEXT: Final = 300


class LoginFailed(Exception):
    """Nothing came of the login; another attempt may succeed."""

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(_one_line(f"The login at {endpoint} has failed: {reason}"))


class ElsewhereFailed(LoginFailed):
    """Another program has had the login, and nothing came of it there."""

    def __init__(self, text: str) -> None:
        Exception.__init__(self, _one_line(text))


class LoginRefused(LoginFailed):
    """The user, or the authorization server for them, has refused it."""

    def __init__(self, endpoint: str, code: str) -> None:
        super().__init__(endpoint, f"it was refused in the browser ({code})")


class NoLogin(LoginFailed):
    """The endpoint names no authorization server."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "it names no authorization server to log in at")


def _one_line(text: str) -> str:
    """What comes from afar does not reach into the terminal around it."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:_MAX_TEXT]
