"""A function that fails on arguments that it did not declare: the caller's fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.testing import FakeGateway

TYPES: dict[str, Any] = {
    "text": {"type": "string", "description": "A text"},
    "count": {"type": "integer"},
    "size": {"type": "number"},
    "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    "either": {"type": ["string", "integer"]},
    "listed": {"type": "array"},
    "mapped": {"type": "object"},
    "flag": {"type": "boolean"},
    "undeclared": {"type": "string", "description": ""},
    "python": {"type": "str"},
    "open": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/X"}]},
    "odd": {"type": 7},
}


@pytest.fixture
def client(gateway: FakeGateway, client: httpx.AsyncClient) -> httpx.AsyncClient:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AttributeError("it has no attribute")

    def late(**kwargs: Any) -> Iterator[int]:
        yield 1 // len(kwargs["text"].words)

    schema = {"type": "object", "properties": TYPES}
    for function in (fail, late):
        function.__dict__["__schema__"] = {"name": "fail", "parameters": schema}
    gateway.add_service("ws-lab/worker:typed", {"fail": fail, "late": late}, visibility="public")
    return client


async def posted(client: httpx.AsyncClient, arguments: Any, function: str = "fail") -> Any:
    return await client.post(f"/ws-lab/services/typed/{function}", json=arguments)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("text", 1, "string"),
        ("text", None, "string"),
        ("count", 1.5, "integer"),
        ("count", True, "integer"),
        ("size", "1", "number"),
        ("maybe", [], "null or string"),
        ("either", {}, "integer or string"),
        ("listed", {}, "array"),
        ("mapped", [], "object"),
        ("flag", 1, "boolean"),
        ("python", 1, "string"),
    ],
)
async def test_other_types_than_declared_are_the_callers_fault(
    client: httpx.AsyncClient, name: str, value: Any, expected: str
) -> None:
    answer = await posted(client, {name: value})
    assert answer.status_code == 400
    assert answer.json() == {
        "success": False,
        "code": "invalid_arguments",
        "type": "InvalidArguments",
        "detail": f"AttributeError: it has no attribute (argument {name!r} has to be {expected})",
        "data": {"path": name},
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", "1"),
        ("count", 2),
        ("count", 2.0),
        ("size", 2),
        ("maybe", None),
        ("mapped", {}),
        ("undeclared", 1),
        ("open", 1),
        ("odd", 1),
        ("unknown", 1),
        ("text", {"_rtype": "bytes", "_rvalue": "AA=="}),
        ("text", {"_rtype": "other"}),
    ],
)
async def test_a_failure_with_fitting_arguments_is_the_functions(
    client: httpx.AsyncClient, name: str, value: Any
) -> None:
    answer = await posted(client, {name: value})
    assert (answer.status_code, answer.json()["type"]) == (500, "AttributeError")


async def test_arguments_in_a_list_are_judged_by_their_place(client: httpx.AsyncClient) -> None:
    assert (await posted(client, ["text", "2"])).json()["data"] == {"path": "count"}


async def test_a_generator_that_fails_at_once_is_judged_too(client: httpx.AsyncClient) -> None:
    assert (await posted(client, {"text": 1}, "late")).status_code == 400


async def test_what_has_a_status_keeps_it(gateway: FakeGateway, client: httpx.AsyncClient) -> None:
    def refuse(text: str) -> None:
        raise PermissionError("no")

    refuse.__dict__["__schema__"] = {"parameters": {"properties": {"text": {"type": "string"}}}}
    gateway.add_service("ws-lab/worker:strict", {"refuse": refuse}, visibility="public")
    answer = await client.post("/ws-lab/services/strict/refuse", json={"text": 1})
    assert (answer.status_code, answer.json()["type"]) == (403, "PermissionError")
