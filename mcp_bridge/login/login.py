"""One login for all requests to an endpoint, and for all programs of a user that use it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.logins import browser
from gateway.logins.store import Entry, Grant
from mcp_bridge.login.failures import ElsewhereFailed, LoginFailed, LoginRefused
from mcp_bridge.login.identity import Identity
from mcp_bridge.login.loopback import listening
from mcp_bridge.login.refusals import Refused

LOGIN_SECONDS: Final = 300.0
"""How long the user has for it."""

Tell = Callable[[str], None]
"""Takes a line for the user."""


class Login:
    """What an endpoint is told who asks, and what is done when that is not enough."""

    def __init__(
        self,
        endpoint: str,
        entry: Entry,
        tell: Tell,
        *,
        identity: Identity | None = None,
        seconds: float = LOGIN_SECONDS,
    ) -> None:
        self._endpoint = endpoint
        self._entry = entry
        self._tell = tell
        self._identity = identity or Identity()
        self._seconds = seconds
        self._grant: Grant | None = None
        self._is_read = False
        self._is_closed = False
        self._renewing: asyncio.Task[None] | None = None
        self._refused: dict[str | None, LoginRefused] = {}
        """By the challenge: a user who has refused is not asked over and over."""

    def token(self) -> str | None:
        """The access token that there is; it may have expired."""
        if not self._is_read:
            self._is_read = True
            with contextlib.suppress(OSError):  # it is told when there has to be a login
                self._grant = self._kept()
        return self._grant.access_token if self._grant is not None else None

    async def renew(self, refused: Refused, used: str | None) -> None:
        """Come by another token than ``used``, which was refused. Raises LoginFailed."""
        if self.token() != used:
            return
        if self._is_closed:
            raise LoginFailed(self._endpoint, "the program is about to end")
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(refused, used))
            self._renewing.add_done_callback(self._ended)
        # Whoever waits may be cancelled; the login goes on for the others.
        await asyncio.shield(self._renewing)

    async def close(self) -> None:
        """Give up what has not ended, and begin nothing more."""
        self._is_closed = True
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError, LoginFailed):
                await self._renewing

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()  # those who wait hear of it; there may be none

    async def _renew(self, refused: Refused, used: str | None) -> None:
        try:
            async with self._entry.locked(self._waits) as lock:
                found = self._kept()
                if found is not None and found.access_token != used:
                    self._grant = found  # another program has done it
                    return
                if lock.left is not None:
                    lock.leave(lock.left)  # there may be more who wait
                    raise ElsewhereFailed(lock.left)
                try:
                    self._grant = await self._obtained(refused, found)
                except LoginFailed as failure:
                    lock.leave(str(failure))
                    raise
                self._entry.write(self._grant)
        except OSError as error:
            text = f"there is no place to keep what comes of it ({error})"
            raise LoginFailed(self._endpoint, text) from None

    async def _obtained(self, refused: Refused, held: Grant | None) -> Grant:
        flow = await _loaded("mcp_bridge.login.flow")
        if held is not None and held.can_be_renewed and not refused.wants_more:
            refreshed: Grant | None = await flow.refreshed(held, self._identity)
            if refreshed is not None:
                return refreshed
        if (before := self._refused.get(refused.challenge)) is not None:
            raise before
        return await self._asked(flow.authorized, refused, held)

    async def _asked(
        self, authorized: Callable[..., Awaitable[Grant]], refused: Refused, held: Grant | None
    ) -> Grant:
        """What the user gives in the browser."""
        try:
            async with asyncio.timeout(self._seconds), listening(self._identity.port) as loopback:
                return await authorized(
                    self._endpoint, refused, held, self._identity, loopback, self._show
                )
        except LoginRefused as refusal:
            self._refused[refused.challenge] = refusal
            raise
        except TimeoutError:
            text = f"nobody has logged in within {self._seconds / 60:.0f} minutes"
            raise LoginFailed(self._endpoint, text) from None
        except OSError as error:
            text = f"no browser can come back to port {self._identity.port}: {error.strerror}"
            raise LoginFailed(self._endpoint, text) from None

    def _kept(self) -> Grant | None:
        """What is in the file, if it is for this client."""
        found = self._entry.read()
        chosen = self._identity.client_id
        if found is None or (chosen is not None and found.client_id != chosen):
            return None
        return found

    def _show(self, url: str) -> None:
        if browser.has_browser():
            self._tell(f"Log in to {self._endpoint} in your browser, or open {url}")
            browser.open_page(url)
        else:
            self._tell(f"Log in to {self._endpoint}: open {url}")

    def _waits(self) -> None:
        self._tell(f"Another program is logging in to {self._endpoint}; waiting for it")


async def _loaded(name: str) -> Any:
    """A module that takes its time. Other requests go on meanwhile, and so does the end of the
    program, which would wait for a thread of the event loop's."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    def load() -> None:
        with contextlib.suppress(ImportError):  # it is raised below
            importlib.import_module(name)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=load, daemon=True).start()
    await done
    return importlib.import_module(name)
