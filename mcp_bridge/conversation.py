"""A call whose function asks for something while it runs: it waits, and the client's requests come
and go.

The stateless protocol has no way to ask a client. So when a function asks, its request is answered
with what is wanted (``input_required``), the function goes on waiting here, and the client's next
request brings the answers (revision 2026-07-28, multi round-trip requests). The function runs
once. Where there is a session its client is asked through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson

from gateway.api import LOG_LEVELS
from gateway.questions import CAPABILITY_OF, Question, problem_of
from mcp_bridge import schemas
from mcp_bridge.arguments import ArgumentCheck
from mcp_bridge.content import to_json
from mcp_bridge.errors import INVALID_PARAMS, MISSING_CLIENT_CAPABILITY, RpcError
from mcp_bridge.exchange import Exchange
from schema.errors import CannotAsk, InvalidArguments


class BackChannel(Protocol):
    """A way to send requests to a client: a session."""

    async def ask(self, method: str, params: Mapping[str, Any], exchange: Exchange) -> Any:
        """The result of a request, or raises CannotAsk."""
        ...


class Conversation:
    """An interaction (``gateway.api.Interaction``) with the client of an MCP endpoint."""

    def __init__(
        self,
        capabilities: Mapping[str, Any],
        *,
        given: Mapping[str, Any] | None = None,
        log_level: str | None = None,
        back_channel: BackChannel | None = None,
        is_stateless: bool = True,
    ) -> None:
        """``given`` are answers that came before anything was asked; ``log_level`` is the least
        that the client wants to hear of, None for nothing."""
        self.capabilities = tuple(c for c in CAPABILITY_OF.values() if c in capabilities)
        self.questions: dict[str, Question] = {}
        self.missing: set[str] = set()
        self.round = 0
        self._given = dict(given or {})
        self._log_level = log_level
        self._back_channel = back_channel
        self._is_stateless = is_stateless
        self._exchange: Exchange | None = None
        self._stirred = asyncio.Event()
        """The function has ended, or asked for something."""
        self._work: asyncio.Task[Any] | None = None

    # What the function does

    async def progress(
        self, value: float, total: float | None = None, message: str | None = None
    ) -> None:
        if self._exchange is not None:
            await self._exchange.report(value, total, message)

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        wanted = self._log_level
        if self._exchange is None or wanted is None or _is_below(level, wanted):
            return
        params = {"level": level, "data": _json(data), **({"logger": logger} if logger else {})}
        await self._exchange.notify("notifications/message", params)

    async def request(self, requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        checked = {key: self._checked(request) for key, request in requests.items()}
        if self._back_channel is not None:
            return await self._through(self._back_channel, checked)
        answers = {key: self._given.pop(key) for key in checked if key in self._given}
        answers = {
            key: a for key, a in answers.items() if problem_of(checked[key], a, _unfit) is None
        }
        asked: dict[str, Question] = {}
        loop = asyncio.get_running_loop()
        for key in checked.keys() - answers.keys():
            if key in self.questions:
                raise InvalidArguments(f"The key {key!r} is asked already")
            asked[key] = Question(checked[key], loop.create_future())
        self.questions.update(asked)
        if asked:
            self._stirred.set()
        try:
            for key, question in asked.items():
                answers[key] = await question.answered
        finally:
            for key in asked:
                self.questions.pop(key, None)
        return answers

    def _checked(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        method = str(request.get("method"))
        capability = CAPABILITY_OF.get(method)
        if capability is None:
            raise InvalidArguments(f"There is no such request: {method}")
        if capability not in self.capabilities:
            if self._is_stateless:
                self.missing.add(capability)
                raise CannotAsk(f"The client has not declared the capability {capability!r}")
            raise CannotAsk(f"The client cannot be asked ({capability}): it has no session")
        return {"method": method, "params": _json(request.get("params") or {})}

    async def _through(
        self, channel: BackChannel, requests: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        answers = {}
        for key, request in requests.items():
            if self._exchange is None:
                raise CannotAsk("The client has left")
            answer = await channel.ask(request["method"], request["params"], self._exchange)
            problem = problem_of(request, answer, _unfit)
            if problem is not None:
                raise CannotAsk(f"The client's answer is of no use: {problem}")
            answers[key] = answer
        return answers

    # What the requests of the client do

    def begin(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Start the function."""

        async def run() -> Any:
            return await work()

        self._work = asyncio.get_running_loop().create_task(run())
        self._work.add_done_callback(lambda _: self._stirred.set())

    async def go_on(self, exchange: Exchange) -> bool:
        """Wait until the function has ended (True) or asks for something (False). It is cancelled
        if the client leaves meanwhile."""
        assert self._work is not None  # noqa: S101 - it has begun
        self._exchange = exchange
        try:
            await self._stirred.wait()
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            self._exchange = None
        self._stirred.clear()
        if self._work.done():
            return True
        self.round += 1
        return False

    def result(self) -> Any:
        """What the function has returned. Raises what it has raised, or RpcError if it failed for
        want of something the client could have declared."""
        assert self._work is not None  # noqa: S101 - it has begun
        if self.missing and self._work.exception() is not None:
            needed: dict[str, Any] = {name: {} for name in sorted(self.missing)}
            names = ", ".join(needed)
            raise RpcError(
                MISSING_CLIENT_CAPABILITY,
                f"The client must declare: {names}",
                {"requiredCapabilities": needed},
            )
        return self._work.result()

    def wanted(self) -> dict[str, Any]:
        """``inputRequests`` for what the function waits for."""
        return {key: dict(question.request) for key, question in self.questions.items()}

    def answer(self, responses: Mapping[str, Any]) -> None:
        """Hand the function what has come. What is missing is asked for again; what nobody asked
        for is passed over. Raises RpcError for an answer that is none, and takes nothing then."""
        fitting = {key: responses[key] for key in self.questions if key in responses}
        for key, response in fitting.items():
            problem = problem_of(self.questions[key].request, response, _unfit)
            if problem is not None:
                raise RpcError(INVALID_PARAMS, f"params.inputResponses.{key}: {problem}")
        for key, response in fitting.items():
            self.questions.pop(key).answered.set_result(response)
        if self.questions:
            self._stirred.set()

    def cancel(self) -> None:
        """Nobody waits for the function any more."""
        if self._work is not None:
            self._work.cancel()


def _unfit(schema: Mapping[str, Any], content: Mapping[str, Any]) -> str | None:
    try:
        asked, _ = schemas.normalise(schema)
        check = ArgumentCheck(asked, schemas.measure(asked))
    except schemas.Refused:
        return None  # the function's own mistake, of which the user knows nothing
    problems = check.problems(dict(content), len(to_json(content)))
    return "; ".join(map(str, problems)) or None


def _is_below(level: str, wanted: str) -> bool:
    known = level in LOG_LEVELS and wanted in LOG_LEVELS
    return known and LOG_LEVELS.index(level) < LOG_LEVELS.index(wanted)


def _json(value: Any) -> Any:
    return orjson.loads(to_json(value))
