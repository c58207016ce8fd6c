"""Which answers are compressed, and for whom."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from http_proxy import compression
from http_proxy.compression import MIN_BYTES, accepts_gzip

IDENTITY = "/ws-lab/services/calc/identity"
LONG = "x" * MIN_BYTES


async def ask(client: httpx.AsyncClient, value: Any, coding: str, **headers: str) -> httpx.Response:
    return await client.post(
        IDENTITY, json={"value": value}, headers={"accept-encoding": coding, **headers}
    )


@pytest.mark.parametrize("length", [MIN_BYTES, 2 * MIN_BYTES])
async def test_a_long_answer_is_compressed_for_who_can_read_it(
    client: httpx.AsyncClient, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "IN_THREAD_BYTES", 2 * MIN_BYTES)
    answer = await ask(client, "x" * length, "br, gzip;q=0.5")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) < length / 2
    assert answer.json() == "x" * length


async def test_others_get_it_as_it_is(client: httpx.AsyncClient) -> None:
    answer = await ask(client, LONG, "identity")
    assert "content-encoding" not in answer.headers
    assert (answer.headers["vary"], answer.json()) == ("Accept-Encoding", LONG)


async def test_short_answers_and_those_that_are_no_text_are_not_touched(
    client: httpx.AsyncClient,
) -> None:
    for answer in (
        await ask(client, "short", "gzip"),
        await ask(client, LONG, "gzip", accept="application/msgpack"),
    ):
        assert "content-encoding" not in answer.headers
        assert "vary" not in answer.headers


async def test_the_head_of_a_compressed_answer_has_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/openapi.json", headers={"accept-encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-encoding"] == "gzip"


async def test_a_document_is_the_same_content_whatever_its_coding(
    client: httpx.AsyncClient,
) -> None:
    plain = await client.get("/openapi.json", headers={"accept-encoding": "identity"})
    coded = await client.get("/openapi.json", headers={"accept-encoding": "gzip"})
    assert coded.content == plain.content
    assert coded.headers["etag"] == plain.headers["etag"]
    known = {"if-none-match": coded.headers["etag"]}
    assert (await client.get("/openapi.json", headers=known)).status_code == 304


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (b"", False),
        (b"gzip", True),
        (b"GZIP;q=1.0", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000", False),
        (b"*", True),
        (b"*;q=0, gzip", True),
        (b"br, deflate", False),
        (b"identity;q=0.5, gzip ; q=0.1", True),
    ],
)
def test_the_header_is_read_as_it_is_meant(header: bytes, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
