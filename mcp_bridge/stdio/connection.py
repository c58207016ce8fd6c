"""The HTTP side of the relay: post a message, pass on what comes with its answer.

It knows how a response is read, and nothing of what the messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from mcp_bridge.login import Login, LoginFailed, NoLogin, Refused
from mcp_bridge.stdio import wire
from mcp_bridge.stdio.wire import Message

RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Between attempts to take up a stream again; the last repeats."""

MAX_RENEWALS: Final = 3
"""Of the token for one request: a fresh one, a login, and one that allows more."""

SESSION: Final = "mcp-session-id"
Forward = Callable[[Message], None]
_ACCEPT: Final = "application/json, text/event-stream"


@dataclass(frozen=True, slots=True)
class Remote:
    """The endpoint. ``token_hint`` tells the user where a token comes from."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    token_hint: str = "--token"  # noqa: S105 - the name of a flag
    login: Login | None = None
    """What its user is asked for if it wants a token; None if they have given one."""


Locate = Callable[[], Awaitable[Remote]]
"""Where the endpoint is; it may have to start first. Raises Unreachable."""


class Unreachable(Exception):
    """The endpoint gave no answer that could be relayed; the text is for the user."""


@dataclass(slots=True)
class Answer:
    """The last message of a response, or none; and what its HTTP side said."""

    status: int
    message: Message | None = None
    session_id: str | None = None

    @property
    def error_code(self) -> int | None:
        error = (self.message or {}).get("error")
        return error.get("code") if isinstance(error, dict) else None


class Connection:
    """Requests to one endpoint. ``forward`` takes each message that is not an answer."""

    def __init__(self, locate: Locate, http: httpx.AsyncClient, forward: Forward) -> None:
        self._locate = locate
        self._remote = Remote("")
        self._http = http
        self._forward = forward

    async def exchange(
        self,
        message: Message,
        headers: Mapping[str, str],
        *,
        forward: Forward | None = None,
    ) -> Answer:
        """Post a message and return what came of it. ``forward`` takes what comes before the
        answer, if not everything is to be passed on. Raises Unreachable."""
        self._remote = await self._locate()
        try:
            async with self._sent("POST", headers, wire.written(message)) as response:
                return await self._read(response, message, headers, forward=forward)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            text = f"The server at {self._remote.url} cannot be reached: {reason}"
            raise Unreachable(text) from None

    async def close(self) -> None:
        """Wait for no login any more: who waits for that waits for a person."""
        if self._remote.login is not None:
            await self._remote.login.close()

    async def hear(self, headers: Mapping[str, str]) -> bool:
        """Pass on what the server of a session says unasked, until the stream ends. False if it
        has no such stream."""
        with contextlib.suppress(httpx.HTTPError, Unreachable):
            async with self._sent("GET", headers) as response:
                if response.status_code != 200:
                    return False
                await self._pass_on(response, {}, Answer(200))
        return True

    @contextlib.asynccontextmanager
    async def _sent(
        self, method: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> AsyncIterator[httpx.Response]:
        """A request, and again with another token if one can be had. Raises Unreachable if it is
        refused all the same."""
        remote, login = self._remote, self._remote.login
        for attempt in range(MAX_RENEWALS + 1):
            token = login.token() if login is not None else None
            async with self._http.stream(
                method, remote.url, content=content, headers=self._all(headers, token)
            ) as response:
                if response.status_code not in (401, 403):
                    yield response
                    return
                await response.aread()
                refused = Refused.of(response.status_code, response.headers)
            if login is None or not refused.can_be_mended or attempt == MAX_RENEWALS:
                raise Unreachable(self._refusal(refused.status))
            try:
                await login.renew(refused, token)
            except NoLogin:
                raise Unreachable(self._refusal(refused.status)) from None
            except LoginFailed as failure:
                raise Unreachable(str(failure)) from None

    def _all(self, headers: Mapping[str, str], token: str | None) -> dict[str, str]:
        return {
            "accept": _ACCEPT,
            "content-type": "application/json",
            **({"authorization": f"Bearer {token}"} if token is not None else {}),
            **self._remote.headers,
            **headers,
        }

    async def _read(
        self,
        response: httpx.Response,
        message: Message,
        headers: Mapping[str, str],
        *,
        forward: Forward | None,
    ) -> Answer:
        answer = Answer(response.status_code, session_id=response.headers.get(SESSION))
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            found = await self._pass_on(response, message, answer, forward=forward)
            if SESSION in headers:
                await self._take_up(message, answer, headers, *found)
            return answer
        body = await response.aread()
        try:
            for received in wire.messages_of(body):
                self._received(received, message, answer, forward)
        except ValueError:
            if "id" in message and response.status_code >= 400:
                raise Unreachable(f"The server answered HTTP {response.status_code}") from None
        return answer

    async def _take_up(
        self,
        message: Message,
        answer: Answer,
        headers: Mapping[str, str],
        last_id: str | None,
        wait_seconds: float | None,
    ) -> None:
        """Go on with a stream that broke off before the answer, if its events have ids (revision
        2025-11-25, resumability)."""
        while answer.message is None and last_id is not None:
            await asyncio.sleep(RETRY_SECONDS[0] if wait_seconds is None else wait_seconds)
            async with self._sent("GET", {**headers, "last-event-id": last_id}) as resumed:
                if resumed.status_code != 200:
                    return
                found, wait_seconds = await self._pass_on(resumed, message, answer)
                last_id = found or last_id

    async def _pass_on(
        self,
        response: httpx.Response,
        message: Message,
        answer: Answer,
        *,
        forward: Forward | None = None,
    ) -> tuple[str | None, float | None]:
        """The id of the last event and the time to wait, if there were any."""
        parser, last_id, wait = wire.EventParser(), None, None
        async for line in response.aiter_lines():
            event = parser.feed(line)
            if event is None:
                continue
            last_id = event.id or last_id
            wait = event.retry_seconds if event.retry_seconds is not None else wait
            with contextlib.suppress(ValueError):
                received = wire.read(event.data.encode())
                if isinstance(received, dict):
                    self._received(received, message, answer, forward)
            if answer.message is not None:
                break
        return last_id, wait

    def _received(
        self, received: Message, message: Message, answer: Answer, forward: Forward | None
    ) -> None:
        if "method" in received:
            (forward or self._forward)(received)
        elif "id" in message and received.get("id") in (message["id"], None):
            answer.message = {**received, "id": message["id"]}

    def _refusal(self, status: int) -> str:
        if status == 401:
            return (
                f"The server at {self._remote.url} wants a token (HTTP 401): "
                f"give one with {self._remote.token_hint}"
            )
        return f"The token does not open {self._remote.url} (HTTP 403)"
