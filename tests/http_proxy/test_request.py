"""Request bodies: media types, limits, compression."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgpack
import pytest
from starlette.applications import Starlette

from gateway.testing import FakeGateway
from schema import volume
from tests.http_proxy.asgi import Exchange
from tests.http_proxy.conftest import MAX_BODY

ECHO = "/ws-lab/services/calc/echo"
ADD = "/ws-lab/services/calc/add"


async def in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/json;charset=latin-1", "application/ld+json"],
)
async def test_json_is_json_whatever_its_parameters(
    client: httpx.AsyncClient, content_type: str
) -> None:
    answer = await client.post(
        ADD, content='{"a": "ü", "b": ""}'.encode(), headers={"Content-Type": content_type}
    )
    assert (answer.status_code, answer.json()) == (200, "ü")


@pytest.mark.parametrize(
    "content_type",
    ["application/octet-stream", "text/plain", "x"],
)
async def test_other_media_types_are_refused(
    client: httpx.AsyncClient, gateway: FakeGateway, content_type: str
) -> None:
    headers = {"Content-Type": content_type}
    for answer in (
        await client.post(ADD, content=b"a=1", headers=headers),
        await client.post(ADD, content=in_parts(b"", b"a=1"), headers=headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert gateway.calls == []


async def test_an_empty_body_has_no_arguments_whatever_its_type(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for content in (b"", in_parts(b"", b"")):
        answer = await client.post(ECHO, content=content, headers=headers)
        assert answer.json() == {"args": [], "kwargs": {}}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"[" * 300 + b"]" * 300),
        ("application/json", b'{"a":' * 5000 + b"1" + b"}" * 5000),
        ("application/json", b"\xff\xfe"),
        ("application/msgpack", b"\xc1"),
        ("application/msgpack", b"\x91" * 60_000),
    ],
)
async def test_a_malformed_body_is_refused(
    client: httpx.AsyncClient, gateway: FakeGateway, content_type: str, body: bytes
) -> None:
    body = body[:MAX_BODY]
    answer = await client.post(ADD, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Invalid request body: ")
    assert gateway.calls == []


async def test_a_body_in_many_parts_is_one_body(client: httpx.AsyncClient) -> None:
    answer = await client.post(ADD, content=in_parts(b'{"a"', b": 1, ", b'"b": 2}'))
    assert answer.json() == 3


async def test_a_body_of_the_greatest_size_is_accepted(client: httpx.AsyncClient) -> None:
    text = b'"' + b"x" * (MAX_BODY - 2) + b'"'
    answer = await client.post("/ws-lab/services/calc/identity", content=text)
    assert (answer.status_code, len(answer.content)) == (200, MAX_BODY)


async def test_a_body_that_says_it_is_too_large_is_refused_unread(app: Starlette) -> None:
    for length in (str(MAX_BODY + 1), "9" * 5000):
        async with Exchange(app, ADD, method="POST", headers={"Content-Length": length}) as http:
            status, _ = await http.start()
            assert status == 413
            assert http.received_by_app == 0


async def test_n11_a_body_that_proves_too_large_is_refused_without_reading_all(
    app: Starlette,
) -> None:
    parts = (b"x" * 1024,) * 1000
    async with Exchange(app, ADD, method="POST", parts=parts) as http:
        status, _ = await http.start()
        assert (status, b"payload_too_large" in await http.rest()) == (413, True)
        assert http.received_by_app == MAX_BODY // 1024 + 1


async def test_one_part_that_is_too_large_is_refused(app: Starlette) -> None:
    async with Exchange(app, ADD, method="POST", parts=(b"x" * (MAX_BODY + 1),)) as http:
        assert (await http.start())[0] == 413


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
async def test_a_gzip_body_is_inflated(client: httpx.AsyncClient, coding: str) -> None:
    headers = {"Content-Encoding": coding}
    body = gzip.compress(b'{"a": 1, "b": 2}', mtime=0)
    assert (await client.post(ADD, content=body, headers=headers)).json() == 3
    parts = in_parts(*(body[i : i + 1] for i in range(len(body))))
    assert (await client.post(ADD, content=parts, headers=headers)).json() == 3


async def test_gzip_members_in_a_row_are_one_body(client: httpx.AsyncClient) -> None:
    body = gzip.compress(b'{"a": 1, ', mtime=0) + gzip.compress(b'"b": 2}', mtime=0)
    answer = await client.post(ADD, content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json() == 3


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b" " * 10_000_000, mtime=0),
        gzip.compress(b"", mtime=0) + gzip.compress(b" " * 10_000_000, mtime=0),
        gzip.compress(b" " * (MAX_BODY + 1), mtime=0),
    ],
)
async def test_n11_a_gzip_bomb_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert len(body) < MAX_BODY
    answer = await client.post(ADD, content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        gzip.compress(b"{}", mtime=0)[:-4],
        gzip.compress(b"{}", mtime=0)[:5],
        gzip.compress(b"{}", mtime=0) + b"more",
    ],
)
async def test_broken_gzip_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(ADD, content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_an_empty_gzip_body_has_no_arguments(client: httpx.AsyncClient) -> None:
    for body in (b"", gzip.compress(b"", mtime=0)):
        answer = await client.post(ECHO, content=body, headers={"Content-Encoding": "gzip"})
        assert answer.json() == {"args": [], "kwargs": {}}


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
async def test_the_refusal_of_a_content_coding_names_those_that_are_read(
    client: httpx.AsyncClient, coding: str
) -> None:
    answer = await client.post(ADD, content=b"{}", headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    named = answer.headers["accept-encoding"].split(", ")
    packed: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress}
    assert named == list(packed)
    for name, pack in packed.items():
        body = pack(b'{"a": 1, "b": 2}')
        answer = await client.post(ADD, content=body, headers={"Content-Encoding": name})
        assert answer.json() == 3


async def test_a_byte_order_mark_is_not_a_mistake(client: httpx.AsyncClient) -> None:
    answer = await client.post(ADD, content=b"\xef\xbb\xbf" + b'{"a": 1, "b": 2}')
    assert answer.json() == 3


async def test_a_length_that_is_no_number_is_refused(app: Starlette) -> None:
    async with Exchange(app, ADD, method="POST", headers={"Content-Length": "-1"}) as http:
        assert (await http.start())[0] == 400


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Encoding": "gzip"}, {"Content-Type": "text/plain"}]
)
async def test_a_client_that_leaves_while_sending_makes_no_call(
    app: Starlette, gateway: FakeGateway, headers: dict[str, str]
) -> None:
    async with Exchange(app, ADD, method="POST", headers=headers, parts=()) as http:
        http.disconnect()
        await http.finished()
        assert http.unread == 0
    assert gateway.calls == []


async def test_a_caller_without_permission_is_refused_before_the_body_is_read(
    app: Starlette,
) -> None:
    async with Exchange(app, "/ws-lab/services/private/add", method="POST") as http:
        assert ((await http.start())[0], http.received_by_app) == (403, 0)


@pytest.mark.parametrize("media", ["application/json", "application/msgpack"])
async def test_a_body_of_too_many_values_is_too_large(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, media: str
) -> None:
    monkeypatch.setattr(volume, "MAX_VALUES", 1000)
    monkeypatch.setattr(volume, "UNCOUNTED_BYTES", 1000)
    value: list[list[dict[str, int]]] = [[{}] * 500] * 3
    body = msgpack.packb(value) if "msgpack" in media else json.dumps(value).encode()
    answer = await client.post(ECHO, content=body, headers={"Content-Type": media})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
