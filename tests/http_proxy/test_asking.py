"""Functions that ask while they run: by a URL, and by events for callers that read them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.requests import current_address
from gateway.testing import FakeGateway
from http_proxy import waiting
from http_proxy.asking import events as asking_events
from http_proxy.asking import register
from schema.errors import CannotAsk
from tests.http_proxy.asgi import Exchange
from tests.mcp_bridge.conftest import described
from tests.patience import PATIENCE_SECONDS

URL = "/ws-lab/services/lab/greet"
EVENTS = {"accept": "text/event-stream"}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
TAKES_INTERACTION = {"type": "object", "properties": {"city": {}, "interaction": {}}}


class Lab:
    """A service with functions that ask; what they did is seen."""

    def __init__(self) -> None:
        self.begun = 0
        self.reached, self.ended = asyncio.Event(), asyncio.Event()

    async def greet(self, city: str = "Rome", interaction: Any = None) -> str:
        self.begun += 1
        try:
            await interaction["progress"](1, 2, "half")
            await interaction["log"]("info", {"city": city}, "lab")
            first = await interaction["ask"]("Your name?", NAME, "name")
            loud = await interaction["ask"]("Loud?", {"type": "boolean"}, "loud")
        finally:
            self.ended.set()
        return f"Hello {first['name']} in {city}{'!' if loud else '.'}"

    async def wait(self, interaction: Any = None) -> None:
        self.reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def both(self, interaction: Any = None) -> Any:
        question = {"method": "elicitation/create", "params": {"requestedSchema": NAME}}
        return await interaction["request"]({"a": question, "b": {"method": "roots/list"}})

    async def fail(self, interaction: Any = None) -> None:
        raise ValueError("bad")

    async def try_to_ask(self, interaction: Any = None) -> str:
        try:
            return str(await interaction["ask"]("Which?"))
        except CannotAsk as error:
            return error.message

    async def chatter(self, interaction: Any = None) -> str:
        for number in range(1000):
            await interaction["log"]("info", number)
        return "done"

    async def count(self, interaction: Any = None) -> AsyncIterator[int]:
        yield 1
        yield 2

    async def has_ended(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.ended.wait()


@pytest.fixture
def lab(gateway: FakeGateway) -> Lab:
    lab = Lab()
    names = ("greet", "wait", "both", "fail", "try_to_ask", "chatter", "count")
    api: dict[str, Any] = {}
    for name in names:
        method = getattr(lab, name)
        api[name] = described(_free(method), TAKES_INTERACTION)
    gateway.add_service("ws-lab/worker:lab", api, visibility="public")
    gateway.add_token("other", "bob", {"ws-lab": "a"})
    return lab


def _free(method: Any) -> Any:
    """A function that can be given a description, unlike a method."""

    def call(**given: Any) -> Any:
        return method(**given)

    return call


def accepted(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


async def asked(client: httpx.AsyncClient, function: str = "greet", **more: Any) -> str:
    """Call a function that asks; the URL of the question."""
    response = await client.post(f"/ws-lab/services/lab/{function}", **more)
    assert response.status_code == 202
    url: str = response.json()["url"]
    return url


# By a URL


async def test_a_function_asks_twice_and_runs_once(client: httpx.AsyncClient, lab: Lab) -> None:
    first = await client.post(URL, json={"city": "Oslo"})
    url = first.json()["url"]
    assert (first.status_code, first.headers["location"]) == (202, url)
    assert first.headers["cache-control"] == "no-store"
    assert first.json() == {
        "success": True,
        "state": "asking",
        "url": url,
        "requests": {
            "name": {
                "method": "elicitation/create",
                "params": {"message": "Your name?", "requestedSchema": NAME},
            }
        },
    }
    shown = await client.get(url)
    assert (shown.status_code, shown.json()) == (200, first.json())
    second = await client.post(url, json={"name": accepted(name="Ada")})
    assert (second.status_code, list(second.json()["requests"])) == (202, ["loud"])
    assert second.json()["url"] != url
    last = await client.post(second.json()["url"], json={"loud": accepted(answer=True)})
    assert (last.status_code, last.json()) == (200, "Hello Ada in Oslo!")
    assert lab.begun == 1
    for used in (url, second.json()["url"]):
        assert (await client.get(used)).status_code == 404
        assert (await client.post(used, json={"name": accepted(name="A")})).status_code == 404


@pytest.mark.parametrize("body", [{"name": "Ada"}, accepted(name="Ada")])
async def test_a_single_form_may_be_answered_by_what_is_filled_in(
    client: httpx.AsyncClient, lab: Lab, body: Any
) -> None:
    second = await client.post(await asked(client), json=body)
    last = await client.post(second.json()["url"], json={"answer": False})
    assert last.json() == "Hello Ada in Rome."


@pytest.mark.parametrize(
    "body",
    [
        7,
        "Ada",
        [],
        {},
        {"name": 5},
        {"name": {"action": "maybe"}},
        {"name": {"action": "accept"}},
        {"name": accepted(name=5)},
        {"nobody": accepted(name="Ada")},
    ],
)
async def test_a_wrong_answer_is_refused_with_the_reason_and_may_be_given_again(
    client: httpx.AsyncClient, lab: Lab, body: Any
) -> None:
    url = await asked(client)
    refused = await client.post(url, json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_arguments")
    assert (await client.post(url, json={"name": "Ada"})).status_code == 202


async def test_what_is_no_json_is_refused(client: httpx.AsyncClient, lab: Lab) -> None:
    url = await asked(client)
    assert (await client.post(url, content=b"{")).status_code == 400
    assert (await client.post(url, data={"name": "Ada"})).status_code == 415
    assert (await client.get(url)).status_code == 200


async def test_several_questions_may_be_answered_one_by_one(
    client: httpx.AsyncClient, lab: Lab
) -> None:
    second = await client.post(await asked(client, "both"), json={"a": accepted(name="Ada")})
    assert list(second.json()["requests"]) == ["b"]
    last = await client.post(second.json()["url"], json={"b": {"roots": []}})
    assert last.json() == {"a": accepted(name="Ada"), "b": {"roots": []}}


async def test_a_user_may_decline(client: httpx.AsyncClient, lab: Lab) -> None:
    declined = await client.post(await asked(client), json={"action": "decline"})
    assert declined.status_code == 403
    assert "did not answer: decline" in declined.json()["detail"]


async def test_only_the_user_who_called_may_see_and_answer(
    client: httpx.AsyncClient, lab: Lab
) -> None:
    alice = {"authorization": "Bearer good"}
    url = await asked(client, headers=alice)
    for headers in ({}, {"authorization": "Bearer other"}):
        assert (await client.get(url, headers=headers)).status_code == 404
        stolen = await client.post(url, headers=headers, json={"name": "Eve"})
        assert stolen.status_code == 404
    assert (await client.get(url.replace("ws-lab", "ws-x"), headers=alice)).status_code == 404
    assert (await client.post(url, headers=alice, json={"name": "A"})).status_code == 202


async def test_a_question_expires_and_ends_its_function(
    client: httpx.AsyncClient, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "LIFE_SECONDS", 0.3)
    url = await asked(client)
    await lab.has_ended()
    assert (await client.get(url)).status_code == 404


async def test_questions_are_limited_in_number(
    client: httpx.AsyncClient, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "MAX_ASKS_PER_USER", 1)
    url = await asked(client)
    refused = await client.post(URL)
    assert (refused.status_code, refused.json()["code"]) == (429, "limit_exceeded")
    await lab.has_ended()
    alice = {"authorization": "Bearer good"}
    await asked(client, headers=alice)
    assert (await client.post(url, json={"name": "Ada"})).status_code == 202


async def test_strangers_are_counted_by_their_addresses(
    client: httpx.AsyncClient, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "MAX_ASKS_PER_USER", 1)
    for address, status in (("10.0.0.1", 202), ("10.0.0.1", 429), ("10.0.0.2", 202)):
        current_address.set(address)
        assert (await client.post(URL)).status_code == status


async def test_a_function_that_fails_has_the_status_of_its_error(
    client: httpx.AsyncClient, lab: Lab
) -> None:
    for headers in ({}, EVENTS):
        failed = await client.post("/ws-lab/services/lab/fail", headers=headers)
        assert (failed.status_code, failed.json()["type"]) == (400, "ValueError")


@pytest.mark.parametrize("headers", [{}, EVENTS])
async def test_the_function_is_cancelled_when_its_caller_leaves(
    app: Starlette, lab: Lab, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(waiting, "WATCH_AFTER_SECONDS", 0.0)
    async with Exchange(app, "/ws-lab/services/lab/wait", headers=headers) as request:
        await lab.reached.wait()
        request.disconnect()
        await lab.has_ended()
        await request.finished()


@pytest.mark.parametrize("headers", [{}, EVENTS])
async def test_a_caller_says_how_long_it_waits(
    client: httpx.AsyncClient, lab: Lab, headers: dict[str, str]
) -> None:
    answer = await client.get("/ws-lab/services/lab/wait?_timeout=0.1", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
    await lab.has_ended()


# By events


class Events:
    """The events that an exchange brings."""

    def __init__(self, stream: Exchange) -> None:
        self._stream = stream
        self._come: deque[str] = deque()

    async def next(self) -> tuple[str, Any]:
        """The next event: its name, and its data."""
        if not self._come:
            self._come.extend((await self._stream.part()).decode().strip().split("\n\n"))
        fields = dict(line.split(": ", 1) for line in self._come.popleft().split("\n"))
        data = fields["data"]
        return fields.get("event", ""), data if data == "[DONE]" else json.loads(data)


async def test_events_tell_progress_and_questions_and_the_value(
    app: Starlette, client: httpx.AsyncClient, lab: Lab
) -> None:
    async with Exchange(app, URL, headers=EVENTS) as stream:
        status, headers = await stream.start()
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        events = Events(stream)
        half = {"value": 1, "total": 2, "message": "half"}
        assert await events.next() == ("progress", half)
        told = {"level": "info", "data": {"city": "Rome"}, "logger": "lab"}
        assert await events.next() == ("log", told)
        name, first = await events.next()
        assert (name, first.keys(), list(first["requests"])) == (
            "ask",
            {"url", "requests"},
            ["name"],
        )
        assert (await client.get(first["url"])).json()["requests"] == first["requests"]
        assert (await client.post(first["url"], json={"name": 5})).status_code == 400
        answered = await client.post(first["url"], json={"name": accepted(name="Ada")})
        assert (answered.status_code, answered.content) == (204, b"")
        _, second = await events.next()
        assert (await client.get(first["url"])).status_code == 404
        assert (await client.post(second["url"], json={"answer": True})).status_code == 204
        assert await events.next() == ("", "Hello Ada in Rome!")
        assert await events.next() == ("", "[DONE]")
    assert lab.begun == 1


async def test_a_reader_that_leaves_while_it_is_asked_ends_the_function(
    app: Starlette, client: httpx.AsyncClient, lab: Lab
) -> None:
    async with Exchange(app, URL, headers=EVENTS) as stream:
        await stream.start()
        events = Events(stream)
        while (told := await events.next())[0] != "ask":
            pass
        stream.disconnect()
        await lab.has_ended()
        await stream.finished()
    assert (await client.get(told[1]["url"])).status_code == 404


async def test_a_question_that_expires_is_an_error_that_the_function_may_catch(
    client: httpx.AsyncClient, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "LIFE_SECONDS", 0.01)
    answer = await client.get("/ws-lab/services/lab/try_to_ask", headers=EVENTS)
    assert answer.text.endswith('data: "There was no answer in time"\n\ndata: [DONE]\n\n')


@pytest.mark.parametrize(("number", "bytes_"), [(10, 10**6), (10**6, 1000)])
async def test_a_reader_that_is_far_behind_misses_what_is_only_told(
    client: httpx.AsyncClient,
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    bytes_: int,
) -> None:
    monkeypatch.setattr(asking_events, "MAX_WAITING", number)
    monkeypatch.setattr(asking_events, "MAX_WAITING_BYTES", bytes_)
    answer = await client.get("/ws-lab/services/lab/chatter", headers=EVENTS)
    assert 5 < answer.text.count("event: log") < 20
    assert answer.text.endswith('data: "done"\n\ndata: [DONE]\n\n')


async def test_the_items_of_a_generator_follow_as_ever(client: httpx.AsyncClient, lab: Lab) -> None:
    for headers in ({}, EVENTS):
        answer = await client.get("/ws-lab/services/lab/count", headers=headers)
        assert answer.text == "data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
