"""Which answers are compressed, and for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import compression
from gateway.app import create_app
from gateway.compression import MIN_BYTES, accepts_gzip
from gateway.settings import Settings

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


async def test_pages_and_files_are_compressed_too(tmp_path: Path) -> None:
    (tmp_path / "site.js").write_text("//" + "x" * 200_000)
    (tmp_path / "picture.bin").write_bytes(b"x" * 2000)
    settings = Settings(ephemeral=True, static_mounts=[f"/site:{tmp_path}"])
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

        async def ask(path: str, coding: str, **headers: str) -> httpx.Response:
            return await client.get(path, headers={"accept-encoding": coding, **headers})

        for path in ("/", "/public/apps/hypha-login/", "/metrics", "/site/site.js"):
            plain, coded = await ask(path, "identity"), await ask(path, "gzip")
            assert (plain.status_code, coded.status_code) == (200, 200)
            assert coded.headers["content-encoding"] == "gzip"
            assert int(coded.headers["content-length"]) < int(plain.headers["content-length"])
            assert "Accept-Encoding" in plain.headers["vary"]
            if path != "/metrics":
                assert coded.content == plain.content
        known = coded.headers["etag"]
        assert known.startswith("W/")
        assert (await ask("/site/site.js", "gzip", **{"if-none-match": known})).status_code == 304
        part = await ask("/site/site.js", "gzip", range="bytes=0-1")
        assert (part.status_code, part.content) == (206, b"//")
        head = await client.head("/site/site.js", headers={"accept-encoding": "gzip"})
        assert (head.status_code, head.headers["content-length"]) == (200, "200002")
        for path in ("/site/picture.bin", "/health/liveness"):
            assert "content-encoding" not in (await ask(path, "gzip")).headers


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
