"""Why a call of an upstream fails when that wants a login."""

from __future__ import annotations

import asyncio

from schema.errors import ServiceError


class NeedsLogin(ServiceError):
    """An administrator has to log the gateway in. ``over`` is set when they have, or when their
    time is up; ``is_out``: without it nothing can be had from the upstream."""

    def __init__(self, name: str, over: asyncio.Event, *, is_out: bool) -> None:
        what = "a login" if is_out else "further permissions"
        super().__init__(
            f"{name} needs {what}: who manages it finds the address to log in at in its status",
            remote_type="LoginRequired",
        )
        self.over = over
        self.is_out = is_out


class CannotLogIn(ServiceError):
    """The login has failed; ``reason`` is for who manages the upstream."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"The gateway cannot log in at {name}; its status says why", remote_type="LoginFailed"
        )
        self.reason = reason


def needed_by(error: BaseException) -> NeedsLogin | None:
    """The login that a failure is about, also within a group of failures."""
    if isinstance(error, BaseExceptionGroup):
        found = [each for each in map(needed_by, error.exceptions) if each is not None]
        return found[0] if found else None
    return error if isinstance(error, NeedsLogin) else None
