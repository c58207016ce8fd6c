"""A call whose function may ask while it runs: it goes on here while requests come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from gateway.questions import CAPABILITY_OF, Question
from http_proxy.encoding import from_json, to_json
from schema.errors import CannotAsk, InvalidArguments

MAX_QUESTIONS: Final = 100
"""Open at a time, of one call."""

Questions = dict[str, Question]
Tell = Callable[[str, Mapping[str, Any]], None]
Announce = Callable[[Questions], AbstractContextManager[None]]


def _nobody_listens(_event: str, _data: Mapping[str, Any]) -> None:
    pass


@contextmanager
def _silently(_asked: Questions) -> Iterator[None]:
    yield


class Conversation:
    """An interaction (``gateway.api.Interaction``) with the caller of a function over HTTP."""

    capabilities = tuple(CAPABILITY_OF.values())

    def __init__(self, tell: Tell = _nobody_listens, announce: Announce = _silently) -> None:
        """``tell`` takes events by their name; ``announce`` surrounds the time in which something
        is asked. Without them the caller only hears of questions, when ``turn`` ends."""
        self.questions: Questions = {}
        self._tell = tell
        self._announce = announce
        self._asked = asyncio.Event()
        self._work: asyncio.Task[Any] | None = None

    # What the function does

    async def progress(
        self, value: float, total: float | None = None, message: str | None = None
    ) -> None:
        self._tell("progress", {"value": value, "total": total, "message": message})

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        self._tell("log", {"level": level, "data": data, "logger": logger})

    async def request(self, requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        if self.has_ended:
            raise CannotAsk("The caller has left")
        asked = self._checked(requests)
        self.questions.update(asked)
        self._asked.set()
        try:
            with self._announce(asked):
                return {key: await question.answered for key, question in asked.items()}
        finally:
            for key in asked:
                self.questions.pop(key).answered.cancel()

    def _checked(self, requests: Mapping[str, Mapping[str, Any]]) -> Questions:
        if len(self.questions) + len(requests) > MAX_QUESTIONS:
            raise InvalidArguments(f"A call can ask {MAX_QUESTIONS} things at a time")
        asked: Questions = {}
        for key, request in requests.items():
            method = request.get("method")
            if method not in CAPABILITY_OF:
                raise InvalidArguments(f"There is no such request: {method}")
            if key in self.questions:
                raise InvalidArguments(f"The key {key!r} is asked already")
            told = {"method": method, "params": from_json(to_json(request.get("params") or {}))}
            asked[key] = Question(told, asyncio.get_running_loop().create_future())
        return asked

    # What the requests of the caller do

    def begin(
        self, work: Coroutine[Any, Any, Any], ended: Callable[[], None] | None = None
    ) -> None:
        """Start the function. ``ended`` is called when it is over, however."""

        def end(task: asyncio.Task[Any]) -> None:
            if not task.cancelled():
                task.exception()  # told to whoever still waits; else nobody wants to know
            fail(self.questions, "The caller has left")
            if ended is not None:
                ended()

        self._work = asyncio.get_running_loop().create_task(work)
        self._work.add_done_callback(end)

    async def turn(self) -> bool:
        """Wait until the function has ended (True) or waits for an answer (False)."""
        assert self._work is not None  # noqa: S101 - it has begun
        while not self._work.done():
            if still_open(self.questions):
                return False
            self._asked.clear()
            asked = asyncio.ensure_future(self._asked.wait())
            try:
                await asyncio.wait({self._work, asked}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked.cancel()
        return True

    def result(self) -> Any:
        """What the function has returned. Raises what it has raised."""
        assert self._work is not None  # noqa: S101 - it has begun
        return self._work.result()

    def cancel(self) -> None:
        """Nobody waits for the function any more."""
        if self._work is not None:
            self._work.cancel()

    @property
    def has_ended(self) -> bool:
        return self._work is not None and (self._work.done() or self._work.cancelling() > 0)


def still_open(questions: Questions) -> Questions:
    """Those that have no answer yet."""
    return {key: question for key, question in questions.items() if not question.answered.done()}


def fail(questions: Questions, reason: str) -> None:
    """Let the function know that no answer will come: CannotAsk, which it may catch."""
    for question in still_open(questions).values():
        question.answered.set_exception(CannotAsk(reason))
        question.answered.exception()  # of several, the function sees the first
