"""What servers want of whoever makes a call, in either era, over pipes and over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.api import CallOptions
from gateway.app import Parts
from schema.errors import CannotAsk, ServiceError
from tests.gateway.upstreams.asking_server import server
from tests.gateway.upstreams.conftest import Older, Run, call, listening

ANSWERS: dict[str, dict[str, Any]] = {
    "elicitation/create": {"action": "accept", "content": {"sure": True}},
    "sampling/createMessage": {
        "role": "assistant",
        "content": {"type": "text", "text": "hi"},
        "model": "m",
    },
    "roots/list": {"roots": [{"uri": "file:///work"}]},
}
TOOLS = {
    "elicit": "elicitation/create",
    "sample": "sampling/createMessage",
    "roots": "roots/list",
}


class Person:
    """Somebody who makes a call and can be asked."""

    def __init__(self, *capabilities: str) -> None:
        self.capabilities = capabilities
        self.asked: list[Mapping[str, Any]] = []
        self.heard: list[Any] = []

    async def request(self, requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        self.asked += requests.values()
        answers = {}
        for key, request in requests.items():
            if request["method"] not in ANSWERS or not self.capabilities:
                raise CannotAsk("I have not declared that")
            answers[key] = ANSWERS[request["method"]]
        return answers

    async def progress(
        self, value: float, total: float | None = None, message: str | None = None
    ) -> None:
        self.heard.append((value, total, message))

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        self.heard.append((level, data))


EVERYTHING = ("elicitation", "sampling", "roots")


@pytest.fixture(params=["pipes", "http", "older http", "sse"])
async def parts(request: pytest.FixtureRequest, run: Run) -> AsyncIterator[Parts]:
    """A gateway before a server that asks."""
    if request.param == "pipes":
        script = str(Path(__file__).parent / "asking_server.py")
        yield await run({"demo": {"command": sys.executable, "args": [script]}})
        return
    is_sse = request.param == "sse"
    app: Any = server().sse_app() if is_sse else server().streamable_http_app()
    app = Older(app) if request.param == "older http" else app
    async with listening(app, timeout_graceful_shutdown=0) as port:
        where = {"type": "sse", "path": "sse"} if is_sse else {"type": "http", "path": "mcp"}
        url = f"http://127.0.0.1:{port}/{where['path']}"
        parts = await run({"demo": {"type": where["type"], "url": url}})
        yield parts
        await parts.close()


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_question_reaches_whoever_made_the_call(parts: Parts, tool: str) -> None:
    person = Person(*EVERYTHING)
    answer = await call(parts, tool, CallOptions(interaction=person))
    method = TOOLS[tool]
    assert json.loads(answer) == ANSWERS[method]
    [asked] = person.asked
    assert asked["method"] == method
    if tool == "elicit":
        assert asked["params"]["message"] == "Are you sure?"
        assert asked["params"]["requestedSchema"]["properties"] == {"sure": {"type": "boolean"}}


async def test_where_nobody_can_be_asked_the_call_fails_and_says_so(parts: Parts) -> None:
    for options in (CallOptions(), CallOptions(interaction=Person())):
        with pytest.raises((CannotAsk, ServiceError), match=r"asked|declared|capab|support"):
            await call(parts, "elicit", options)


async def test_progress_and_messages_reach_whoever_made_the_call(parts: Parts) -> None:
    person = Person()
    assert await call(parts, "tell", CallOptions(interaction=person)) == "told"
    assert person.heard == [(1, 2, "half"), ("warning", "careful")]
