"""Services of type ``functions``: which function answers, what it is told, what is made of its
result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from gateway.testing import FakeGateway
from http_proxy.apps.responses import is_response
from tests.http_proxy.conftest import MAX_BODY

URL = "/ws-lab/apps/fns"


def named(name: str) -> Any:
    def function(event: dict[str, Any]) -> dict[str, Any]:
        return {"body": name, "status": 200, "headers": {"x-path": event.get("function_path", "")}}

    return function


def offer(gateway: FakeGateway, functions: dict[str, Any], **config: Any) -> None:
    gateway.add_service(
        "ws-lab/worker:fns",
        functions,
        type="functions",
        config={"visibility": "public", **config},
    )


@pytest.mark.parametrize(
    ("path", "name", "function_path"),
    [
        ("/", "index", ""),
        ("/a", "a", ""),
        ("/d/", "d.index", ""),
        ("/d", "d.index", ""),
        ("/d/g", "d.g", ""),
        ("/d/e/", "d.e.index", ""),
        ("/no/such", "default", "/no/such"),
        ("/d/no", "default", "/d/no"),
    ],
)
async def test_the_path_says_which_function(
    client: httpx.AsyncClient, gateway: FakeGateway, path: str, name: str, function_path: str
) -> None:
    directory = {"g": named("d.g"), "index": named("d.index"), "e": {"index": named("d.e.index")}}
    top = {key: named(key) for key in ("index", "a", "default")}
    offer(gateway, {**top, "d": directory})
    answer = await client.get(URL + path)
    assert (answer.text, answer.headers["x-path"]) == (name, function_path)


async def test_without_a_function_for_the_path_it_is_not_found(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    offer(gateway, {"a": named("a")})
    for path in ("/", "/b", "/a/b"):
        answer = await client.get(URL + path)
        assert (answer.status_code, answer.json()["code"]) == (404, "function_not_found")


async def test_functions_that_are_not_described_are_found(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.add_service(
        "ws-lab/worker:fns",
        {"d": {"f": named("d.f")}},
        type="functions",
        service_schema={},
        visibility="public",
    )
    assert (await client.get(f"{URL}/d/f")).text == "d.f"
    assert (await client.get(f"{URL}/d/g")).status_code == 404


async def test_the_event_is_the_request(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    seen: dict[str, Any] = {}
    offer(gateway, {"put": lambda event: seen.update(event)})
    headers = [("x-a", "1"), ("X-A", "2"), ("cookie", "access_token=good")]
    answer = await client.put(f"{URL}/put?flag&a=b=c", content=b"\x00body", headers=headers)
    assert (answer.status_code, answer.json()) == (200, None)
    assert seen["headers"]["x-a"] == "1, 2"
    assert "cookie" not in seen["headers"]
    assert seen["user"]["id"] == "alice"
    expected = {
        "method": "PUT",
        "path": "/put",
        "raw_path": "/put",
        "query_string": "flag&a=b=c",
        "body": b"\x00body",
        "workspace": "ws-lab",
        "service_id": "fns",
    }
    assert {key: seen[key] for key in expected} == expected
    assert "function_path" not in seen
    await client.get(f"{URL}/put")
    assert seen["body"] is None
    assert seen["user"]["is_anonymous"]


async def test_a_body_over_the_limit_is_refused(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    offer(gateway, {"put": named("put")})
    assert (await client.put(f"{URL}/put", content=b"x" * MAX_BODY)).status_code == 200
    assert (await client.put(f"{URL}/put", content=b"x" * (MAX_BODY + 1))).status_code == 413


@pytest.mark.parametrize(
    ("value", "status", "content_type", "body"),
    [
        ({"status": 201, "headers": {"Content-Type": "text/x"}, "body": "hé"}, 201, "text/x",
         "hé".encode()),
        ({"status": 200}, 200, None, b""),
        ({"body": b"\x00"}, 200, None, b"\x00"),
        ({"body": {"_rtype": "memoryview", "_rvalue": b"\x01"}}, 200, None, b"\x01"),
        ({"body": {"a": [1]}}, 200, "application/json", b'{"a":[1]}'),
        ({"status": 204, "body": "ignored"}, 204, None, b""),
        ({"status": "ok", "body": "x"}, 200, "application/json", b'{"status":"ok","body":"x"}'),
        ({"answer": 42}, 200, "application/json", b'{"answer":42}'),
        ("text", 200, "application/json", b'"text"'),
        (None, 200, "application/json", b"null"),
        ([1, 2], 200, "application/json", b"[1,2]"),
    ],
)  # fmt: skip
async def test_a_result_is_a_response_or_a_value(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    value: Any,
    status: int,
    content_type: str | None,
    body: bytes,
) -> None:
    offer(gateway, {"get": lambda event: value})
    answer = await client.get(f"{URL}/get")
    assert (answer.status_code, answer.headers.get("content-type")) == (status, content_type)
    assert answer.content == body
    if status != 204:
        assert answer.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("value", [{}, {"status": True}, {"a": 1, "body": 2}, {"_rtype": "x"}])
def test_what_looks_like_a_response_but_is_none(value: dict[str, Any]) -> None:
    assert not is_response(value)


async def test_a_generator_is_streamed(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    def items(event: dict[str, Any]) -> Iterator[int]:
        yield from (1, 2)

    offer(gateway, {"items": items})
    answer = await client.get(f"{URL}/items")
    assert answer.text == "data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"


async def test_failures_are_errors_with_their_status(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    def fail(event: dict[str, Any]) -> None:
        raise PermissionError("no")

    offer(gateway, {"fail": fail, "bad": lambda event: {"headers": {"a": "b\r\nc"}}})
    answer = await client.get(f"{URL}/fail", headers={"origin": "https://a.example"})
    assert (answer.status_code, answer.json()["detail"]) == (403, "PermissionError: no")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (await client.get(f"{URL}/bad")).status_code == 500


async def test_who_may_read_across_origins_is_the_gateways_rule(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    own = {"Access-Control-Allow-Origin": "evil", "Access-Control-Allow-Credentials": "true"}
    offer(gateway, {"get": lambda event: {"status": 200, "headers": own, "body": "x"}})
    answer = await client.get(f"{URL}/get", headers={"origin": "https://a.example"})
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in answer.headers
    asked = {"origin": "https://a.example", "access-control-request-method": "PATCH"}
    answer = await client.options(f"{URL}/get", headers=asked)
    assert answer.status_code == 204
    assert "PATCH" in answer.headers["access-control-allow-methods"]


async def test_a_service_can_answer_preflights_itself(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    offer(gateway, {"get": lambda event: {"body": event["method"]}}, handle_preflight=True)
    asked = {"origin": "https://a.example", "access-control-request-method": "PATCH"}
    assert (await client.options(f"{URL}/get", headers=asked)).text == "OPTIONS"


async def test_a_body_of_unknown_length_is_all_there(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"", b"one ", b"two"):
            yield part

    offer(gateway, {"index": lambda event: {"body": event["body"] or b"none"}})
    assert (await client.post(URL + "/", content=parts())).text == "one two"
    assert (await client.post(URL + "/")).text == "none"
    packed = {"content-encoding": "br"}
    assert (await client.post(URL + "/", content=b"x", headers=packed)).status_code == 415


async def test_cookies_in_several_headers_are_one_list(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    offer(gateway, {"index": lambda event: {"body": repr(event["headers"])}})
    sent = [("cookie", "a=1"), ("cookie", "b=2"), ("x-more", "1"), ("x-more", "2")]
    answer = await client.get(URL + "/", headers=sent)
    assert "'cookie': 'a=1; b=2'" in answer.text
    assert "'x-more': '1, 2'" in answer.text
