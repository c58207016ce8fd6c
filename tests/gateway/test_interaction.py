"""The words that a function has for reaching its caller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.interaction import lent
from schema.errors import CannotAsk, InvalidArguments, PermissionDenied


class Client:
    """Answers everything in the same way, and remembers what was said."""

    capabilities = ("elicitation",)

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.heard: list[Any] = []

    async def progress(
        self, value: float, total: float | None = None, message: str | None = None
    ) -> None:
        self.heard.append((value, total, message))

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        self.heard.append((level, data, logger))

    async def request(self, requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        self.heard.append(requests)
        return dict.fromkeys(requests, self.answer)


@pytest.mark.parametrize(
    ("schema", "content", "answer"),
    [
        (None, {"answer": "blue"}, "blue"),
        ({"type": "boolean"}, {"answer": True}, True),
        ({"type": "object", "properties": {"a": {}}}, {"a": 1}, {"a": 1}),
        ({"properties": {"a": {}}}, {"a": 1}, {"a": 1}),
    ],
)
async def test_a_question_has_the_answer_that_its_schema_describes(
    schema: Any, content: dict[str, Any], answer: Any
) -> None:
    client = Client({"action": "accept", "content": content})
    assert await lent(client)["ask"]("Which?", schema) == answer
    ((request,),) = [asked.values() for asked in client.heard]
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == "Which?"
    assert request["params"]["requestedSchema"]["properties"].keys() == content.keys()


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_may_decline(action: str) -> None:
    interaction = lent(Client({"action": action}))
    with pytest.raises(PermissionDenied, match=action):
        await interaction["ask"]("Which?")
    assert await interaction["elicit"]("Which?", {"type": "object"}) == {"action": action}


async def test_a_caller_who_only_waits_is_told_nothing_and_cannot_be_asked() -> None:
    interaction = lent(None)
    assert interaction["capabilities"] == []
    await interaction["progress"](1)
    await interaction["log"]("info", "x")
    with pytest.raises(CannotAsk):
        await interaction["ask"]("Which?")


async def test_whoever_asks_for_it_is_told_of_the_end_of_the_call() -> None:
    waiting = asyncio.create_task(lent(None)["left"]())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()  # as the functions lent for a call are when it ends
    assert await waiting is True


@pytest.mark.parametrize(
    ("word", "arguments"),
    [
        ("progress", ("half",)),
        ("progress", (True,)),
        ("log", ("loud", "x")),
        ("ask", ("",)),
        ("elicit", ("Which?", 7)),
        ("request", ({},)),
        ("request", ({"a": 1},)),
        ("sample", (7,)),
    ],
)
async def test_a_word_used_wrongly_is_an_error(word: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidArguments):
        await lent(Client({}))[word](*arguments)
