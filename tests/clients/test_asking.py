"""A function of an unmodified hypha-rpc provider asks callers over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypha_rpc.utils.schema import schema_function

from tests.clients.conftest import Connect

SEAT = {"type": "string", "enum": ["window", "aisle"]}


async def offer_trips(provider: Any, begun: list[str]) -> str:
    """Register a public service that asks, and return the path of its function."""

    @schema_function
    async def book(city: str, interaction: Any = None) -> str:
        """Book a trip."""
        begun.append(city)
        await interaction["progress"](1, 2, "looking")
        seat = await interaction["ask"]("Window or aisle?", SEAT)
        return f"A {seat} seat to {city}"

    service = {"id": "travel", "config": {"visibility": "public"}, "book": book}
    full: str = (await provider.register_service(service))["id"]
    return "/" + full.replace("/", "/services/", 1) + "/book"


async def test_a_call_is_answered_at_the_url_that_it_gets(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    begun: list[str] = []
    path = await offer_trips(await connect(), begun)
    asked = await http.post(path, json={"city": "Oslo"})
    assert asked.status_code == 202
    url = asked.headers["location"]
    assert (await http.post(url, json={"answer": "roof"})).status_code == 400
    reply = {"answer": {"action": "accept", "content": {"answer": "aisle"}}}
    assert (await http.post(url, json=reply)).json() == "A aisle seat to Oslo"
    assert (await http.post(url, json=reply)).status_code == 404
    assert begun == ["Oslo"]


async def test_a_reader_of_events_answers_meanwhile(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    path = await offer_trips(await connect(), [])
    told: list[tuple[str, Any]] = []
    name = ""
    headers = {"accept": "text/event-stream"}
    async with http.stream("POST", path, json={"city": "Rome"}, headers=headers) as events:
        async for line in events.aiter_lines():
            field, _, text = line.partition(": ")
            if field == "event":
                name = text
            elif field == "data" and text != "[DONE]":
                told.append((name, json.loads(text)))
                if name == "ask":
                    url = told[-1][1]["url"]
                    answered = await http.post(url, json={"answer": "window"})
                    assert answered.status_code == 204
                name = ""
    assert [name for name, _ in told] == ["progress", "ask", ""]
    assert told[0][1] == {"value": 1, "total": 2, "message": "looking"}
    assert told[-1][1] == "A window seat to Rome"
